package activities

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
	"github.com/ordersaga/ordersaga/internal/late"
)

// VerdictLog is the part of the event log that verdicts need.
type VerdictLog interface {
	Appender
	// Head returns the newest record of a stream; ok is false when it is empty.
	Head(ctx context.Context, stream string) (record event.Record, ok bool, err error)
}

// WriteVerdict writes down that an event came after its order had ended, once an event, in a stream of its own: the
// order's stream is closed by its terminal event. It costs the same however long that stream is, and verdicts that are
// written at the same time share a round trip.
func WriteVerdict(ctx context.Context, log VerdictLog, v late.Verdict, correlationID string, at time.Time) error {
	err := verdicts.Do(ctx, &verdict{log: log, orderID: v.OrderID, entry: v.Entry(correlationID, at)})
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
	log     VerdictLog
	orderID string
	entry   event.Entry
}

// place is where verdicts are written together.
type place struct {
	log     VerdictLog
	orderID string
}

// writeVerdicts writes verdicts, those on one order together.
func writeVerdicts(ctx context.Context, items []*verdict) []error {
	byPlace := make(map[place][]int)
	for i, v := range items {
		p := place{v.log, v.orderID}
		byPlace[p] = append(byPlace[p], i)
	}
	errs := make([]error, len(items))
	var group errgroup.Group
	group.SetLimit(verdictStreams)
	for p, members := range byPlace {
		group.Go(func() error {
			entries := make([]event.Entry, len(members))
			for n, i := range members {
				entries[n] = items[i].entry
			}
			for n, err := range p.write(ctx, entries) {
				errs[members[n]] = err
			}
			return nil
		})
	}
	_ = group.Wait()
	return errs
}

// write appends verdicts behind the newest record: together, and one by one when one of them is there already.
func (p place) write(ctx context.Context, entries []event.Entry) []error {
	errs := make([]error, len(entries))
	newest, _, err := p.log.Head(ctx, event.LateStream(p.orderID))
	head := newest.HeadOf()
	for n := 0; n < lateAttempts && (err == nil || errors.Is(err, fault.Concurrency)); n++ {
		if head, _, err = p.log.Append(ctx, event.LateStream(p.orderID), head, unlike(entries)); err == nil {
			break
		}
	}
	one := len(entries) == 1 && errors.Is(err, fault.KeyTaken)
	switch {
	case err == nil, one:
		return errs
	case !lost(err):
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	for i, e := range entries {
		var tail []event.Record
		if tail, errs[i] = appendLate(ctx, p.log, p.orderID, head, e); len(tail) > 0 {
			head = tail[len(tail)-1].HeadOf()
		}
	}
	return errs
}

// unlike leaves out entries whose key another one has: the same event came twice at the same time.
func unlike(entries []event.Entry) []event.Entry {
	seen := make(map[string]bool, len(entries))
	var kept []event.Entry
	for _, e := range entries {
		if !seen[e.Key] {
			seen[e.Key] = true
			kept = append(kept, e)
		}
	}
	return kept
}
