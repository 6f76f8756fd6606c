// Package activities holds what a saga does to the world: reserve stock, move money, record outcomes in the
// event log and publish them.
//
// Activities are structs with their dependencies as fields. The interfaces that they need stand here, beside
// them; adapters in internal/ implement them and internal/service wires the two. The package may import workflows/order,
// event, internal/fault and the payment port; it reaches no driver.
//
// # Contract
//
// Every activity may run any number of times, at once with itself, and late: effects have slots with derived
// keys, and outcomes have slots in the order's stream. An activity that did its effect records the outcome
// before it answers; what it answers is what stands in the log, whoever wrote it.
//
// Errors are converted once, in toTemporal: the type of the application error is the fault code.
package activities

import (
	"context"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Registered names of the activities. They are part of running workflows' histories: never rename one.
const (
	NameOpen    = "order.Open"
	NameRecord  = "order.Record"
	NamePublish = "order.Publish"
	NameList    = "order.List"
	NameLate    = "order.Late"
	NameRecover = "order.Recover"

	NameReserve = "inventory.Reserve"
	NameFind    = "inventory.Find"
	NameRelease = "inventory.Release"
	NameCommit  = "inventory.Commit"

	NameAuthorize = "payment.Authorize"
	NameLookup    = "payment.Lookup"
	NameCapture   = "payment.Capture"
	NameVoid      = "payment.Void"
	// NameLookupCapture asks whether the payment was captured.
	NameLookupCapture = "payment.LookupCapture"

	NameLateOpen   = "late.Open"
	NameLateRecord = "late.Record"
	NameLateJudge  = "late.Judge"
	NameLateRefund = "late.Refund"

	NameCustomerOpen    = "customer.Open"
	NameCustomerRecord  = "customer.Record"
	NameCustomerPublish = "customer.Publish"

	NameNoticeOpen   = "notice.Open"
	NameNoticeRecord = "notice.Record"
	NameNoticeSend   = "notice.Send"

	NameAskHolders = "shortage.Ask"
)

// Appender appends to streams; see eventlog.Log for its contract.
type Appender interface {
	Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error)
}

// Log is the part of the event log that activities need.
type Log interface {
	VerdictLog
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
}

// Publisher puts records on the bus, in their order. It returns how many of them, from the first on, the broker
// has confirmed; all of them when the error is nil.
type Publisher interface {
	Publish(ctx context.Context, records []event.Record) (confirmed int, err error)
}

// ReadModel keeps the list of orders. Project never replaces a newer state by an older one.
type ReadModel interface {
	Project(ctx context.Context, s order.State) error
}

// Stock is the stock ledger. Its errors say which SKU they are about. Answers are immutable; see internal/inventory for the algebra of its slots.
type Stock interface {
	// Acquire reserves what an order needs, SKU by SKU, and answers for each item: Done, Refused, Undone, Short when other
	// orders hold it for now, or an empty Effect for what was not asked for.
	Acquire(ctx context.Context, r order.ReserveRequest) ([]order.Reservation, error)
	// Lookup says what became of a reservation; the Effect is empty when nothing is known of it.
	Lookup(ctx context.Context, orderID, sku string) (order.Reservation, error)
	Release(ctx context.Context, orderID, sku string) error
	Commit(ctx context.Context, orderID, sku string) error
}

// StepInput is what every step gets.
type StepInput struct {
	// State is the order as far as the run has folded it. The step appends behind its head.
	State order.State `json:"state"`
	// Timing is the run's.
	Timing order.Timing `json:"timing"`
	// Inline tells that the step runs inside a workflow task, where no signal can be seen: the decisions that
	// follow from its outcome are recorded with it, in one append.
	Inline bool `json:"inline,omitempty"`
	// Unpublished are records that the step publishes while it works.
	Unpublished []event.Record `json:"unpublished,omitempty"`
	// Entries are what to append; for Record.
	Entries []event.Entry `json:"entries,omitempty"`
	// Hint is what the bus said of a pending payment; for Lookup.
	Hint *order.PaymentHint `json:"hint,omitempty"`
	// Now is the workflow's time at which the step was asked for. Runs of older versions do not say it.
	Now time.Time `json:"now,omitzero"`
	// ShortOf is the SKU at which the attempt before this one found too little, and LastTry has a shortage refused; for
	// Reserve.
	ShortOf string `json:"shortOf,omitempty"`
	LastTry bool   `json:"lastTry,omitempty"`
}

// StepResult is what every step answers.
type StepResult struct {
	// Tail are the records behind the input's head, as they stand in the log. When they are too many, State is what they
	// make of the input's state.
	Tail  []event.Record `json:"tail,omitempty"`
	State *order.State   `json:"state,omitempty"`
	// Published is the version up to which the broker has confirmed the input's unpublished records; 0 when none.
	Published int64 `json:"published,omitempty"`
	// Unlisted tells that the read model does not show the order's end yet.
	Unlisted bool `json:"unlisted,omitempty"`
	// ShortOf is the SKU of which there is too little because other orders hold it for now: nothing was recorded, and the
	// step may be tried again; of Reserve.
	ShortOf string `json:"shortOf,omitempty"`
}

// ListInput is an order that the read model is to show.
type ListInput struct {
	State order.State `json:"state"`
}

// ListResult is what List answers: nothing yet.
type ListResult struct{}

// OpenInput opens an order's stream.
type OpenInput struct {
	Order         order.Order `json:"order"`
	CorrelationID string      `json:"correlationId,omitempty"`
	CausationID   string      `json:"causationId,omitempty"`
	// Now is the workflow's time, as in StepInput.
	Now time.Time `json:"now,omitzero"`
	// CallerID reports that somebody else may have known the order's id before there was an order: cancellations may have come
	// before it.
	CallerID bool `json:"callerId,omitempty"`
	// Known reports that the stream has been opened by an earlier run, most likely: it is read first.
	Known bool `json:"known,omitempty"`
}

// OpenResult is what the stream says, and the settings of the worker that opened it: a run keeps them, so
// that it stays deterministic when workers with other settings go on with it.
type OpenResult struct {
	StepResult
	Timing order.Timing `json:"timing"`
	// InlinePayment tells that the gateway is fast enough to be called inside a workflow task.
	InlinePayment bool `json:"inlinePayment,omitempty"`
	// Quiet tells that search attributes follow the statuses that the read model follows, and no others. Runs that were opened
	// before this was so do not have it, and go on as they began.
	Quiet bool `json:"quiet,omitempty"`
	// Early are the cancellations that came before the order.
	Early []order.Cancellation `json:"early,omitempty"`
}

// Recorder records the outcomes of steps. It is shared by all activities.
type Recorder struct {
	Log       Log
	Publisher Publisher
	ReadModel ReadModel
	// Clock is the worker's clock. It measures how long a step has taken so far, and tells the time of events only for
	// inputs that do not have the workflow's time.
	Clock  func() time.Time
	Logger *slog.Logger

	sent sentVersions
}

// Outcomes are the activities that only record and publish.
type Outcomes struct {
	*Recorder
	// Timing and InlinePayment are handed to runs when they open.
	Timing        order.Timing
	InlinePayment bool
	// Predecessors reads the runs that a run takes over from.
	Predecessors Predecessors
}

// Inventory are the activities of the stock ledger.
type Inventory struct {
	*Recorder
	Stock Stock
}

// Payment are the activities of the payment gateway.
type Payment struct {
	*Recorder
	Gateway payment.Gateway
}
