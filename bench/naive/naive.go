// Package naive is the same order saga, written as one writes it on a first day with Temporal: a straight workflow, every
// step a regular activity with the SDK's default retries. It is what the benchmark measures ordersaga against.
//
// It is frozen: it changes only where a package that it uses changes its signatures, never to become faster or slower.
// What would make it right under crashes and races is missing: it decides from the workflow's memory, a cancellation is
// not looked at, nothing asks for attention. It appends the same events through the same log, publishes the same messages
// through the same publisher, and uses the same stock ledger and payment gateway, so that what differs is how the saga is
// driven. It keeps no list of orders, which ordersaga does.
//
// There are two of it: Steps has one activity for each step and one for each event that is appended and published;
// Compact has one for each step, which also appends and publishes its outcome.
package naive

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Names of the workflows.
const (
	NameSteps   = "naive.Steps"
	NameCompact = "naive.Compact"
)

// activityTimeout bounds one attempt of an activity.
const activityTimeout = 30 * time.Second

func withOptions(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: activityTimeout})
}

// saga is a run of Steps.
type saga struct {
	ctx   workflow.Context
	state order.State
}

// Steps takes an order through the saga and returns its id.
func Steps(ctx workflow.Context, o order.Order) (string, error) {
	s := &saga{ctx: withOptions(ctx), state: order.State{Order: o}}
	return o.ID, s.run(o)
}

func (s *saga) run(o order.Order) error {
	if err := s.record(order.Accept(o, o.ID, "", s.now())); err != nil {
		return err
	}
	var lines []order.LineOutcome
	if err := s.do((*Activities).Reserve, o, &lines); err != nil {
		return err
	}
	if err := s.record(s.state.Reserved(lines, s.now())); err != nil {
		return err
	}
	var paid payment.Result
	if err := s.do((*Activities).Authorize, o, &paid); err != nil {
		return err
	}
	if paid.State != payment.Authorized {
		return s.back(o, paid)
	}
	return s.forward(o, paid)
}

func (s *saga) forward(o order.Order, paid payment.Result) error {
	if err := s.record(s.state.Authorized(paid.PaymentID, s.now())); err != nil {
		return err
	}
	if err := s.decide(); err != nil { // order.settling
		return err
	}
	if err := s.do((*Activities).Capture, paymentOf(o, paid.PaymentID), nil); err != nil {
		return err
	}
	if err := s.record(s.state.Captured(paid.PaymentID, s.now())); err != nil {
		return err
	}
	if err := s.do((*Activities).Commit, o, nil); err != nil {
		return err
	}
	if err := s.record(s.state.CommittedStock(s.now())); err != nil {
		return err
	}
	return s.decide() // order.completed
}

func (s *saga) back(o order.Order, paid payment.Result) error {
	if err := s.record(s.state.Declined(paid.PaymentID, paid.Code, paid.Asynchronous, s.now())); err != nil {
		return err
	}
	if err := s.decide(); err != nil { // order.compensating
		return err
	}
	if err := s.do((*Activities).Release, o, nil); err != nil {
		return err
	}
	if err := s.record(s.state.Undone(order.StepReserve, s.now())); err != nil {
		return err
	}
	return s.decide() // order.rejected
}

func (s *saga) now() time.Time { return workflow.Now(s.ctx) }

// do runs a step.
func (s *saga) do(activity, in, out any) error {
	return workflow.ExecuteActivity(s.ctx, activity, in).Get(s.ctx, out)
}

// record has an event appended and published.
func (s *saga) record(e event.Entry) error {
	return s.do((*Activities).Record, RecordInput{State: s.state, Entry: e}, &s.state)
}

// decide records the events that follow from the ones before, each with an activity of its own.
func (s *saga) decide() error {
	for _, e := range order.Decisions(s.state, order.Facts{}, s.now(), timing) {
		if err := s.record(e); err != nil {
			return err
		}
	}
	return nil
}

// timing is how long orders wait: nothing here waits.
var timing = order.Timing{
	PaymentPending: time.Hour, Shipment: time.Hour, Delivery: time.Hour, Reserve: time.Hour, Authorize: time.Hour, Attention: time.Hour,
}

// Compact takes an order through the saga in six activities and returns its id; a declined one in five.
func Compact(ctx workflow.Context, o order.Order) (string, error) {
	ctx = withOptions(ctx)
	state := order.State{Order: o}
	do := func(step string) error {
		return workflow.ExecuteActivity(ctx, (*Activities).Step, StepInput{State: state, Step: step}).Get(ctx, &state)
	}
	for _, step := range []string{stepAccept, stepReserve, stepAuthorize} {
		if err := do(step); err != nil {
			return "", err
		}
	}
	rest := []string{stepCapture, stepCommit, stepEnd}
	if state.Decision == order.Back {
		rest = []string{stepRelease, stepEnd}
	}
	for _, step := range rest {
		if err := do(step); err != nil {
			return "", err
		}
	}
	return o.ID, nil
}
