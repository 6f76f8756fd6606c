package sagaclient

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
	"github.com/ordersaga/ordersaga/workflows/order"
)

const (
	// foldTimeout bounds the reading of a stream for callers who share it.
	foldTimeout = 30 * time.Second
	// foldLanes is how often one order's stream is read at once, foldsAtOnce how many streams are for callers who came together.
	foldLanes   = 2
	foldsAtOnce = 16
)

// folding is a caller who wants to know what an order's stream says.
type folding struct {
	orderID string
	state   order.State
}

// newFolds has callers who ask about the same order at the same time share the answer: whoever comes while a stream is read
// waits for the next reading, so that an answer is never older than its question.
func newFolds(c *Client) *groupcommit.Group[*folding] {
	group, err := groupcommit.New(groupcommit.Config[*folding]{Write: c.foldTogether, Timeout: foldTimeout, Lanes: foldLanes})
	if err != nil {
		panic(err)
	}
	return group
}

// fold reads what an order's stream says, together with others who ask. Errors: Unavailable, Corrupt.
func (c *Client) fold(ctx context.Context, orderID string) (order.State, error) {
	one := &folding{orderID: orderID}
	err := c.folds.Do(ctx, one)
	if ctx.Err() != nil {
		return order.State{}, fault.Wrap(ctx.Err(), fault.Unavailable, "read order %s", orderID)
	}
	if err != nil {
		return order.State{}, fault.Wrap(err, fault.CodeOf(err), "read order %s", orderID)
	}
	return one.state, nil
}

// foldTogether folds each order once.
func (c *Client) foldTogether(ctx context.Context, items []*folding) []error {
	byOrder := make(map[string][]int)
	for i, f := range items {
		byOrder[f.orderID] = append(byOrder[f.orderID], i)
	}
	errs := make([]error, len(items))
	var group errgroup.Group
	group.SetLimit(foldsAtOnce)
	for orderID, members := range byOrder {
		group.Go(func() error {
			state, err := c.load(ctx, orderID)
			for _, i := range members {
				items[i].state, errs[i] = state, err
			}
			return nil
		})
	}
	_ = group.Wait()
	return errs
}

// load folds an order's stream.
func (c *Client) load(ctx context.Context, orderID string) (order.State, error) {
	return event.FoldPages(ctx, c.log, event.OrderStream(orderID), 0, order.State{}, func(s order.State, page []event.Record) (order.State, error) {
		s, err := s.Fold(page)
		return s, fault.Wrap(err, foldCode(err), "fold order %s", orderID)
	})
}
