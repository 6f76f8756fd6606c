package workflows

import (
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

type (
	customerStep = saga.Calls[activities.CustomerStepInput, activities.CustomerStepResult]
	customerCall = saga.Call[activities.CustomerStepInput, activities.CustomerStepResult]
	customerSaga = saga.Definition[activities.CustomerStepInput, activities.CustomerStepResult]
)

// CustomerSaga is the sequence of a customer's onboarding. onboarding.Next decides where in it a customer stands. The
// registration stands in the log before the saga starts; the welcome is a saga of its own.
func CustomerSaga() (*customerSaga, error) {
	return saga.Define("customer",
		customerStep{Name: onboarding.StepRegister, Kind: saga.Pivot, Slot: onboarding.SlotProfile},
		customerStep{Name: onboarding.StepWelcome, Kind: saga.Forward, Slot: onboarding.SlotOnboarded},
		customerStep{
			Name: onboarding.StepPublish, Kind: saga.Forward, Slot: onboarding.StepPublish,
			Do: saga.Activity(activities.NameCustomerPublish, (*activities.Customers).Publish, customerCall{
				Queue: QueueOrders, Summary: "publish the customer's events",
			}),
		},
	)
}

var (
	callCustomerOpen = saga.Activity(activities.NameCustomerOpen, (*activities.Customers).Open, customerCall{
		Queue: QueueOrders, Summary: "read the customer's stream",
	})
	callCustomerRecord = saga.Activity(activities.NameCustomerRecord, (*activities.Customers).Record, customerCall{
		Queue: QueueOrders, Summary: "record",
	})
)

// CustomerWorkflowID is the workflow id of a customer's saga.
func CustomerWorkflowID(customerID string) string { return "customer-" + customerID }

// CustomerInput starts a customer's saga, or goes on with it: what is known is in the log.
type CustomerInput struct {
	CustomerID string `json:"customerId"`
	// Published is the version up to which an earlier run has published.
	Published int64 `json:"published,omitempty"`
}

// CustomerResult is what a customer's saga came to.
type CustomerResult struct {
	CustomerID string `json:"customerId"`
	// Version is the version of the stream up to which everything is published.
	Version int64 `json:"version"`
}

// calmWeather is how long a step of a customer's or a notice's saga may be stuck before its run says so: a broker or a
// mail server that is down for hours comes back by itself, and nobody is asked to decide anything.
const calmWeather = 24 * time.Hour

// Customer is the saga of a customer's onboarding, and of what changes about them later. A signal only says that there is
// more, and any run can finish it.
func Customer(ctx workflow.Context, in CustomerInput) (CustomerResult, error) {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	r := &customerRun{ctx: disconnected, in: in, state: onboarding.State{CustomerID: in.CustomerID}}
	r.facts.Published = in.Published
	sequence, err := CustomerSaga()
	if err != nil {
		return CustomerResult{}, err
	}
	r.unread = true
	for r.unread {
		if err := r.read(); err != nil {
			return CustomerResult{}, err
		}
		if err := saga.NewDriver(ctx, sequence, r).Run(); err != nil {
			return CustomerResult{}, err
		}
		r.TakeIn()
	}
	return CustomerResult{CustomerID: in.CustomerID, Version: r.facts.Published}, nil
}

// customerRun is one run of a customer's saga.
type customerRun struct {
	ctx   workflow.Context
	in    CustomerInput
	state onboarding.State
	facts onboarding.Facts
	drain saga.Drain
	// changes counts signals; unread tells that the log has more.
	changes int
	unread  bool
}

var _ saga.Run[activities.CustomerStepInput, activities.CustomerStepResult] = (*customerRun)(nil)

// read folds what the log has behind what the run knows.
func (r *customerRun) read() error {
	r.unread = false
	result, err := saga.UntilDone(r.ctx, callCustomerOpen, activities.CustomerStepInput{State: r.state}, r.Idle)
	if err != nil {
		return err
	}
	r.facts.Welcome, r.state = result.Welcome, *result.State
	return nil
}

func (r *customerRun) fold(result activities.CustomerStepResult) {
	if result.State != nil && result.State.Head.Version > r.state.Head.Version {
		r.state = *result.State
	}
	r.state = saga.Must(r.state.Fold(result.Tail))
	r.facts.Published = max(r.facts.Published, result.Published)
}

// TakeIn takes in the signals.
func (r *customerRun) TakeIn() {
	for workflow.GetSignalChannel(r.ctx, SignalCustomer).ReceiveAsync(nil) {
		r.changes++
		r.unread = true
	}
}

// Facts counts the signals.
func (r *customerRun) Facts() int { return r.changes }

// Next asks onboarding.Next, once everything is read.
func (r *customerRun) Next(now time.Time) saga.Action {
	if r.unread {
		return saga.Action{Kind: saga.Record}
	}
	return onboarding.Next(r.state, r.facts, now)
}

// Record reads what somebody else has appended, starts the welcome, or appends what onboarding.Next decides.
func (r *customerRun) Record() error {
	if r.unread {
		return r.read()
	}
	next := onboarding.Next(r.state, r.facts, workflow.Now(r.ctx))
	if next.Step == onboarding.StepWelcome {
		return r.welcome()
	}
	in := activities.CustomerStepInput{State: r.state, Entry: next.Entry}
	result, err := saga.UntilDone(r.ctx, callCustomerRecord, in, r.Idle)
	if err == nil {
		r.fold(result)
	}
	return err
}

// welcome has a saga of its own welcome the customer. It outlives this one.
func (r *customerRun) welcome() error {
	subject := notification.Subject{Kind: notification.Welcome, CustomerID: r.state.CustomerID}
	child := workflow.WithChildOptions(r.ctx, workflow.ChildWorkflowOptions{
		WorkflowID: NoticeWorkflowID(subject.ID()), TaskQueue: QueueOrders, ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		StaticSummary:         saga.Summary(NoticeSummary(subject)),
		TypedSearchAttributes: temporal.NewSearchAttributes(CustomerID.ValueSet(r.state.CustomerID)),
	})
	err := workflow.ExecuteChildWorkflow(child, NameNotice, NoticeInput{Subject: subject}).GetChildWorkflowExecution().Get(r.ctx, nil)
	if err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return err
	}
	r.facts.Welcomed = true
	return nil
}

// Input is what the step needs.
func (r *customerRun) Input(saga.Action, bool) activities.CustomerStepInput {
	return activities.CustomerStepInput{State: r.state, Published: r.facts.Published}
}

// Durable returns the same input: nothing of it is for an inline step only.
func (r *customerRun) Durable(in activities.CustomerStepInput) activities.CustomerStepInput {
	return in
}

// Fast is not asked: no step calls a service of somebody else's.
func (r *customerRun) Fast() bool { return true }

// Interrupts reports whether the run is due to continue as new: it does not wait for an outage to end.
func (r *customerRun) Interrupts(saga.Action) bool { return r.drain.Due(r.ctx) }

// Fold takes in what a step has answered.
func (r *customerRun) Fold(_ saga.Action, _ activities.CustomerStepInput, out activities.CustomerStepResult) error {
	r.fold(out)
	return nil
}

// GiveUp is never called: no step has a deadline.
func (r *customerRun) GiveUp(saga.Action, activities.CustomerStepInput, error) {}

// Raise does nothing: the step goes on being tried, and the kit shows why it is stuck.
func (r *customerRun) Raise(saga.Stuck) {}

// Patience is long: see calmWeather.
func (r *customerRun) Patience() time.Duration { return calmWeather }

// Idle shows why the run stays where it is.
func (r *customerRun) Idle(note string) {
	workflow.SetCurrentDetails(r.ctx, fmt.Sprintf("Customer %s: **%s**, version %d, published up to %d\n",
		r.in.CustomerID, note, r.state.Head.Version, r.facts.Published))
}

// Drain is what callers see of a run that is about to continue as new.
func (r *customerRun) Drain() *saga.Drain { return &r.drain }

// MayContinueAsNew reports that a new run knows as much: everything is in the log.
func (r *customerRun) MayContinueAsNew() bool { return true }

// ContinueAsNew bounds the history of a run that waits for long.
func (r *customerRun) ContinueAsNew() error {
	return workflow.NewContinueAsNewError(r.ctx, NameCustomer, CustomerInput{CustomerID: r.in.CustomerID, Published: r.facts.Published})
}

// Close ends the run.
func (r *customerRun) Close() error {
	r.Idle("up to date")
	return nil
}

// CustomerSummary is a customer's saga in one line, for the Temporal Web UI.
func CustomerSummary(customerID string) string {
	return "customer " + customerID + ": registration and profile"
}
