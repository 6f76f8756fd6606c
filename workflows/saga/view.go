package saga

import (
	"cmp"
	"encoding/json"
	"iter"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// Info describes a flow, without its types: for lists, routing and drawings.
type Info struct {
	// Name names the flow, Stream begins the names of its streams and workflow IDs.
	Name, Stream string
	// Workflow is the registered workflow type; Subject is the field with the saga's ID in the data of its events.
	Workflow, Subject string
	// Queues are the task queues of its workflows and its steps, the workflows' first.
	Queues []string
	// Startable reports that requests may start sagas of the flow, Endless that its sagas have no end and cannot be cancelled, Private that their
	// events are not published, NoAttention that they never need attention.
	Startable, Endless, Private, NoAttention bool
	// LateWorkflow is the workflow type of the flow whose sagas handle what comes after the end of this flow's, with the same IDs; "" for none.
	LateWorkflow string
	Steps        []StepInfo
	Inbound      []Inbound
}

// StepInfo describes a row of a flow's table.
type StepInfo struct {
	Name string
	Kind Kind
	// Conditional reports that the row applies to some sagas only. Compensated reports that it has a compensation, Remote that it calls a
	// service that is not ours.
	Conditional, Compensated, Remote bool
	// Done, Refused, Undone and Pending are the types of its events.
	Done, Refused string
	Undone        []string
	Pending       string
	// On are the types of events that it waits for, For what that is to people.
	On  []string
	For string
	// Deadline is the setting that bounds how long it may be unavailable, WaitDeadline the one that bounds the wait.
	Deadline, WaitDeadline Deadline
}

// Definer is a flow, whatever its state and its participants are: what everything needs that is neither a workflow nor an activity.
type Definer interface {
	Info() Info
	// Check reports everything that is wrong with the table, Register adds the flow's events to the catalog.
	Check() error
	Register() error
	// Activities are the registered names of its step functions.
	Activities() []string
	// View is a saga computed from its records.
	View(records []event.Record) (View, error)
	// Views yields the saga after each of its records, and ends with the error of one that cannot be folded.
	Views(records []event.Record) iter.Seq2[View, error]
	// ReadStart reads what a saga is to be started with; see Flow.ReadStart.
	ReadStart(id string, raw json.RawMessage, at string) (json.RawMessage, error)
	// StreamOf, EarlyStreamOf and LateStreamOf name the streams of a saga, WorkflowID its workflow.
	StreamOf(id string) string
	EarlyStreamOf(id string) string
	LateStreamOf(id string) string
	WorkflowID(id string) string
	// Early, EarlyCancellations, Cancellation and LateEntries make and read what is kept of events that come before and after a saga.
	Early(id string, c Cancellation, correlationID string, at time.Time) event.Entry
	EarlyCancellations(records []event.Record) ([]Cancellation, error)
	Cancellation(id string, c Cancellation) Fact
	LateEntries(in LateInput, at time.Time) []event.Entry
	// Lasts reports whether sagas may stay in a status for long. StartedWith, Answers and Due are questions about a saga: see Flow.
	Lasts(s Status) bool
	StartedWith(records []event.Record, data json.RawMessage) (bool, error)
	Answers(records []event.Record, e LateEvent) (bool, error)
	Due(records []event.Record, facts Facts, now time.Time, timing Timing) (what string, within time.Duration, err error)
}

// Info describes the flow.
func (f *Flow[S, P]) Info() Info {
	info := Info{
		Name: f.Name, Stream: f.Stream, Workflow: f.WorkflowType(), Subject: f.subject(), Startable: f.Start != nil,
		Endless: f.Endless, Private: f.Private, NoAttention: f.NoAttention, Inbound: f.Inbound,
	}
	if f.Late != nil {
		info.LateWorkflow = f.Late.Workflow
	}
	info.Queues = append(info.Queues, f.Queue)
	for i := range f.Steps {
		row := &f.Steps[i]
		step := StepInfo{
			Name: row.Name, Kind: row.Kind, Conditional: row.When != nil, Compensated: row.Undo != nil, Remote: row.Do != nil && row.Do.Remote,
			Done: row.Done, Refused: row.Refused, Undone: row.Undone, Deadline: row.Deadline,
		}
		if p := row.Pending; p != nil {
			step.Pending, step.On, step.For, step.WaitDeadline = p.Event, p.On, p.For, p.Deadline
		}
		if w := row.Wait; w != nil {
			step.On, step.For, step.WaitDeadline = slices.Clone(w.On), w.For, w.Deadline
			for _, t := range w.Trouble {
				step.On = append(step.On, t.On)
			}
		}
		for _, o := range []*Operation[S, P]{row.Do, row.Lookup, row.Undo} {
			if o != nil && o.Queue != "" && !slices.Contains(info.Queues, o.Queue) {
				info.Queues = append(info.Queues, o.Queue)
			}
		}
		info.Steps = append(info.Steps, step)
	}
	return info
}

// View is a saga of any flow, as people and programs are shown it.
type View struct {
	Flow   string
	ID     string
	Status Status
	Reason string
	Detail string
	// Ended reports that nothing comes after it. Attention is what an operator must act on, and Actions are what may be decided about it;
	// none when there is nothing.
	Ended bool
	// ByHand reports that a person has settled a step.
	ByHand    bool
	Attention *AttentionState
	Actions   []ResolutionAction
	// Version is the version of the saga's stream.
	Version              int64
	CreatedAt, UpdatedAt time.Time
	CorrelationID        string
	Steps                []StepView
	// Input is the data of the first event, of a saga that has no event yet.
	Input json.RawMessage
}

// StepView is a step of a saga.
type StepView struct {
	Name  string
	Kind  Kind
	State ViewState
	// StartedAt is when the step's turn came, EndedAt when its outcome, or that of its compensation, was recorded; zero before.
	StartedAt, EndedAt time.Time
	// Attempts and Error are about a step that needs attention.
	Attempts int
	Error    string
}

// ViewState says how far a step is, for programs.
type ViewState string

// The states of a step.
const (
	ViewPending      ViewState = "pending"
	ViewRunning      ViewState = "running"
	ViewDone         ViewState = "done"
	ViewRefused      ViewState = "refused"
	ViewUnknown      ViewState = "unknown"
	ViewCompensating ViewState = "compensating"
	ViewCompensated  ViewState = "compensated"
	ViewSkipped      ViewState = "skipped"
	ViewSubstituted  ViewState = "substituted"
)

// open reports whether the step is still to be done.
func (v ViewState) open() bool { return v == ViewPending || v == ViewRunning || v == ViewUnknown }

// View computes a saga from its records, a stream from its first version on. Errors: those of Fold.
func (f *Flow[S, P]) View(records []event.Record) (View, error) {
	var none S
	s, err := f.Fold(none, records)
	if err != nil {
		return View{}, err
	}
	return f.ViewOf(&s), nil
}

// Views yields the saga after each record of its stream, and ends with the error of one that cannot be folded.
func (f *Flow[S, P]) Views(records []event.Record) iter.Seq2[View, error] {
	return func(yield func(View, error) bool) {
		var s S
		for _, r := range records {
			next, err := f.Fold(s, []event.Record{r})
			if err != nil {
				yield(View{Version: r.Version}, err)
				return
			}
			if s = next; !yield(f.ViewOf(&s), nil) {
				return
			}
		}
	}
}

// ViewOf is the view of a saga's state.
func (f *Flow[S, P]) ViewOf(s *S) View {
	k := kitOf(s)
	v := View{
		Flow: f.Name, ID: k.ID, Status: cmp.Or(k.Status, Accepted), Reason: k.Reason, Detail: k.Detail, Ended: k.Ended, ByHand: len(k.ByHand) > 0,
		Version: k.Head.Version, CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt, CorrelationID: k.CorrelationID,
	}
	if k.Attention.Open {
		open := k.Attention
		v.Attention = &open
		_, v.Actions = f.AttentionKind(s)
	}
	n := next[S, P]{flow: f, s: s, k: k, facts: &Facts{}}
	back := k.Decision == GoBack
	for row := range f.Applicable(s) {
		back = back || row.Kind == Compensable && n.refused(row)
	}
	began, running := k.CreatedAt, false
	for row := range f.Applicable(s) {
		step := n.view(row, back)
		if f.StepState != nil {
			step.State = f.StepState(s, row.Name)
		}
		if step.State == ViewPending && !running && k.Opened() {
			step.State, running = ViewRunning, true
		}
		if step.State != ViewPending && step.State != ViewSkipped {
			step.StartedAt = began
		}
		if at := k.Slot(row.slot()).At; !at.IsZero() {
			began = at
		}
		if open := k.Attention; open.Open && open.Step == row.Name {
			step.Attempts, step.Error = open.Attempts, open.Error
			if step.State == ViewRunning {
				step.State = ViewUnknown
			}
		}
		v.Steps = append(v.Steps, step)
	}
	if f.Endless {
		v.Status, v.Reason = f.endlessStatus(s, v.Steps)
	}
	return v
}

// endlessStatus is the status of a saga that has no end, and its reason.
func (f *Flow[S, P]) endlessStatus(s *S, steps []StepView) (status Status, reason string) {
	status = Completed
	if slices.ContainsFunc(steps, func(step StepView) bool { return step.State.open() }) {
		status = Accepted
	}
	if f.ShownAs != nil {
		shown, why := f.ShownAs(s)
		status, reason = cmp.Or(shown, status), why
	}
	if kitOf(s).Attention.Open {
		status = NeedsAttention
	}
	return status, reason
}

// view is how far a row is.
func (n *next[S, P]) view(row *Step[S, P], back bool) StepView {
	step := StepView{Name: row.Name, Kind: row.Kind, State: ViewPending, EndedAt: n.k.Slot(row.slot()).At}
	done := n.isThrough(row)
	if row.Kind == Pivot {
		done = n.k.Decision == GoForward
	}
	undone := n.k.Slot(UndoSlot(row.Name))
	switch byHand := n.k.byHand(row.Name, ""); {
	case byHand == StepSkippedByHand || byHand == StepUndoSkippedByHand:
		step.State = ViewSkipped
	case byHand == StepSubstituted || byHand == StepUndoSubstituted:
		step.State = ViewSubstituted
	case undone.Type != "" || n.flow.Reverted != nil && n.flow.Reverted(n.s, row.Name):
		step.State, step.EndedAt = ViewCompensated, undone.At
	case n.cameToNothing(row):
		step.State = ViewRefused
	case back && !n.k.Ended && row.Kind == Compensable && (done || n.k.Has(row.slot()+slotPending)):
		step.State = ViewCompensating
	case done:
		step.State = ViewDone
	case back || n.k.Ended:
		step.State = ViewSkipped
	}
	return step
}
