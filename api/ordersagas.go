package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// reservationWait bounds how long a request without Prefer waits for the refund ledger, so that one of several requests at the same time that
// exceeds what is left is answered with that. It usually takes milliseconds.
const reservationWait = 2 * time.Second

// orderSagas is the resource of sagas about an order that reserve something in its refund ledger: its refunds, and its returns. What cannot be done
// is refused before a saga starts; the ledger decides about requests that race. S is the state of a saga, V how it is shown.
type orderSagas[S, P, V any] struct {
	*Server
	table *saga.Flow[S, P]
	// decode reads the body of a request to start one; the flow checks the values.
	decode func(body []byte) (orderRequest, error)
	// reserved is the type of the event after which a request without Prefer is answered.
	reserved string
	// load returns a saga, which is not opened if the log has none. orderOf is its order. keys are the keys of such sagas in a ledger.
	load    func(ctx context.Context, id string) (S, error)
	orderOf func(*S) string
	keys    func(refunds.Ledger) []string
	// check returns what a saga would do for an order as it is, or its refusal; refused returns that of a saga; problem makes the problem of either.
	check   func(ctx context.Context, begun *S, of *order.State) (preview any, err error)
	refused func(*S) *refund.Refusal
	problem func(*refund.Refusal) error
	view    func(S, orderLinks) V
	// previews reports that ?dryRun=true answers with the preview.
	previews bool
}

// orderRequest is a request to start such a saga.
type orderRequest struct {
	// id is the ID that the caller chose, by the person that it names; "" for none.
	id, by string
	// input is the input of the flow.
	input func(orderID, by string) any
}

// refusal says why nothing is refunded or returned.
type refusal struct {
	Reason string    `json:"reason"`
	Detail null.Text `json:"detail"`
}

func (o orderSagas[S, P, V]) flow() (Flow, error) {
	f, ok := o.flowNamed(o.table.Name)
	if !ok {
		return f, fault.New(fault.NotFound, "flow %s does not exist", o.table.Name)
	}
	return f, nil
}

func (o orderSagas[S, P, V]) path(orderID, id string) string {
	return orderPath(orderID) + "/" + o.table.Name + "s/" + url.PathEscape(id)
}

func (o orderSagas[S, P, V]) shown(s S) V {
	id, links := o.table.Kit(&s).ID, orderLinks{}
	if f, err := o.flow(); err == nil {
		links = *o.sagaLinks(f, id)
	}
	links.Self = o.path(o.orderOf(&s), id)
	return o.view(s, links)
}

// ownOrder returns the order of the path. The error is NotFound for one of another customer.
func (o orderSagas[S, P, V]) ownOrder(ctx context.Context, c echo.Context, id string) (order.State, error) {
	of, err := o.loadOrder(ctx, id)
	return ownOrder(c, of, err)
}

// start is POST to the list.
func (o orderSagas[S, P, V]) start(c echo.Context) error {
	dry := false
	if o.previews {
		var err error
		if dry, err = dryRunOf(c); err != nil {
			return err
		}
	}
	id, err := orderID(c)
	if err != nil {
		return err
	}
	f, err := o.flow()
	if err != nil {
		return err
	}
	key, request, err := posted(o.Server, c, o.decode)
	if err != nil {
		return err
	}
	by, err := actor(c, request.by)
	if err != nil {
		return err
	}
	if dry {
		key = "" // it has no effect that counts once
	}
	r := sagaclient.Request{
		ID: request.id, CorrelationID: correlationOf(c.Request().Context()), Fresh: request.id == "" && key == "", CallerID: request.id != "",
	}
	if r.ID == "" {
		r.ID = o.requestID(c, key, o.table.Name, id)
	}
	if r.Body, err = json.Marshal(request.input(id, by)); err != nil {
		return fault.Wrap(err, fault.Internal, "write the %s of order %s", o.table.Name, id)
	}
	aboutSaga(c, f, r.ID)
	begun, preview, err := o.begin(c, id, r)
	if err != nil {
		return err
	}
	if dry {
		return writeJSON(c, http.StatusOK, preview)
	}
	_, replayed, err := o.Server.start(c, f, r, key)
	if err != nil {
		return err
	}
	wait, leave := o.limits.wait(c, preferredWait(c.Request().Header))
	defer leave()
	o.followSaga(c, f, r.ID, 0, cmp.Or(wait, reservationWait), func(record event.Record) bool {
		return isTerminal(record) || wait == 0 && record.Type == o.reserved
	})
	ctx, cancel := o.withDependencyTimeout(c)
	defer cancel()
	state, err := o.load(ctx, r.ID)
	k := o.table.Kit(&state)
	switch {
	case err == nil && !k.Opened():
		state = begun
	case err == nil && k.Ended && o.refused(&state) != nil:
		err = o.problem(o.refused(&state))
	}
	if err != nil {
		return err
	}
	return answerStarted(c, o.path(id, r.ID), replayed, wait, k.Ended, o.shown(state))
}

// begin returns the saga before its first event. It checks the order and the request of one that the log does not have yet, and returns what it would do.
func (o orderSagas[S, P, V]) begin(c echo.Context, orderID string, r sagaclient.Request) (begun S, preview any, err error) {
	ctx, cancel := o.withDependencyTimeout(c)
	defer cancel()
	of, err := o.ownOrder(ctx, c, orderID)
	if err != nil {
		return begun, nil, err
	}
	data, err := o.table.ReadStart(r.ID, r.Body, "")
	if err != nil {
		return begun, nil, err
	}
	if begun, err = o.table.Begun(r.ID, data); err != nil {
		return begun, nil, err
	}
	now := o.cfg.Clock().Truncate(time.Millisecond)
	k := o.table.Kit(&begun)
	k.CreatedAt, k.UpdatedAt, k.CorrelationID = now, now, r.CorrelationID
	before, err := o.load(ctx, r.ID)
	if err != nil || o.table.Kit(&before).Opened() {
		return begun, nil, err
	}
	preview, err = o.check(ctx, &begun, &of)
	var refusal *refund.Refusal
	if errors.As(err, &refusal) {
		err = o.problem(refusal)
	}
	return begun, preview, err
}

// list is GET of the list: the sagas that have reserved something, oldest first.
func (o orderSagas[S, P, V]) list(c echo.Context) error {
	id, err := orderID(c)
	if err != nil {
		return err
	}
	return answerPage(o.Server, c, queryOf(c), o.shown, func(ctx context.Context) (states []S, _ string, err error) {
		if _, err := o.ownOrder(ctx, c, id); err != nil {
			return nil, "", err
		}
		ledger, err := refunds.Load(ctx, o.cfg.Log, id)
		if err != nil {
			return nil, "", err
		}
		for _, key := range o.keys(ledger) {
			id, ok := o.table.IDOf(key)
			if !ok {
				continue
			}
			s, err := o.load(ctx, id)
			switch {
			case err != nil:
				return nil, "", err
			case !o.table.Kit(&s).Opened():
				return nil, "", fault.Missing("the stream of %s %s was not found", o.table.Name, id)
			}
			states = append(states, s)
		}
		return states, "", nil
	})
}

// get is GET of one.
func (o orderSagas[S, P, V]) get(c echo.Context) error {
	if err := queryOf(c).err(); err != nil {
		return err
	}
	id, err := orderID(c)
	if err != nil {
		return err
	}
	return answer(o.Server, c, o.shown, func(ctx context.Context) (S, error) {
		return o.find(ctx, c, id, pathParameter(c, o.table.Subject))
	})
}

// find returns a saga of an order. Between its start and its first event only Temporal knows it. The error is NotFound when Temporal does not
// either.
func (o orderSagas[S, P, V]) find(ctx context.Context, c echo.Context, orderID, id string) (state S, err error) {
	if _, err := o.ownOrder(ctx, c, orderID); err != nil {
		return state, err
	}
	unknown := fault.New(fault.NotFound, "order %s has no %s %s", orderID, o.table.Name, shortened(id))
	f, err := o.flow()
	if err != nil || !event.ValidID(id) {
		return state, unknown
	}
	state, err = o.load(ctx, id)
	if k := o.table.Kit(&state); err == nil && !k.Opened() {
		v, err := f.Sagas.View(ctx, id)
		if errors.Is(err, fault.NotFound) {
			err = unknown
		}
		if err != nil {
			return state, err
		}
		if state, err = o.table.Begun(id, v.Input); err != nil {
			return state, err
		}
		k.CreatedAt, k.UpdatedAt, k.CorrelationID = v.CreatedAt, v.UpdatedAt, v.CorrelationID
	}
	if err == nil && o.orderOf(&state) != orderID {
		err = unknown
	}
	return state, err
}
