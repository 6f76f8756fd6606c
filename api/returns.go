package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
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
	RefundID       null.Text      `json:"refundId"`
	RefundedAmount *int64         `json:"refundedAmount"`
	Currency       null.Text      `json:"currency"`
	Restocked      bool           `json:"restocked"`
	Refusal        *refundRefusal `json:"refusal"`
	Version        int64          `json:"version"`
	CreatedAt      null.Time      `json:"createdAt"`
	UpdatedAt      null.Time      `json:"updatedAt"`
	CorrelationID  string         `json:"correlationId"`
	Links          orderLinks     `json:"links"`
}

func returnPath(orderID, id string) string {
	return orderPath(orderID) + "/returns/" + url.PathEscape(id)
}

func (s *Server) returnResource(state returns.State) returnResource {
	r := returnResource{
		ID: state.ID, OrderID: state.Request.OrderID, Status: state.Outcome(), Lines: append([]returns.Line{}, state.Lines...),
		Refund: *state.Request.Refund, Restock: *state.Request.Restock, Reason: null.Text(state.Request.Reason), By: null.Text(state.Request.By),
		Restocked: state.Restocked, RefundID: null.Text(state.RefundID), Currency: null.Text(state.Currency), Version: state.Head.Version,
		CreatedAt: null.At(state.CreatedAt), UpdatedAt: null.At(state.UpdatedAt), CorrelationID: state.CorrelationID,
	}
	if state.Amount > 0 {
		r.RefundedAmount = &state.Amount
	}
	if r.Status == returns.Refused || r.Status == returns.Expired {
		r.Refusal = &refundRefusal{state.Saga.Reason, null.Text(state.Detail)}
	}
	if f, ok := s.flowNamed(returnFlow); ok {
		r.Links = *s.sagaLinks(f, state.ID)
	}
	r.Links.Self = returnPath(r.OrderID, r.ID)
	return r
}

// newReturn is the body of POST /v1/orders/{id}/returns.
type newReturn struct {
	id      string
	request returns.Request
}

// decodeReturn reads such a body; the flow checks the values.
func decodeReturn(body []byte) (newReturn, error) {
	return decoded(body, "return", func(doc *jsondoc.Doc, d struct {
		ID      string               `json:"id"`
		Lines   []refund.RequestLine `json:"lines" required:"true"`
		Reason  string               `json:"reason"`
		Refund  *bool                `json:"refund"`
		Restock *bool                `json:"restock"`
		By      string               `json:"by"`
	},
	) (newReturn, error) {
		doc.Require(d.ID == "" || event.ValidID(d.ID), "/id", "%s", event.IDRule)
		doc.Require(d.By == "" || event.ValidToken(d.By), "/by", "%s", event.TokenRule)
		return newReturn{d.ID, returns.Request{Lines: d.Lines, Reason: d.Reason, Refund: d.Refund, Restock: d.Restock, By: d.By}}, nil
	})
}

// returnGoods is POST /v1/orders/{id}/returns. What cannot be returned is refused before a saga starts; the refund ledger decides about requests
// that race.
func (s *Server) returnGoods(c echo.Context) error {
	id, err := orderID(c)
	if err != nil {
		return err
	}
	f, ok := s.flowNamed(returnFlow)
	if !ok {
		return fault.New(fault.NotFound, "flow %s does not exist", returnFlow)
	}
	key, n, err := posted(s, c, decodeReturn)
	if err != nil {
		return err
	}
	if n.request.By, err = actor(c, n.request.By); err != nil {
		return err
	}
	n.request.OrderID = id
	r := sagaclient.Request{
		ID: n.id, CorrelationID: correlationOf(c.Request().Context()), Fresh: n.id == "" && key == "", CallerID: n.id != "",
	}
	if n.id == "" {
		r.ID = s.requestID(c, key, "return", id)
	}
	if r.Body, err = json.Marshal(n.request); err != nil {
		return fault.Wrap(err, fault.Internal, "write the return of order %s", id)
	}
	aboutSaga(c, f, r.ID)
	if err := s.returnable(c, f, &n.request, r); err != nil {
		return err
	}
	_, replayed, err := s.start(c, f, r, key)
	if err != nil {
		return err
	}
	wait, leave := s.limits.wait(c, preferredWait(c.Request().Header))
	defer leave()
	s.followReturn(c, r.ID, 0, max(wait, reservationWait), func(record event.Record) bool {
		return isTerminal(record) || wait == 0 && record.Type == event.ReturnAnnounced
	})
	state, err := s.readReturn(c, n.request, r)
	if err == nil && state.Ended && state.Refused != nil {
		err = refusedReturn(state.Refused)
	}
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderLocation, returnPath(id, r.ID))
	if replayed {
		h.Set(headerIdempotentReplay, "true")
	}
	if wait > 0 && state.Ended {
		h.Set(headerPreferenceApplied, "wait="+seconds(wait))
		return writeJSON(c, http.StatusCreated, s.returnResource(state))
	}
	h.Set(echo.HeaderRetryAfter, "1")
	return writeJSON(c, http.StatusAccepted, s.returnResource(state))
}

// returnable checks the order and the request of a return that the log does not have yet. The request has its defaults after it.
func (s *Server) returnable(c echo.Context, f Flow, request *returns.Request, r sagaclient.Request) error {
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	of, err := s.loadOrder(ctx, request.OrderID)
	if of, err = ownOrder(c, of, err); err != nil {
		return err
	}
	data, err := f.ReadStart(r.ID, r.Body, "")
	if err != nil {
		return err
	}
	begun, err := returns.Flow.Begun(r.ID, data)
	if err != nil {
		return err
	}
	*request = begun.Request
	before, err := s.returns().Load(ctx, r.ID)
	if err != nil || before.Opened() {
		return err
	}
	return refusedReturn(s.returns().Check(ctx, *request, &of))
}

func (s *Server) returns() returns.Reader { return returns.Reader{Log: s.cfg.Log} }

// followReturn follows a return until an event is the last one that is waited for.
func (s *Server) followReturn(c echo.Context, id string, after int64, within time.Duration, last func(r event.Record) bool) {
	ctx, cancel := context.WithTimeout(c.Request().Context(), within)
	defer cancel()
	ctx, valid := s.whileValid(ctx, c)
	defer valid()
	defer context.AfterFunc(s.draining, cancel)()
	f, _ := s.flowNamed(returnFlow)
	for record, err := range s.cfg.Log.Follow(ctx, f.StreamOf(id), after) {
		if err != nil {
			s.logStopped(ctx, "stopped waiting for a return", sagaAttrs(f, id), err)
			return
		}
		if last(record) {
			return
		}
	}
}

// readReturn returns a return that was started.
func (s *Server) readReturn(c echo.Context, request returns.Request, r sagaclient.Request) (returns.State, error) {
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	state, err := s.returns().Load(ctx, r.ID)
	if err == nil && !state.Opened() {
		now := s.cfg.Clock().Truncate(time.Millisecond)
		state = returns.State{Request: request}
		state.ID, state.CreatedAt, state.UpdatedAt, state.CorrelationID = r.ID, now, now, r.CorrelationID
	}
	return state, err
}

// refusedReturn makes the problem of a refusal.
func refusedReturn(err error) error {
	var refusal *returns.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
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

func (s *Server) listReturns(c echo.Context) error {
	id, err := orderID(c)
	if err != nil {
		return err
	}
	return answerPage(s, c, queryOf(c), s.returnResource, func(ctx context.Context) ([]returns.State, string, error) {
		of, err := s.loadOrder(ctx, id)
		if _, err = ownOrder(c, of, err); err != nil {
			return nil, "", err
		}
		list, err := s.returns().List(ctx, id)
		return list, "", err
	})
}

func (s *Server) getReturn(c echo.Context) error {
	if err := queryOf(c).err(); err != nil {
		return err
	}
	id, err := orderID(c)
	if err != nil {
		return err
	}
	return answer(s, c, s.returnResource, func(ctx context.Context) (returns.State, error) {
		return s.returnOf(ctx, c, id, pathParameter(c, "returnId"))
	})
}

// returnOf returns a return of an order. Between its start and its first event only Temporal knows it. The error is NotFound when Temporal does not
// either.
func (s *Server) returnOf(ctx context.Context, c echo.Context, orderID, id string) (returns.State, error) {
	of, err := s.loadOrder(ctx, orderID)
	if _, err = ownOrder(c, of, err); err != nil {
		return returns.State{}, err
	}
	unknown := fault.New(fault.NotFound, "order %s has no return %s", orderID, shortened(id))
	f, ok := s.flowNamed(returnFlow)
	if !ok || !event.ValidID(id) {
		return returns.State{}, unknown
	}
	state, err := s.returns().Load(ctx, id)
	if err == nil && !state.Opened() {
		v, err := f.Sagas.View(ctx, id)
		if err != nil {
			return state, err
		}
		if state, err = returns.Flow.Begun(id, v.Input); err != nil {
			return state, err
		}
		state.CreatedAt, state.UpdatedAt, state.CorrelationID = v.CreatedAt, v.UpdatedAt, v.CorrelationID
	}
	if err == nil && state.Request.OrderID != orderID {
		err = unknown
	}
	return state, err
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
	state, err := s.returnOf(ctx, c, id, returnID)
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
		return writeJSON(c, http.StatusOK, s.returnResource(state))
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
	s.followReturn(c, returnID, state.Head.Version, reservationWait, func(r event.Record) bool { return returns.IsReceipt(r, fact.ID) || isTerminal(r) })
	reading, done := s.withDependencyTimeout(c)
	defer done()
	if state, err = s.returnOf(reading, c, id, returnID); err != nil {
		return err
	}
	if !slices.Contains(state.Receipts, fact.ID) {
		c.Response().Header().Set(echo.HeaderRetryAfter, "1")
		return writeJSON(c, http.StatusAccepted, s.returnResource(state))
	}
	return writeJSON(c, http.StatusOK, s.returnResource(state))
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
