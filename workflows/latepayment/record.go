package latepayment

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

// WriteVerdict writes down that an event came after its order had ended, once an event, in a stream of its own: the
// order's stream is closed by its terminal event. It costs the same however long that stream is, and verdicts that are
// written at the same time share a round trip. Errors: those of the log.
func WriteVerdict(ctx context.Context, log activities.Log, v Verdict, correlationID string, at time.Time) error {
	err := verdicts.Do(ctx, &verdict{log: log, Verdict: v, correlationID: correlationID, at: at})
	if ctx.Err() != nil {
		err = fault.Wrap(ctx.Err(), fault.Unavailable, "wait for the log")
	}
	return fault.Wrap(err, fault.CodeOf(err), "write the verdict on event %s", v.EventID)
}

const (
	// verdictTimeout bounds a round trip, verdictBatch the verdicts in it; an append takes 100.
	verdictTimeout = 30 * time.Second
	verdictBatch   = 100
	// verdictStreams is how many streams are written to at once.
	verdictStreams = 16
)

// verdicts are those of this process. There is one lane: verdicts on the same order that race each other for the next version
// would mostly lose.
var verdicts = newVerdicts()

func newVerdicts() *groupcommit.Group[*verdict] {
	group, err := groupcommit.New(groupcommit.Config[*verdict]{Write: writeVerdicts, Timeout: verdictTimeout, Most: verdictBatch})
	if err != nil {
		panic(err)
	}
	return group
}

// verdict is one to be written.
type verdict struct {
	Verdict
	log           activities.Log
	correlationID string
	at            time.Time
}

// entry is the verdict in one of its slots.
func (v *verdict) entry(slot string) event.Entry {
	in := v.Verdict
	in.ID = slot
	return in.Entry(v.correlationID, v.at)
}

// place is where verdicts are written together.
type place struct {
	log     activities.Log
	orderID string
}

// writeVerdicts writes verdicts, those on one order together.
func writeVerdicts(ctx context.Context, items []*verdict) []error {
	byPlace := make(map[place][]int)
	for i, v := range items {
		p := place{v.log, v.OrderID}
		byPlace[p] = append(byPlace[p], i)
	}
	errs := make([]error, len(items))
	var group errgroup.Group
	group.SetLimit(verdictStreams)
	for p, members := range byPlace {
		group.Go(func() error {
			of := make([]*verdict, len(members))
			for n, i := range members {
				of[n] = items[i]
			}
			for n, err := range p.write(ctx, of) {
				errs[members[n]] = err
			}
			return nil
		})
	}
	_ = group.Wait()
	return errs
}

// write appends verdicts after the newest record: together, and one by one when the slot of one of them is taken.
func (p place) write(ctx context.Context, of []*verdict) []error {
	errs := make([]error, len(of))
	newest, _, err := p.log.Head(ctx, event.LateStream(p.orderID))
	head := newest.HeadOf()
	together, alone := unlike(of)
	for n := 0; n < lateAttempts && (err == nil || errors.Is(err, fault.Concurrency)); n++ {
		if head, _, err = p.log.Append(ctx, event.LateStream(p.orderID), head, together); err == nil {
			break
		}
	}
	switch {
	case err == nil:
	case activities.Lost(err):
		for i := range alone {
			alone[i] = true
		}
	default:
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	for i, v := range of {
		if alone[i] {
			head, errs[i] = p.writeOne(ctx, v, head)
		}
	}
	return errs
}

// writeOne writes a verdict into the first of its slots that no other event has. It returns the newest head that it has seen.
func (p place) writeOne(ctx context.Context, v *verdict, head event.Head) (event.Head, error) {
	for _, slot := range v.Slots() {
		records, err := appendTo(ctx, p.log, p.orderID, head, v.entry(slot))
		if err != nil {
			return head, err
		}
		if n := len(records); n > 0 && records[n-1].Version > head.Version {
			head = records[n-1].HeadOf()
		}
		if i := slices.IndexFunc(records, func(r event.Record) bool { return r.Key == slot }); i >= 0 && v.Of(records[i]) {
			// Written just now, or by an earlier call.
			return head, nil
		}
	}
	return head, fault.New(fault.Corrupt, "the slots of the verdict on event %s have other content", v.EventID)
}

// unlike returns the verdicts, in their first slots, that are appended together. Alone reports which are not: another one has
// their slot.
func unlike(of []*verdict) (together []event.Entry, alone []bool) {
	seen := make(map[string]bool, len(of))
	alone = make([]bool, len(of))
	for i, v := range of {
		slot := v.Slots()[0]
		if alone[i] = seen[slot]; !alone[i] {
			seen[slot] = true
			together = append(together, v.entry(slot))
		}
	}
	return together, alone
}
