package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// newSaga is the body of a request to start a saga.
type newSaga struct {
	ID    string          `json:"id"`
	Input json.RawMessage `json:"input"`
}

// decodeNewSaga reads the body of POST /v1/sagas/{flow}. What the input must be is the flow's to say.
func decodeNewSaga(body []byte) (n newSaga, err error) {
	doc, err := jsondoc.Read(body, jsondoc.Options{})
	if err != nil {
		return n, err
	}
	var d struct {
		ID    string `json:"id"`
		Input *any   `json:"input" required:"true"`
	}
	doc.Into(&d)
	if d.Input != nil {
		if _, object := (*d.Input).(map[string]any); !object {
			doc.Complain("/input", "must be an object")
		}
	}
	doc.Require(d.ID == "" || event.ValidID(d.ID), "/id", "%s", event.IDRule)
	if err := doc.Err("saga"); err != nil {
		return n, err
	}
	// The input as it was sent: what a number is, is the flow's to say.
	err = json.Unmarshal(body, &n)
	return n, fault.Wrap(err, fault.Malformed, "read the request")
}

// startSaga is POST /v1/sagas/{flow}: it answers as POST /v1/orders does.
func (s *Server) startSaga(c echo.Context) error {
	f, err := s.flowOf(c)
	if err != nil {
		return err
	}
	info := f.Info()
	switch {
	case info.Name == orderFlow:
		return fault.New(fault.Invalid, "place orders with POST /v1/orders")
	case info.Name == refundFlow:
		return fault.New(fault.Invalid, "request refunds with POST /v1/orders/{id}/refunds")
	case info.Name == returnFlow:
		return fault.New(fault.Invalid, "request returns with POST /v1/orders/{id}/returns")
	case !info.Startable:
		return fault.New(fault.Invalid, "sagas of flow %s cannot be started over REST", info.Name)
	}
	key, n, err := posted(s, c, decodeNewSaga)
	if err != nil {
		return err
	}
	// An ID that the caller has chosen makes the request one; else its key does.
	r := sagaclient.Request{
		ID: n.ID, Body: n.Input, At: "/input", CorrelationID: correlationOf(c.Request().Context()), Fresh: n.ID == "" && key == "", CallerID: n.ID != "",
	}
	if n.ID == "" {
		r.ID = s.requestID(c, key, "saga", info.Name)
	}
	aboutSaga(c, f, r.ID)
	v, replayed, err := s.start(c, f, r, key)
	if err != nil {
		return err
	}
	wait, leave := s.limits.wait(c, preferredWait(c.Request().Header))
	defer leave()
	if wait > 0 && !v.Ended {
		v = s.awaitSaga(c, f, v, wait)
	}
	return answerStarted(c, sagaPath(info.Name, r.ID), replayed, wait, v.Ended, s.sagaResourceOf(f)(v))
}

// answerStarted answers a request that has started something: with 201 if it waited and that has ended, otherwise with 202.
func answerStarted(c echo.Context, path string, replayed bool, waited time.Duration, ended bool, resource any) error {
	h := c.Response().Header()
	h.Set(echo.HeaderLocation, path)
	if replayed {
		h.Set(headerIdempotentReplay, "true")
	}
	if waited > 0 && ended {
		h.Set(headerPreferenceApplied, "wait="+seconds(waited))
		return writeJSON(c, http.StatusCreated, resource)
	}
	h.Set(echo.HeaderRetryAfter, "1")
	return writeJSON(c, http.StatusAccepted, resource)
}

// start starts a saga.
func (s *Server) start(c echo.Context, f Flow, r sagaclient.Request, key string) (v saga.View, replayed bool, err error) {
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	v, replayed, err = f.Sagas.Start(ctx, r)
	switch fields := fault.FieldsOf(err); {
	case errors.Is(err, fault.Conflict) && key != "" && !r.CallerID:
		err = &fault.Error{Code: fault.IdempotencyConflict, Err: err, Message: "Idempotency-Key was already used for a different request"}
	case errors.Is(err, fault.Invalid) && len(fields) > 0:
		err = fault.NewInvalid("saga", fields)
	}
	return v, replayed, err
}

// followSaga follows a saga after a version until an event is the last one that is waited for, the time is over, the client is gone or the server drains.
// The saga is started: what goes wrong here only makes the answer an earlier one.
func (s *Server) followSaga(c echo.Context, f Flow, id string, after int64, within time.Duration, last func(event.Record) bool) {
	ctx, cancel := context.WithTimeout(c.Request().Context(), within)
	defer cancel()
	ctx, valid := s.whileValid(ctx, c)
	defer valid()
	defer context.AfterFunc(s.draining, cancel)()
	for r, err := range s.cfg.Log.Follow(ctx, f.StreamOf(id), after) {
		if err != nil {
			s.logStopped(ctx, "stopped waiting for a saga", sagaAttrs(f, id), err)
			return
		}
		if last(r) {
			return
		}
	}
}

// awaitSaga follows a saga until it has ended, and returns it then.
func (s *Server) awaitSaga(c echo.Context, f Flow, v saga.View, wait time.Duration) saga.View {
	// What has been appended since the saga was looked at comes first.
	s.followSaga(c, f, v.ID, v.Version, wait, isTerminal)
	looking, done := s.withDependencyTimeout(c)
	defer done()
	newest, err := f.Sagas.View(looking, v.ID)
	if err != nil {
		s.logStopped(looking, "cannot read a saga that was waited for", sagaAttrs(f, v.ID), err)
		return v
	}
	return newest
}
