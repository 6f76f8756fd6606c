package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// returnFlow is the name of the flow of returns.
var returnFlow = returns.Flow.Name

// returnResource is a return of goods of an order.
type returnResource struct {
	ID      string          `json:"id"`
	OrderID string          `json:"orderId"`
	Status  returns.Outcome `json:"status"`
	Lines   []returns.Line  `json:"lines"`
	Refund  bool            `json:"refund"`
	Restock bool            `json:"restock"`
	Reason  null.Text       `json:"reason"`
	By      null.Text       `json:"by"`
	// RefundID, RefundedAmount and Currency are null until what was received is refunded.
	RefundID       null.Text  `json:"refundId"`
	RefundedAmount *int64     `json:"refundedAmount"`
	Currency       null.Text  `json:"currency"`
	Restocked      bool       `json:"restocked"`
	Refusal        *refusal   `json:"refusal"`
	Version        int64      `json:"version"`
	CreatedAt      null.Time  `json:"createdAt"`
	UpdatedAt      null.Time  `json:"updatedAt"`
	CorrelationID  string     `json:"correlationId"`
	Links          orderLinks `json:"links"`
}

func showReturn(state returns.State, links orderLinks) returnResource {
	r := returnResource{
		ID: state.ID, OrderID: state.Request.OrderID, Status: state.Outcome(), Lines: append([]returns.Line{}, state.Lines...),
		Refund: *state.Request.Refund, Restock: *state.Request.Restock, Reason: null.Text(state.Request.Reason), By: null.Text(state.Request.By),
		Restocked: state.Restocked, RefundID: null.Text(state.RefundID), Currency: null.Text(state.Currency), Version: state.Head.Version,
		CreatedAt: null.At(state.CreatedAt), UpdatedAt: null.At(state.UpdatedAt), CorrelationID: state.CorrelationID, Links: links,
	}
	if state.Amount > 0 {
		r.RefundedAmount = &state.Amount
	}
	if r.Status == returns.Refused || r.Status == returns.Expired {
		r.Refusal = &refusal{state.Saga.Reason, null.Text(state.Detail)}
	}
	return r
}

// decodeReturn reads the body of POST /v1/orders/{id}/returns.
func decodeReturn(body []byte) (orderRequest, error) {
	return decoded(body, "return", func(doc *jsondoc.Doc, d struct {
		ID      string               `json:"id"`
		Lines   []refund.RequestLine `json:"lines" required:"true"`
		Reason  string               `json:"reason"`
		Refund  *bool                `json:"refund"`
		Restock *bool                `json:"restock"`
		By      string               `json:"by"`
	},
	) (orderRequest, error) {
		doc.Require(d.ID == "" || event.ValidID(d.ID), "/id", "%s", event.IDRule)
		doc.Require(d.By == "" || event.ValidToken(d.By), "/by", "%s", event.TokenRule)
		return orderRequest{id: d.ID, by: d.By, input: func(orderID, by string) any {
			return returns.Request{OrderID: orderID, Lines: d.Lines, Reason: d.Reason, Refund: d.Refund, Restock: d.Restock, By: by}
		}}, nil
	})
}

// returnSagas is the resource of returns.
func (s *Server) returnSagas() orderSagas[returns.State, *returns.Participants, returnResource] {
	reader := returns.Reader{Log: s.cfg.Log}
	return orderSagas[returns.State, *returns.Participants, returnResource]{
		Server: s, table: &returns.Flow, decode: decodeReturn, reserved: event.ReturnAnnounced, load: reader.Load,
		orderOf: func(state *returns.State) string { return state.Request.OrderID },
		keys:    func(l refunds.Ledger) []string { return l.ReturnKeys },
		check: func(ctx context.Context, begun *returns.State, of *order.State) (any, error) {
			return nil, reader.Check(ctx, begun.Request, of)
		},
		refused: func(state *returns.State) *refund.Refusal { return state.Refused },
		problem: refusedReturn, view: showReturn,
	}
}

// refusedReturn makes the problem of a refusal.
func refusedReturn(refusal *refund.Refusal) error {
	code := fault.ReturnExceedsDelivered
	switch refusal.Reason {
	case returns.ReasonInvalidLines:
		return fault.NewInvalid("return", []fault.Field{fault.Fieldf(refusal.Pointer(), "%s", refusal.Detail)})
	case returns.ReasonNotRefundable:
		code = fault.NotRefundable
	case returns.ReasonOrderUnknown:
		code = fault.NotFound
	}
	return fault.New(code, "%s", refusal.Detail)
}

// returnReceipt is the body of POST /v1/orders/{id}/returns/{returnId}/receipts.
type returnReceipt struct {
	id      string
	receipt returns.Receipt
}

func decodeReturnReceipt(body []byte) (returnReceipt, error) {
	return decoded(body, "receipt", func(doc *jsondoc.Doc, d struct {
		ID    string               `json:"id"`
		Lines []refund.RequestLine `json:"lines"`
	},
	) (returnReceipt, error) {
		doc.Require(d.ID == "" || event.ValidID(d.ID), "/id", "%s", event.IDRule)
		return returnReceipt{d.ID, returns.Receipt{Lines: d.Lines}}, nil
	})
}

// receiveReturn is POST /v1/orders/{id}/returns/{returnId}/receipts: what the event return.received is for callers without a bus.
func (s *Server) receiveReturn(c echo.Context) error {
	id, err := orderID(c)
	if err != nil {
		return err
	}
	returnID := pathParameter(c, "returnId")
	key, n, err := posted(s, c, decodeReturnReceipt)
	if err != nil {
		return err
	}
	receiptID := s.requestID(c, key, "receipt", returnID)
	if n.id != "" {
		receiptID = event.DerivedID("receipt of return", returnID, n.id)
	}
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	all := s.returnSagas()
	state, err := all.find(ctx, c, id, returnID)
	if err != nil {
		return err
	}
	f, _ := s.flowNamed(returnFlow)
	aboutSaga(c, f, returnID)
	fact, err := receiptFact(f, returnID, receiptID, n.receipt)
	if err != nil {
		return err
	}
	if slices.Contains(state.Receipts, fact.ID) {
		if !state.Caused(fact.Identity) {
			return fault.New(fault.IdempotencyConflict, "the receipt was already reported with other lines")
		}
		c.Response().Header().Set(headerIdempotentReplay, "true")
		return writeJSON(c, http.StatusOK, all.shown(state))
	}
	switch {
	case !state.Waits():
		return fault.New(fault.ReturnClosed, "the return is %s: it does not wait for goods", state.Outcome())
	case !state.Expects(&fact):
		return fault.NewInvalid("receipt", []fault.Field{fault.Fieldf("/lines", "none of the lines is missing")})
	}
	if err := f.Sagas.SendFact(ctx, returnID, sagaclient.Fact{Fact: fact, CorrelationID: correlationOf(c.Request().Context())}); err != nil {
		return err
	}
	s.followSaga(c, f, returnID, state.Head.Version, reservationWait, func(r event.Record) bool { return returns.IsReceipt(r, fact.ID) || isTerminal(r) })
	reading, done := s.withDependencyTimeout(c)
	defer done()
	if state, err = all.find(reading, c, id, returnID); err != nil {
		return err
	}
	if !slices.Contains(state.Receipts, fact.ID) {
		c.Response().Header().Set(echo.HeaderRetryAfter, "1")
		return writeJSON(c, http.StatusAccepted, all.shown(state))
	}
	return writeJSON(c, http.StatusOK, all.shown(state))
}

// receiptFact is the fact that a receipt brings.
func receiptFact(f Flow, returnID, receiptID string, r returns.Receipt) (saga.Fact, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return saga.Fact{}, fault.Wrap(err, fault.Internal, "write a receipt of return %s", returnID)
	}
	for _, in := range f.Info().Inbound {
		if in.Name == event.ReturnReceived {
			fact, err := in.ReadFact(returnID, receiptID, receiptID, raw)
			if fields := fault.FieldsOf(err); len(fields) > 0 {
				for i := range fields {
					fields[i].Pointer = fields[i].Pointer[len("/data"):]
				}
				err = fault.NewInvalid("receipt", fields)
			}
			return fact, err
		}
	}
	return saga.Fact{}, fault.New(fault.Internal, "flow %s takes no receipts", returnFlow)
}
