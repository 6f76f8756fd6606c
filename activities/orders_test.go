package activities_test

import (
	"context"
	"encoding/json"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

type (
	stepInput  = saga.StepInput[order.State]
	stepResult = saga.StepResult[order.State]
)

// orders are the activities of the order flow. Those that the flow has for its steps are called by their registered names.
type orders struct {
	*activities.Flow[order.State, *order.Participants]
}

func newOrders(r *activities.Recorder, l activities.List[order.State], p order.Participants, s saga.Settings) *orders {
	return &orders{&activities.Flow[order.State, *order.Participants]{
		Recorder: r, Table: &order.Flow, Participants: &p, Settings: s, List: l, Late: latepayment.Recorder{Log: r.Log, Clock: r.Clock}.Record,
	}}
}

// call runs an activity by its name.
func call[In, Out any](ctx context.Context, o *orders, name string, in In) (Out, error) {
	return o.Activities()[name].(func(context.Context, In) (Out, error))(ctx, in)
}

func (o *orders) Reserve(ctx context.Context, in stepInput) (stepResult, error) {
	return call[stepInput, stepResult](ctx, o, "inventory.Reserve", in)
}

func (o *orders) Find(ctx context.Context, in stepInput) (stepResult, error) {
	return call[stepInput, stepResult](ctx, o, "inventory.Find", in)
}

func (o *orders) Release(ctx context.Context, in stepInput) (stepResult, error) {
	return call[stepInput, stepResult](ctx, o, "inventory.Release", in)
}

func (o *orders) Commit(ctx context.Context, in stepInput) (stepResult, error) {
	return call[stepInput, stepResult](ctx, o, "inventory.Commit", in)
}

func (o *orders) Authorize(ctx context.Context, in stepInput) (stepResult, error) {
	return call[stepInput, stepResult](ctx, o, "payment.Authorize", in)
}

func (o *orders) Lookup(ctx context.Context, in stepInput) (stepResult, error) {
	return call[stepInput, stepResult](ctx, o, "payment.Lookup", in)
}

func (o *orders) Capture(ctx context.Context, in stepInput) (stepResult, error) {
	return call[stepInput, stepResult](ctx, o, "payment.Capture", in)
}

func (o *orders) LookupCapture(ctx context.Context, in stepInput) (stepResult, error) {
	return call[stepInput, stepResult](ctx, o, "payment.LookupCapture", in)
}

func (o *orders) Void(ctx context.Context, in stepInput) (stepResult, error) {
	return call[stepInput, stepResult](ctx, o, "payment.Void", in)
}

func (o *orders) List(ctx context.Context, in saga.ListInput[order.State]) (saga.ListResult, error) {
	return call[saga.ListInput[order.State], saga.ListResult](ctx, o, "order.List", in)
}

func (o *orders) Late(ctx context.Context, in saga.LateInput) (saga.LateResult, error) {
	return call[saga.LateInput, saga.LateResult](ctx, o, "order.Late", in)
}

// opens is the input that opens the stream of an order.
func opens(o order.Order) saga.OpenInput {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return saga.OpenInput{ID: o.ID, Data: data}
}
