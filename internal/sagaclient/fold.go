package sagaclient

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

const (
	// foldTimeout bounds the reading of a stream for callers that share it.
	foldTimeout = 30 * time.Second
	// foldLanes is how often one saga's stream is read at once, foldsAtOnce how many streams are for callers that came together.
	foldLanes   = 2
	foldsAtOnce = 16
)

// folding is a caller's request for the state of a saga.
type folding[S any] struct {
	id    string
	state S
}

// newFolds makes callers that ask about the same saga at the same time share the answer: a caller that comes while a stream is read
// waits for the next reading, so that an answer is never older than its question.
func newFolds[S any](together func(context.Context, []*folding[S]) []error) *groupcommit.Group[*folding[S]] {
	group, err := groupcommit.New(groupcommit.Config[*folding[S]]{Write: together, Timeout: foldTimeout, Concurrency: foldLanes})
	if err != nil {
		panic(err)
	}
	return group
}

// state folds a saga's stream, shared with concurrent callers; the zero state when there is none. Errors: Unavailable, Corrupt.
func (c *flowClient[S, P]) state(ctx context.Context, id string) (none S, err error) {
	one := &folding[S]{id: id}
	err = c.folds.Do(ctx, one)
	if ctx.Err() != nil {
		return none, fault.Wrap(ctx.Err(), fault.Unavailable, "read %s", c.name(id))
	}
	if err != nil {
		return none, fault.Wrap(err, fault.CodeOf(err), "read %s", c.name(id))
	}
	return one.state, nil
}

// foldTogether folds each saga once.
func (c *flowClient[S, P]) foldTogether(ctx context.Context, items []*folding[S]) []error {
	byID := make(map[string][]int)
	for i, f := range items {
		byID[f.id] = append(byID[f.id], i)
	}
	errs := make([]error, len(items))
	var group errgroup.Group
	group.SetLimit(foldsAtOnce)
	for id, members := range byID {
		group.Go(func() error {
			state, err := c.load(ctx, id)
			for _, i := range members {
				items[i].state, errs[i] = state, err
			}
			return nil
		})
	}
	_ = group.Wait()
	return errs
}

// load folds a saga's stream.
func (c *flowClient[S, P]) load(ctx context.Context, id string) (zero S, err error) {
	return event.FoldPages(ctx, c.log, c.flow.StreamOf(id), 0, zero, func(s S, page []event.Record) (S, error) {
		s, err := c.flow.Fold(s, page)
		return s, fault.Wrap(err, foldCode(err), "fold %s", c.name(id))
	})
}

// foldCode is the code of an error of a fold: Unavailable stays what it is, because a gap may be filled when the stream is read
// again; what is stored and cannot be folded is Corrupt.
func foldCode(err error) fault.Code {
	if errors.Is(err, fault.Unavailable) {
		return fault.Unavailable
	}
	return fault.Corrupt
}
