package activities

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Nothing that an activity takes or gives may grow with the history of an order: Temporal takes 2 MiB, and a payload that is
// larger fails its workflow task for ever.
const (
	// MaxTailRecords and MaxTailBytes bound the records in an answer, and MaxBesideRecords and MaxBesideBytes those that a
	// step publishes beside its work. What is more is answered as a state, and published from the log.
	MaxTailRecords   = 16
	MaxTailBytes     = 64 << 10
	MaxBesideRecords = 32
	MaxBesideBytes   = 64 << 10
)

// fits reports whether records are few and small enough for an answer.
func fits(tail []event.Record) bool {
	return len(tail) <= MaxTailRecords && Size(tail) <= MaxTailBytes
}

// Size is about how many bytes records take in a payload.
func Size(records []event.Record) int {
	const envelope = 512
	size := 0
	for _, r := range records {
		size += envelope + len(r.Data)
	}
	return size
}

// answer is what stands in the log behind a state: the records when they are few, else what they come to.
func answer(before order.State, tail []event.Record) (result StepResult, after order.State, err error) {
	if after, err = before.Fold(tail); err != nil {
		return StepResult{}, before, err
	}
	if fits(tail) {
		return StepResult{Tail: tail}, after, nil
	}
	return StepResult{State: &after}, after, nil
}

// loadOrder folds the order's stream behind a state, page by page. The tail is what was read when that fits an answer.
func loadOrder(ctx context.Context, log event.StreamReader, stream string, before order.State) (result StepResult, after order.State, err error) {
	var tail []event.Record
	whole := true
	after, err = event.FoldPages(ctx, log, stream, before.Head.Version, before, func(s order.State, page []event.Record) (order.State, error) {
		if whole = whole && fits(append(tail, page...)); whole {
			tail = append(tail, page...)
		}
		return s.Fold(page)
	})
	switch {
	case err != nil:
		return StepResult{}, before, err
	case whole:
		return StepResult{Tail: tail}, after, nil
	}
	return StepResult{State: &after}, after, nil
}
