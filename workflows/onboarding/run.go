package onboarding

import (
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Registered names. They are part of histories: never rename one.
const (
	// Workflow is the workflow type; Signal tells a run that there is more.
	Workflow = "CustomerSaga"
	Signal   = "customer"

	NameOpen    = "customer.Open"
	NameRecord  = "customer.Record"
	NamePublish = "customer.Publish"
)

type (
	customerStep = saga.Calls[StepInput, StepResult]
	customerCall = saga.ActivityCall[StepInput, StepResult]
	customerSaga = saga.Definition[StepInput, StepResult]
)

// Calls are the steps of a customer's onboarding. Next says which one is next. The registration is in the log before the saga starts;
// the welcome is a saga of its own.
func Calls() (*customerSaga, error) {
	return saga.Define("customer",
		customerStep{Name: StepRegister, Kind: saga.Pivot, Slot: SlotProfile},
		customerStep{Name: StepWelcome, Kind: saga.Forward, Slot: SlotOnboarded},
		customerStep{
			Name: StepPublish, Kind: saga.Forward, Slot: StepPublish,
			Do: saga.Activity(NamePublish, (*Activities).Publish, customerCall{
				Queue: saga.QueueOrders, Summary: "publish the customer's events",
			}),
		},
	)
}

var (
	callCustomerOpen = saga.Activity(NameOpen, (*Activities).Open, customerCall{
		Queue: saga.QueueOrders, Summary: "read the customer's stream",
	})
	callCustomerRecord = saga.Activity(NameRecord, (*Activities).Record, customerCall{
		Queue: saga.QueueOrders, Summary: "record",
	})
)

// WorkflowID is the workflow id of a customer's saga.
func WorkflowID(customerID string) string { return event.WorkflowID("customer-", customerID) }

// Input starts a customer's saga, or goes on with it: what is known is in the log.
type Input struct {
	CustomerID string `json:"customerId"`
	// Published is the version up to which an earlier run has published.
	Published int64 `json:"published,omitempty"`
}

// Result is what a customer's saga came to.
type Result struct {
	CustomerID string `json:"customerId"`
	// Version is the version of the stream up to which everything is published.
	Version int64 `json:"version"`
}

// Run is the saga of a customer's onboarding, and of what changes about them later. A signal only says that there is
// more, and any run can finish it.
func Run(ctx workflow.Context, in Input) (Result, error) {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	r := &customerRun{ctx: disconnected, in: in, state: State{CustomerID: in.CustomerID}}
	r.facts.Published = in.Published
	sequence, err := Calls()
	if err != nil {
		return Result{}, err
	}
	r.unread = true
	for r.unread {
		if err := r.read(); err != nil {
			return Result{}, err
		}
		if err := saga.NewDriver(ctx, sequence, r).Run(); err != nil {
			return Result{}, err
		}
		r.TakeIn()
	}
	return Result{CustomerID: in.CustomerID, Version: r.facts.Published}, nil
}

// customerRun is one run of a customer's saga.
type customerRun struct {
	saga.Loop[StepInput]
	ctx   workflow.Context
	in    Input
	state State
	facts Facts
	// welcoming is the saga that welcomes the customer; nil when customers are not welcomed.
	welcoming *saga.Child
	// changes counts signals; unread tells that the log has more.
	changes int
	unread  bool
}

var _ saga.Run[StepInput, StepResult] = (*customerRun)(nil)

// read folds what the log has behind what the run knows.
func (r *customerRun) read() error {
	r.unread = false
	result, err := saga.UntilDone(r.ctx, callCustomerOpen, StepInput{State: r.state}, r.Idle)
	if err != nil {
		return err
	}
	r.welcoming, r.state = result.Welcome, *result.State
	r.facts.Welcome = r.welcoming != nil
	return nil
}

func (r *customerRun) fold(result StepResult) {
	if result.State != nil && result.State.Head.Version > r.state.Head.Version {
		r.state = *result.State
	}
	r.state = saga.Must(r.state.Fold(result.Tail))
	r.facts.Published = max(r.facts.Published, result.Published)
}

// TakeIn takes in the signals.
func (r *customerRun) TakeIn() {
	for workflow.GetSignalChannel(r.ctx, Signal).ReceiveAsync(nil) {
		r.changes++
		r.unread = true
	}
}

// Facts counts the signals.
func (r *customerRun) Facts() int { return r.changes }

// Next asks Next, once everything is read.
func (r *customerRun) Next(now time.Time) saga.Action {
	if r.unread {
		return saga.Action{Kind: saga.Record}
	}
	return Next(r.state, r.facts, now)
}

// Record reads what somebody else has appended, starts the welcome, or appends what Next decides.
func (r *customerRun) Record() error {
	if r.unread {
		return r.read()
	}
	next := Next(r.state, r.facts, workflow.Now(r.ctx))
	if next.Step == StepWelcome {
		return r.welcome()
	}
	in := StepInput{State: r.state, Entry: next.Entry}
	result, err := saga.UntilDone(r.ctx, callCustomerRecord, in, r.Idle)
	if err == nil {
		r.fold(result)
	}
	return err
}

// welcome has a saga of its own welcome the customer. It outlives this one.
func (r *customerRun) welcome() error {
	child := workflow.WithChildOptions(r.ctx, workflow.ChildWorkflowOptions{
		WorkflowID: r.welcoming.ID, TaskQueue: saga.QueueOrders, ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		StaticSummary:         saga.Summary(r.welcoming.Summary),
		TypedSearchAttributes: temporal.NewSearchAttributes(saga.CustomerID.ValueSet(r.state.CustomerID)),
	})
	err := workflow.ExecuteChildWorkflow(child, r.welcoming.Workflow, r.welcoming.Input).GetChildWorkflowExecution().Get(r.ctx, nil)
	if err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return err
	}
	r.facts.Welcomed = true
	return nil
}

// Input is what the step needs.
func (r *customerRun) Input(saga.Action, bool) StepInput {
	return StepInput{State: r.state, Published: r.facts.Published}
}

// Interrupts reports whether the run is due to continue as new: it does not wait for an outage to end.
func (r *customerRun) Interrupts(saga.Action) bool { return r.Drain().Due(r.ctx) }

// Fold takes in what a step has answered.
func (r *customerRun) Fold(_ saga.Action, _ StepInput, out StepResult) error {
	r.fold(out)
	return nil
}

// Idle shows why the run stays where it is.
func (r *customerRun) Idle(note string) {
	workflow.SetCurrentDetails(r.ctx, fmt.Sprintf("Customer %s: **%s**, version %d, published up to %d\n",
		r.in.CustomerID, note, r.state.Head.Version, r.facts.Published))
}

// ContinueAsNew bounds the history of a run that waits for long.
func (r *customerRun) ContinueAsNew() error {
	return workflow.NewContinueAsNewError(r.ctx, Workflow, Input{CustomerID: r.in.CustomerID, Published: r.facts.Published})
}

// Close ends the run.
func (r *customerRun) Close() error {
	r.Idle("up to date")
	return nil
}

// Summary is a customer's saga in one line, for the Temporal Web UI.
func Summary(customerID string) string {
	return "customer " + customerID + ": registration and profile"
}
