package activities

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/order"
)

// linesAtOnce bounds how many lines of one order are worked on at the same time.
const linesAtOnce = 16

// Reserve reserves every line. Lines are independent: when one is refused, the others may hold stock, which
// the outcome says and the compensation gives back.
func (i *Inventory) Reserve(ctx context.Context, in StepInput) (StepResult, error) {
	return i.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		outcomes, effects, err := i.lines(ctx, in, func(ctx context.Context, l order.Line) (order.Reservation, error) {
			return i.Stock.Reserve(ctx, in.State.Order.ID, l.SKU, l.Quantity)
		})
		if err != nil || slices.Contains(effects, order.Undone) {
			return nil, err
		}
		return []event.Entry{in.State.Reserved(outcomes, i.now(ctx))}, nil
	})
}

// Find asks the ledger what became of a reservation whose outcome nobody knows. It adopts what it finds; an empty tail
// says that at least one line has no outcome.
func (i *Inventory) Find(ctx context.Context, in StepInput) (StepResult, error) {
	outcomes, effects, err := i.lines(ctx, in, func(ctx context.Context, l order.Line) (order.Reservation, error) {
		return i.Stock.Lookup(ctx, in.State.Order.ID, l.SKU)
	})
	if err != nil || slices.Contains(effects, order.Undone) || slices.Contains(effects, "") {
		return StepResult{}, toTemporal(err)
	}
	return i.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		return []event.Entry{in.State.Reserved(outcomes, i.now(ctx))}, nil
	})
}

// lines asks about every line, and returns what became of each.
func (i *Inventory) lines(
	ctx context.Context, in StepInput, ask func(context.Context, order.Line) (order.Reservation, error),
) ([]order.LineOutcome, []order.Effect, error) {
	lines := in.State.Order.Lines
	outcomes, effects := make([]order.LineOutcome, len(lines)), make([]order.Effect, len(lines))
	err := eachLine(ctx, lines, func(ctx context.Context, n int, l order.Line) error {
		r, err := ask(ctx, l)
		if err != nil {
			return err
		}
		effects[n] = r.Effect
		outcomes[n] = order.LineOutcome{
			SKU: l.SKU, Quantity: l.Quantity, Reserved: r.Effect == order.Done, Reason: r.Reason, Available: r.Available,
		}
		return nil
	})
	return outcomes, effects, err
}

// Release makes it so that no line of the order holds stock, and keeps it so.
func (i *Inventory) Release(ctx context.Context, in StepInput) (StepResult, error) {
	return i.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		err := eachLine(ctx, in.State.Order.Lines, func(ctx context.Context, _ int, l order.Line) error {
			return i.Stock.Release(ctx, in.State.Order.ID, l.SKU)
		})
		if err != nil {
			return nil, err
		}
		return []event.Entry{in.State.Undone(order.StepReserve, i.now(ctx))}, nil
	})
}

// Commit makes the reservation final: the stock has left.
func (i *Inventory) Commit(ctx context.Context, in StepInput) (StepResult, error) {
	return i.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		err := eachLine(ctx, in.State.Order.Lines, func(ctx context.Context, _ int, l order.Line) error {
			return i.Stock.Commit(ctx, in.State.Order.ID, l.SKU)
		})
		if err != nil {
			return nil, err
		}
		return []event.Entry{in.State.CommittedStock(i.now(ctx))}, nil
	})
}

// eachLine works on the lines at the same time and returns the first error.
func eachLine(ctx context.Context, lines []order.Line, work func(ctx context.Context, n int, l order.Line) error) error {
	if len(lines) == 1 {
		return work(ctx, 0, lines[0])
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(linesAtOnce)
	for n, l := range lines {
		group.Go(func() error { return work(ctx, n, l) })
	}
	return group.Wait()
}
