package activities

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Fits reports whether records are few and small enough for an answer.
func Fits(tail []event.Record) bool {
	return len(tail) <= saga.MaxTailRecords && saga.Size(tail) <= saga.MaxTailBytes
}

// answer is what the log has after a state: the records when they are few, else what they come to.
func (f *Flow[S, P]) answer(before S, tail []event.Record) (result saga.StepResult[S], after S, err error) {
	if after, err = f.Table.Fold(before, tail); err != nil {
		return result, before, err
	}
	if Fits(tail) {
		return saga.StepResult[S]{Tail: tail}, after, nil
	}
	return saga.StepResult[S]{State: f.bounded(after)}, after, nil
}

// bounded is what a run is handed of a state.
func (f *Flow[S, P]) bounded(s S) *S {
	if f.Table.Bound != nil {
		f.Table.Bound(&s)
	}
	return &s
}

// load folds the stream of a saga after a state, page by page. The tail is what was read when that fits an answer.
func (f *Flow[S, P]) load(ctx context.Context, id string, before S) (result saga.StepResult[S], after S, err error) {
	var tail []event.Record
	whole := true
	after, err = event.FoldPages(ctx, f.Log, f.Table.StreamOf(id), f.Table.Kit(&before).Head.Version, before, func(s S, page []event.Record) (S, error) {
		if whole = whole && Fits(append(tail, page...)); whole {
			tail = append(tail, page...)
		}
		return f.Table.Fold(s, page)
	})
	switch {
	case err != nil:
		return result, before, err
	case whole:
		return saga.StepResult[S]{Tail: tail}, after, nil
	}
	return saga.StepResult[S]{State: f.bounded(after)}, after, nil
}
