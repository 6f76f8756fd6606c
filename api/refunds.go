package api

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
)

// refundFlow is the name of the flow of refunds.
var refundFlow = refund.Flow.Name

// refundResource is a refund of an order.
type refundResource struct {
	ID      string         `json:"id"`
	OrderID string         `json:"orderId"`
	Status  refund.Outcome `json:"status"`
	// Amount and Currency are null until the amount of lines is computed.
	Amount        *int64        `json:"amount"`
	Currency      null.Text     `json:"currency"`
	Lines         []refund.Line `json:"lines"`
	Restock       bool          `json:"restock"`
	Reason        null.Text     `json:"reason"`
	By            null.Text     `json:"by"`
	Refusal       *refusal      `json:"refusal"`
	Version       int64         `json:"version"`
	CreatedAt     null.Time     `json:"createdAt"`
	UpdatedAt     null.Time     `json:"updatedAt"`
	CorrelationID string        `json:"correlationId"`
	Links         orderLinks    `json:"links"`
}

func showRefund(state refund.State, links orderLinks) refundResource {
	r := refundResource{
		ID: state.ID, OrderID: state.Request.OrderID, Status: state.Outcome(), Currency: null.Text(state.Currency),
		Lines: append([]refund.Line{}, state.Lines...), Restock: state.Request.Restock, Reason: null.Text(state.Request.Reason),
		By: null.Text(state.Request.By), Version: state.Head.Version, CreatedAt: null.At(state.CreatedAt), UpdatedAt: null.At(state.UpdatedAt),
		CorrelationID: state.CorrelationID, Links: links,
	}
	if amount := max(state.Amount, state.Request.Amount); amount > 0 {
		r.Amount = &amount
	}
	if r.Status == refund.Refused {
		r.Refusal = &refusal{state.Saga.Reason, null.Text(state.Detail)}
	}
	return r
}

// decodeRefund reads the body of POST /v1/orders/{id}/refunds.
func decodeRefund(body []byte) (orderRequest, error) {
	return decoded(body, "refund", func(doc *jsondoc.Doc, d struct {
		Amount  *int64               `json:"amount"`
		Lines   []refund.RequestLine `json:"lines"`
		Reason  string               `json:"reason"`
		Restock bool                 `json:"restock"`
		By      string               `json:"by"`
	},
	) (orderRequest, error) {
		doc.Require(d.By == "" || event.ValidToken(d.By), "/by", "%s", event.TokenRule)
		r := refund.Request{Lines: d.Lines, Reason: d.Reason, Restock: d.Restock}
		if d.Amount != nil {
			if r.Amount = *d.Amount; r.Amount == 0 {
				r.Amount = -1 // 0 is for an amount that is not given
			}
		}
		return orderRequest{by: d.By, input: func(orderID, by string) any {
			r.OrderID, r.By = orderID, by
			return r
		}}, nil
	})
}

// refundSagas is the resource of refunds.
func (s *Server) refundSagas() orderSagas[refund.State, *refund.Participants, refundResource] {
	return orderSagas[refund.State, *refund.Participants, refundResource]{
		Server: s, table: &refund.Flow, decode: decodeRefund, reserved: event.RefundReserved, load: s.refunds().Load,
		orderOf: func(state *refund.State) string { return state.Request.OrderID },
		keys:    func(l refunds.Ledger) []string { return l.Keys },
		check: func(ctx context.Context, begun *refund.State, of *order.State) (any, error) {
			amount, lines, err := s.refunds().Price(ctx, begun.Request, of)
			return refundPreview{begun.Request.OrderID, true, amount, of.Order.Currency, append([]refunds.Line{}, lines...)}, err
		},
		previews: true,
		refused:  func(state *refund.State) *refund.Refusal { return state.Refused },
		problem:  refusedRefund, view: showRefund,
	}
}

func (s *Server) refunds() refund.Reader { return refund.Reader{Log: s.cfg.Log} }

// refusedRefund makes the problem of a refusal by the refund ledger. A refusal by the gateway is no problem of the request.
func refusedRefund(refusal *refund.Refusal) error {
	code := fault.NotRefundable
	switch refusal.Reason {
	case refund.ReasonRefusedByGateway:
		return nil
	case refund.ReasonInvalidLines:
		return fault.NewInvalid("refund", []fault.Field{fault.Fieldf(refusal.Pointer(), "%s", refusal.Detail)})
	case refund.ReasonExceedsCaptured:
		code = fault.RefundExceedsCaptured
	}
	return &fault.Error{Code: code, Message: refusal.Detail, Err: detailsError{refundable: refusal.Refundable}}
}

// shownOrder is an order with what was refunded of it.
type shownOrder struct {
	order.State
	refunded int64
	returned map[int]int64
	action   *paymentAction
}

// withRefunds adds what was refunded of an order, by refunds and for parcels that did not arrive, and what came back of its lines.
func (s *Server) withRefunds(ctx context.Context, state order.State, err error) (shownOrder, error) {
	shown := shownOrder{State: state, refunded: state.RefundedParcels()}
	if err != nil || state.Decision != order.Forward {
		return shown, err
	}
	ledger, err := refunds.Load(ctx, s.cfg.Log, state.Order.ID)
	if err != nil {
		return shown, err
	}
	amount, err := s.refunds().Amount(ctx, ledger)
	shown.refunded += amount
	shown.returned = ledger.Returned()
	return shown, err
}

func (s *Server) shownResource(o shownOrder) orderResource {
	r := s.resource(o.State)
	r.RefundedAmount, r.PaymentAction = &o.refunded, o.action
	for i := range r.Lines {
		returned := o.returned[i+1]
		r.Lines[i].ReturnedQuantity = &returned
	}
	return r
}
