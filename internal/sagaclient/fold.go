package sagaclient

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
	"github.com/ordersaga/ordersaga/internal/order"
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
	late    *Late
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
func (c *Client) fold(ctx context.Context, orderID string) (*Late, error) {
	one := &folding{orderID: orderID}
	err := c.folds.Do(ctx, one)
	if ctx.Err() != nil {
		return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "read order %s", orderID)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeOf(err), "read order %s", orderID)
	}
	return one.late, nil
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
			late, err := c.load(ctx, orderID)
			for _, i := range members {
				items[i].late, errs[i] = late, err
			}
			return nil
		})
	}
	_ = group.Wait()
	return errs
}

// load folds an order's stream, and notes what caused its events.
func (c *Client) load(ctx context.Context, orderID string) (*Late, error) {
	l := LateOf(order.State{}, nil)
	for page, err := range event.Pages(ctx, c.log, event.OrderStream(orderID), 0) {
		if err == nil {
			l.add(page)
			l.State, err = l.State.Fold(page)
			err = fault.Wrap(err, fault.Corrupt, "fold order %s", orderID)
		}
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}
