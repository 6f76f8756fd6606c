package notification

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Registered names. They are part of histories: never rename one.
const (
	// Workflow is the workflow type.
	Workflow = "NoticeSaga"

	NameOpen   = "notice.Open"
	NameRecord = "notice.Record"
	NameSend   = "notice.Send"
)

type (
	noticeStep = saga.Calls[StepInput, StepResult]
	noticeCall = saga.ActivityCall[StepInput, StepResult]
	noticeSaga = saga.Definition[StepInput, StepResult]
)

// sendTimeout bounds one attempt to send. A worker that dies while it sends is noticed after it.
const sendTimeout = 45 * time.Second

// Calls are the steps of a message to a customer. Next says which one is next. Sending is always a regular activity: an activity inside a
// workflow task is repeated, unnoticed, when the task is discarded.
func Calls() (*noticeSaga, error) {
	return saga.Define("notice",
		noticeStep{Name: StepRequest, Kind: saga.Pivot, Slot: SlotRequest},
		noticeStep{
			Name: StepSend, Kind: saga.Forward, Slot: SlotIntent,
			Do: saga.Activity(NameSend, (*Activities).Send, noticeCall{
				Queue: saga.QueueNotifications, Summary: "send the message", Remote: true, Timeout: sendTimeout,
			}),
		},
	)
}

var (
	callNoticeOpen = saga.Activity(NameOpen, (*Activities).Open, noticeCall{
		Queue: saga.QueueOrders, Summary: "read the notice's stream",
	})
	callNoticeRecord = saga.Activity(NameRecord, (*Activities).Record, noticeCall{
		Queue: saga.QueueOrders, Summary: "record",
	})
)

// WorkflowID is the workflow id of a message's saga.
func WorkflowID(noticeID string) string { return "notice-" + noticeID }

// Input starts a message's saga, or goes on with it: what is known is in the log.
type Input struct {
	Subject
}

// RunResult is what a message came to. Outcome is empty when there was no message to send.
type RunResult struct {
	NoticeID string  `json:"noticeId"`
	Outcome  Outcome `json:"outcome,omitempty"`
	Version  int64   `json:"version"`
}

// Run is the saga of a message to a customer. Any run can finish it; none sends what another was about to send.
func Run(ctx workflow.Context, in Input) (RunResult, error) {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	r := &noticeRun{ctx: disconnected, in: in, state: State{Subject: in.Subject}}
	sequence, err := Calls()
	if err != nil {
		return RunResult{}, err
	}
	if err := r.open(); err != nil {
		return RunResult{}, err
	}
	if err := saga.NewDriver(ctx, sequence, r).Run(); err != nil {
		return RunResult{}, err
	}
	return RunResult{NoticeID: in.ID(), Outcome: r.state.Outcome, Version: r.state.Head.Version}, nil
}

// noticeRun is one run of a message's saga.
type noticeRun struct {
	saga.Loop[StepInput]
	ctx   workflow.Context
	in    Input
	state State
	facts Facts
}

var _ saga.Run[StepInput, StepResult] = (*noticeRun)(nil)

// open reads the stream, and begins it when there is somebody to be told.
func (r *noticeRun) open() error {
	result, err := saga.UntilDone(r.ctx, callNoticeOpen, StepInput{State: r.state, Now: workflow.Now(r.ctx)}, r.Idle)
	if err != nil {
		return err
	}
	if result.Requested == nil {
		r.fold(result)
		return nil
	}
	in := StepInput{State: r.state, Entry: *result.Requested}
	if result, err = saga.UntilDone(r.ctx, callNoticeRecord, in, r.Idle); err != nil {
		return err
	}
	r.fold(result)
	return nil
}

func (r *noticeRun) fold(result StepResult) {
	if result.State != nil && result.State.Head.Version > r.state.Head.Version {
		r.state = *result.State
	}
	r.state = saga.Must(r.state.Fold(result.Tail))
}

// TakeIn takes in nothing: nobody signals a message.
func (r *noticeRun) TakeIn() {}

// Facts counts nothing.
func (r *noticeRun) Facts() int { return 0 }

// Next asks Next.
func (r *noticeRun) Next(now time.Time) saga.Action {
	return Next(r.state, r.facts, now)
}

// Record appends what Next decides.
func (r *noticeRun) Record() error {
	next := Next(r.state, r.facts, workflow.Now(r.ctx))
	if next.Kind != saga.Record {
		return nil
	}
	in := StepInput{State: r.state, Entry: next.Entry}
	result, err := saga.UntilDone(r.ctx, callNoticeRecord, in, r.Idle)
	if err != nil {
		return err
	}
	if len(result.Tail) > 0 || result.State != nil {
		r.facts.Answer = nil
	}
	r.fold(result)
	return nil
}

// Input is the message as far as it is folded.
func (r *noticeRun) Input(saga.Action, bool) StepInput {
	return StepInput{State: r.state, Now: workflow.Now(r.ctx)}
}

// Fold takes in what an attempt came to.
func (r *noticeRun) Fold(_ saga.Action, _ StepInput, out StepResult) error {
	r.facts.Answer = out.Answer
	r.fold(out)
	return nil
}

// Idle shows why the run stays where it is.
func (r *noticeRun) Idle(note string) {
	workflow.SetCurrentDetails(r.ctx, fmt.Sprintf("Message %s: **%s**, %d attempts %s\n", r.in.ID(), note, r.state.Attempt, r.state.Outcome))
}

// MayContinueAsNew reports whether nothing would be lost by a new run: an answer that is not recorded would be.
func (r *noticeRun) MayContinueAsNew() bool { return r.facts.Answer == nil }

// ContinueAsNew bounds the history of a run that waits for long.
func (r *noticeRun) ContinueAsNew() error {
	return workflow.NewContinueAsNewError(r.ctx, Workflow, r.in)
}

// Close ends the run.
func (r *noticeRun) Close() error {
	r.Idle("done")
	return nil
}

// Summary is a message's saga in one line, for the Temporal Web UI.
func Summary(s Subject) string {
	if s.OrderID == "" {
		return string(s.Kind) + " for customer " + s.CustomerID
	}
	return "order " + s.OrderID + " is " + string(s.Kind)
}
