package reconcile

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/payment"
)

const (
	// MaxFindings bounds how many findings one run holds; what is over is counted only.
	MaxFindings = 10_000
	// DefaultStale is how long a run may be without progress before it is inspected.
	DefaultStale = 15 * time.Minute
	// attentionForLong is how long an order may wait for an operator before it is worth a note.
	attentionForLong = 24 * time.Hour
	// failingAttempts is how often a workflow task may fail in a row: a deployment takes some.
	failingAttempts = 5
	// defaultPause lies between the two looks at a finding: what is on its way may arrive.
	defaultPause = 2 * time.Second
	// orderQuestions is how many orders are asked about at once.
	orderQuestions = 8
)

// Log is the event log as a check reads it.
type Log interface {
	eventlog.Walker
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
	FindAll(ctx context.Context, stream string, keys []string) (map[string]event.Record, error)
	Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error)
}

// List is a list of the read model. An entry that cannot be read has an ID and version 0.
type List interface {
	// All yields every entry in the order of the bytes of the IDs.
	All(ctx context.Context) iter.Seq2[readmodel.Order, error]
	Get(ctx context.Context, id string) (readmodel.Order, bool, error)
}

// Run is the newest run of a saga.
type Run struct {
	// Found is false when Temporal has none.
	Found bool
	// Running reports that it has not closed; else Status says how it closed, and Completed that it came to its own end.
	Running, Completed bool
	Status             string
	StartedAt          time.Time
	// TaskAttempts counts the attempts of the workflow task that is pending; 0 when none is. TaskSince is when it was
	// scheduled first.
	TaskAttempts int
	TaskSince    time.Time
	// Activities counts what the run waits for.
	Activities int
}

// Shortages are the sagas that settle shortages, which have no stream.
type Shortages interface {
	// InspectShortage returns the newest run of the saga of a SKU, SettleShortage starts one, if there is none.
	InspectShortage(ctx context.Context, sku string) (Run, error)
	SettleShortage(ctx context.Context, sku string) error
}

// Lookup is the part of payment.Gateway that is needed: it asks and changes nothing.
type Lookup interface {
	Traits() payment.Traits
	Lookup(ctx context.Context, p payment.Payment) (payment.Result, error)
}

// Warehouse is the part of an inventory service that is needed: it asks and changes nothing.
type Warehouse interface {
	// State returns the state of an order's reservation: absent, reserved, refused, undone or committed. Errors: Unavailable.
	State(ctx context.Context, orderID string) (string, error)
}

// Config is what a Reconciler needs. All fields are mandatory but Warehouse and Pause.
type Config struct {
	// Flows are all flows, that of orders among them. List is the list of orders, FlowList that of the other sagas, by the names of their streams.
	Flows          []Flow
	List, FlowList List

	Log       Log
	Shortages Shortages
	Gateway   Lookup
	// Warehouse has the reservations of orders that are not in the stock ledger; nil if all are.
	Warehouse Warehouse
	Clock     func() time.Time
	Logger    *slog.Logger
	// Pause lies between the two looks at a finding. Default 2 s.
	Pause time.Duration
}

// Reconciler checks what must hold.
type Reconciler struct {
	cfg Config
	// orders is the flow of orders.
	orders Flow
}

// New returns a Reconciler. It does no I/O. The error is Invalid.
func New(c Config) (*Reconciler, error) {
	orders := slices.IndexFunc(c.Flows, func(f Flow) bool { return f.Info().Name == orderFlow })
	if orders < 0 || c.Log == nil || c.List == nil || c.FlowList == nil || c.Shortages == nil || c.Gateway == nil || c.Clock == nil || c.Logger == nil {
		return nil, fault.NewInvalid("reconcile", []fault.Field{fault.Fieldf("/", "the flow of orders, log, lists, shortages, gateway, clock and logger are mandatory")})
	}
	c.Pause = cmp.Or(c.Pause, defaultPause)
	return &Reconciler{c, c.Flows[orders]}, nil
}

// Options say what one run does.
type Options struct {
	// Repair repairs what can be repaired, and records the rest.
	Repair bool
	// Stale is how long a run may be without progress before it counts as stalled; 0 is DefaultStale.
	Stale time.Duration
	// Since spares the gateway, Temporal and the stock ledger questions about orders that ended longer ago than that;
	// 0 asks about every order. Their streams are verified all the same.
	Since time.Duration
	// Skip are kinds that are not reported.
	Skip map[Kind]bool
	// Now is the time of the check in workflow time, which the events of orders have; zero is the time of Config.Clock.
	Now time.Time
	// Progress, if not nil, is called with how far the run is, by one goroutine at a time. It must not block.
	Progress func(Counts)

	// ahead is by how much workflow time is ahead of Config.Clock.
	ahead time.Duration
}

// Counts say what was looked at.
type Counts struct {
	Streams  int `json:"streams"`
	Orders   int `json:"orders"`
	SKUs     int `json:"skus"`
	Payments int `json:"payments"`
}

// Finding is something that does not hold, or a note.
type Finding struct {
	Kind Kind `json:"kind"`
	// Subject is the order id or the SKU that it is about; for other streams the stream's name.
	Subject string `json:"subject"`
	Detail  string `json:"detail"`
	// Repair says what would be done, or was.
	Repair   string `json:"repair"`
	Repaired bool   `json:"repaired,omitempty"`
	// Note reports that it is no violation.
	Note bool `json:"note,omitempty"`

	// at is what it was seen at: the second look must see it at the same.
	at place
}

// Report is what a run found and did.
type Report struct {
	Counts
	// Findings are in the order of subjects.
	Findings []Finding `json:"findings"`
	// Unlisted counts what the first look found beyond MaxFindings: it was not looked at again.
	Unlisted int `json:"unlisted,omitempty"`
	// Violations counts the findings that are no notes, Repaired those of them that were repaired.
	Violations int `json:"violations"`
	Repaired   int `json:"repaired"`
	Notes      int `json:"notes"`
	// TookMillis is how long the run took.
	TookMillis int64 `json:"tookMillis"`
}

// Left is how many violations are left.
func (r Report) Left() int { return r.Violations + r.Unlisted - r.Repaired }

// Run checks everything. The report is valid with a nil error only.
func (r *Reconciler) Run(ctx context.Context, o Options) (Report, error) {
	o.Stale = cmp.Or(o.Stale, DefaultStale)
	began := r.cfg.Clock()
	if !o.Now.IsZero() {
		o.ahead = o.Now.Sub(began)
	}
	first := newLook(r, o, nil)
	if err := first.run(ctx); err != nil {
		return Report{}, err
	}
	report := Report{Counts: first.counts, Unlisted: first.unlisted, Findings: []Finding{}}
	confirmed, err := r.confirm(ctx, o, first)
	if err != nil {
		return Report{}, err
	}
	for _, f := range confirmed {
		r.repair(ctx, o, &f)
		switch {
		case f.Note:
			report.Notes++
		case f.Repaired:
			report.Repaired++
			fallthrough
		default:
			report.Violations++
		}
		report.Findings = append(report.Findings, f)
	}
	report.TookMillis = r.cfg.Clock().Sub(began).Milliseconds()
	return report, nil
}

// confirmBatch is how many findings are looked at again together.
const confirmBatch = 500

// confirm looks at everything that was found again, and returns what was found both times at the same version.
func (r *Reconciler) confirm(ctx context.Context, o Options, first *look) ([]Finding, error) {
	candidates := first.sorted()
	if len(candidates) == 0 {
		return nil, nil
	}
	select {
	case <-time.After(r.cfg.Pause):
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "reconcile")
	}
	var confirmed []Finding
	for batch := range slices.Chunk(candidates, confirmBatch) {
		subjects, lost := make(map[string]bool), make(map[string]bool)
		for _, f := range batch {
			subjects[f.at.stream] = true
			if f.Kind == SignalLost {
				lost[f.at.stream] = true
			}
		}
		second := newLook(r, o, subjects)
		second.lost = lost
		if err := second.run(ctx); err != nil {
			return nil, err
		}
		for _, f := range batch {
			if again, found := second.findings[f.at]; found {
				confirmed = append(confirmed, again)
			}
		}
	}
	return confirmed, nil
}
