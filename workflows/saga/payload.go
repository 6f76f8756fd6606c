package saga

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// Input starts a saga, or continues it: what the log has comes first.
type Input struct {
	ID string `json:"id"`
	// Data is the data of the first event.
	Data json.RawMessage `json:"data,omitempty"`
	// CorrelationID and CausationID are for the first event.
	CorrelationID string `json:"correlationId,omitempty"`
	CausationID   string `json:"causationId,omitempty"`
	// CallerID reports that a caller chose the ID: cancellations may have come before the saga.
	CallerID bool `json:"callerId,omitempty"`
	// Resume is set when a run continues another one.
	Resume *Resume `json:"resume,omitempty"`
}

// Resume is what a run hands to the next one besides the log.
type Resume struct {
	Facts Facts `json:"facts"`
	// Seen are the identities of the newest events that brought facts.
	Seen []string `json:"seen,omitempty"`
	// Published is the version up to which the broker has confirmed.
	Published int64 `json:"published,omitempty"`
	// Unconfirmed are notifications that the participant did not confirm, at most one of a type.
	Unconfirmed []Fact `json:"unconfirmed,omitempty"`
	// Late are late events that are not recorded yet.
	Late []LateEvent `json:"late,omitempty"`
	// Recover is set when an earlier run was interrupted: the facts that it received are read from its history.
	Recover *RecoverCursor `json:"recover,omitempty"`
	// Missed are facts that an earlier run received, oldest first.
	Missed []Fact `json:"missed,omitempty"`
}

// Result is the result of a run.
type Result struct {
	ID      string `json:"id"`
	Status  Status `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Version int64  `json:"version"`
	// Conflict reports that the stream belongs to a saga with different data: the run did nothing.
	Conflict bool `json:"conflict,omitempty"`
}

// Settings are those of the worker that opened a run. The run keeps them, so that it stays deterministic when workers with other
// settings continue it.
type Settings struct {
	// Waits says how long each wait of the table lasts.
	Waits map[Deadline]time.Duration `json:"waits,omitempty"`
	// Attention is how long a call that must succeed may be stuck before it needs attention.
	Attention time.Duration `json:"attention,omitempty"`
	// Fast reports that remote calls are fast enough to run inside a workflow task.
	Fast bool `json:"fast,omitempty"`
	// Slow are steps that the service of another team takes: their calls are remote ones whose service is not fast.
	Slow []string `json:"slow,omitempty"`
	// Inline is the time that one attempt of such a call gets inside a workflow task; 0 or less is none.
	Inline time.Duration `json:"inline,omitempty"`
}

// remote reports whether a call of a step is one of an external service that may be slow.
func (s Settings) remote(step string, remote bool) bool {
	return remote && !s.Fast || slices.Contains(s.Slow, step)
}

// Of is how long a wait lasts; it is a Timing.
func (s Settings) Of(d Deadline) time.Duration { return s.Waits[d] }

// OpenInput opens the stream of a saga.
type OpenInput struct {
	ID            string          `json:"id"`
	Data          json.RawMessage `json:"data,omitempty"`
	CorrelationID string          `json:"correlationId,omitempty"`
	CausationID   string          `json:"causationId,omitempty"`
	CallerID      bool            `json:"callerId,omitempty"`
	// Known reports that an earlier run has opened the stream, most likely: it is read first.
	Known bool `json:"known,omitempty"`
	// Now is the workflow's time, as in StepInput.
	Now time.Time `json:"now,omitzero"`
}

// OpenResult is what the stream says, with the settings of the run.
type OpenResult[S any] struct {
	StepResult[S]
	Settings Settings `json:"settings"`
	// Early are the cancellations that came before the saga.
	Early []Cancellation `json:"early,omitempty"`
}

// StepInput is what every step gets.
type StepInput[S any] struct {
	// State is the saga as far as the run has folded it. The step appends after its head.
	State S `json:"state"`
	// Settings are the run's.
	Settings Settings `json:"settings"`
	// Inline reports that the step runs inside a workflow task, where no signal can be seen: the decisions that follow from
	// its outcome are recorded with it, in one append.
	Inline bool `json:"inline,omitempty"`
	// Unpublished are records that the step publishes while it works.
	Unpublished []event.Record `json:"unpublished,omitempty"`
	// Entries are what to append; for Record.
	Entries []event.Entry `json:"entries,omitempty"`
	// Item is what the step is about.
	Item string `json:"item,omitempty"`
	// Fact is the notification about which a Lookup asks.
	Fact *Fact `json:"fact,omitempty"`
	// Hint is what the attempt before this one answered with TryLater, Tries counts them, and Last has it answered for good.
	Hint  string `json:"hint,omitempty"`
	Tries int    `json:"tries,omitempty"`
	Last  bool   `json:"last,omitempty"`
	// Now is the workflow's time at which the step was scheduled.
	Now time.Time `json:"now,omitzero"`
}

// StepResult is what every step answers.
type StepResult[S any] struct {
	// Tail are the records after the input's head, as the log has them. When they are too many, State is what they make of the
	// input's state.
	Tail  []event.Record `json:"tail,omitempty"`
	State *S             `json:"state,omitempty"`
	// Published is the version up to which the broker has confirmed the input's unpublished records; 0 when none.
	Published int64 `json:"published,omitempty"`
	// Unlisted reports that the list does not show the end of the saga yet.
	Unlisted bool `json:"unlisted,omitempty"`
	// Later is set when nothing was recorded because the step may succeed soon.
	Later *Later `json:"later,omitempty"`
	// Answer is what the run has to record.
	Answer *Answer `json:"answer,omitempty"`
	// Slow are the flow's activities whose calls are too slow for workflow tasks now, as far as the process has measured.
	Slow []string `json:"slow,omitempty"`
}

// ListInput is a saga that the list is to show.
type ListInput[S any] struct {
	State S `json:"state"`
}

// ListResult is what List answers: nothing yet.
type ListResult struct{}

// PublishInput says what to publish: the records of a stream with versions above After, up to Through, in their order.
type PublishInput struct {
	Stream  string `json:"stream,omitempty"`
	After   int64  `json:"after,omitempty"`
	Through int64  `json:"through,omitempty"`
	// Pages bounds how many pages of the log are published; 0 is no bound.
	Pages int `json:"pages,omitempty"`
	// Records are the same records, for an activity inside a workflow task: it does not read the log then.
	Records []event.Record `json:"records,omitempty"`
}

// PublishResult says up to which version the broker has confirmed.
type PublishResult struct {
	Published int64 `json:"published"`
}

// LateEvent is an event that came after its saga had ended.
type LateEvent struct {
	// ID is the one by which everything that the event causes is done once.
	ID      string `json:"id"`
	EventID string `json:"eventId"`
	Type    string `json:"type"`
	// Identity names the event by its source, type, subject, ID and content.
	Identity string `json:"identity,omitempty"`
}

// LateInput are events that reached a run after its saga had ended.
type LateInput struct {
	ID            string      `json:"id"`
	Status        Status      `json:"status"`
	CorrelationID string      `json:"correlationId,omitempty"`
	Events        []LateEvent `json:"events"`
	// Handled reports that an operator has acted on what strayed before the saga ended.
	Handled bool `json:"handled,omitempty"`
	// Unsettled has the events in the late stream looked at, too.
	Unsettled bool `json:"unsettled,omitempty"`
	// Now is the workflow's time, as in StepInput.
	Now time.Time `json:"now,omitzero"`
}

// LateResult reports whether something follows from one of the events.
type LateResult struct {
	Consequential bool `json:"consequential,omitempty"`
}

// MaxPredecessors bounds how many runs one run takes over from.
const MaxPredecessors = 16

// RecoverCursor says which runs are still to be read, and from where.
type RecoverCursor struct {
	// Run is the newest interrupted run; the runs that it was to take over from are found first.
	Run string `json:"run,omitempty"`
	// Runs are the runs that are still to be read, oldest first, once they are found. After is the ID of the newest history
	// event of the first of them that was read.
	Runs  []string `json:"runs,omitempty"`
	After int64    `json:"after,omitempty"`
}

// RecoverInput asks for the facts that the runs before this one received.
type RecoverInput struct {
	ID     string        `json:"id"`
	Cursor RecoverCursor `json:"cursor"`
	// Ended reports that the saga has ended: then every fact is late and is recorded. Otherwise facts are merged.
	Ended bool `json:"ended,omitempty"`
}

// RecoverResult are facts, as many as fit one answer.
type RecoverResult struct {
	Facts []Fact `json:"facts,omitempty"`
	// Next is where to continue; nil when everything was read.
	Next *RecoverCursor `json:"next,omitempty"`
}

// CancelAnswer answers a cancellation.
type CancelAnswer struct {
	// Accepted reports that the saga is being cancelled, or was.
	Accepted bool   `json:"accepted"`
	Status   Status `json:"status"`
	// Detail says why not.
	Detail string `json:"detail,omitempty"`
}

// ResolveAnswer answers a person's decision.
type ResolveAnswer struct {
	// Accepted reports that the log has the decision.
	Accepted bool   `json:"accepted"`
	Status   Status `json:"status"`
	// Detail says why not.
	Detail string `json:"detail,omitempty"`
}
