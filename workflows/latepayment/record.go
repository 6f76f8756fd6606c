package latepayment

import (
	"context"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Recorder records late events of orders, for their runs.
type Recorder struct {
	Log   activities.Log
	Clock func() time.Time
}

// Record records late events, and reports whether one of them has consequences.
func (r Recorder) Record(ctx context.Context, in saga.LateInput) (saga.LateResult, error) {
	var result saga.LateResult
	given := make([]*lateRecord, len(in.Events))
	for i, e := range in.Events {
		v := LateRecord{ID: e.ID, OrderID: in.ID, EventID: e.EventID, Type: e.Type, Identity: e.Identity,
			Status: in.Status, Handled: in.Handled}
		given[i] = &lateRecord{LateRecord: v, log: r.Log, correlationID: in.CorrelationID, at: activities.Now(ctx, r.Clock)}
		result.Consequential = result.Consequential || v.Consequential()
	}
	if len(given) > 0 {
		// Together and in their order: one activity records all events that a run has received.
		for i, err := range (place{r.Log, in.ID}).write(ctx, given) {
			if err != nil {
				return saga.LateResult{}, activities.ToTemporal(fault.Wrap(err, fault.CodeOf(err), "record late event %s", in.Events[i].EventID))
			}
		}
	}
	if !in.Unsettled || result.Consequential {
		return result, nil
	}
	state, err := event.FoldPages(ctx, r.Log, event.LateStream(in.ID), 0, State{OrderID: in.ID}, State.Fold)
	return saga.LateResult{Consequential: state.Open()}, activities.ToTemporal(err)
}

// WriteLateRecord records a late event, once per event, in the late stream of its order: the
// order's stream is closed by its terminal event. It costs the same however long that stream is, and verdicts that are
// written at the same time share a round trip. Errors: those of the log.
func WriteLateRecord(ctx context.Context, log activities.Log, v LateRecord, correlationID string, at time.Time) error {
	err := lateRecords.Do(ctx, &lateRecord{log: log, LateRecord: v, correlationID: correlationID, at: at})
	if ctx.Err() != nil {
		err = fault.Wrap(ctx.Err(), fault.Unavailable, "wait for the log")
	}
	return fault.Wrap(err, fault.CodeOf(err), "record late event %s", v.EventID)
}

const (
	// recordTimeout bounds a round trip, verdictBatch the verdicts in it; an append takes 100.
	recordTimeout = 30 * time.Second
	recordBatch   = 100
	// recordStreams is how many streams are written to at once.
	recordStreams = 16
)

// lateRecords groups the records of this process. There is one lane: records of the same order that race for the next version
// would mostly lose.
var lateRecords = newLateRecords()

func newLateRecords() *groupcommit.Group[*lateRecord] {
	group, err := groupcommit.New(groupcommit.Config[*lateRecord]{Write: writeLateRecords, Timeout: recordTimeout, MaxWeight: recordBatch})
	if err != nil {
		panic(err)
	}
	return group
}

// lateRecord is a record to be written.
type lateRecord struct {
	LateRecord
	log           activities.Log
	correlationID string
	at            time.Time
}

// entry is the record in one of its slots.
func (v *lateRecord) entry(slot string) event.Entry {
	in := v.LateRecord
	in.ID = slot
	return in.Entry(v.correlationID, v.at)
}

// place is the stream in which records are written together.
type place struct {
	log     activities.Log
	orderID string
}

// writeLateRecords writes records, those of one order together.
func writeLateRecords(ctx context.Context, items []*lateRecord) []error {
	byPlace := make(map[place][]int)
	for i, v := range items {
		p := place{v.log, v.OrderID}
		byPlace[p] = append(byPlace[p], i)
	}
	errs := make([]error, len(items))
	var group errgroup.Group
	group.SetLimit(recordStreams)
	for p, members := range byPlace {
		group.Go(func() error {
			of := make([]*lateRecord, len(members))
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

// write appends the records that are not in the log, together, each in the first of its slots that no other event has.
func (p place) write(ctx context.Context, of []*lateRecord) []error {
	errs := make([]error, len(of))
	slots := make(map[string]bool)
	for _, v := range of {
		for _, slot := range v.Slots() {
			slots[slot] = true
		}
	}
	note := func(taken map[string]event.Record, page []event.Record) (map[string]event.Record, error) {
		for _, r := range page {
			if slots[r.Key] {
				taken[r.Key] = r
			}
		}
		return taken, nil
	}
	newest, _, err := p.log.Head(ctx, event.LateStream(p.orderID))
	if err == nil {
		_, err = event.AppendAfter(ctx, p.log, event.LateStream(p.orderID), newest.HeadOf(), make(map[string]event.Record), note,
			func(taken map[string]event.Record) ([]event.Entry, error) {
				return missing(of, maps.Clone(taken), errs), nil
			})
	}
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

// missing are the records to be written; taken are the used slots. An error says that all slots of a record have different content.
func missing(of []*lateRecord, taken map[string]event.Record, errs []error) []event.Entry {
	var entries []event.Entry
	for i, v := range of {
		errs[i] = fault.New(fault.Corrupt, "the slots of late event %s have different content", v.EventID)
		for _, slot := range v.Slots() {
			if _, there := taken[slot]; !there {
				entry := v.entry(slot)
				entries = append(entries, entry)
				taken[slot] = event.Record{Entry: entry}
			}
			if v.Of(taken[slot]) {
				// Written now, or by an earlier call, or twice in this one.
				errs[i] = nil
				break
			}
		}
	}
	return entries
}
