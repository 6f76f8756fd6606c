package activities

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// linesAtOnce bounds how many lines of one order are worked on at the same time.
const linesAtOnce = 16

// Reserve reserves every line. When one is refused, the others may hold stock, which the outcome says and the compensation
// gives back. When one is short because other orders hold its SKU for now, the result says so and nothing is recorded: the
// order keeps what it holds and tries again.
func (i *Inventory) Reserve(ctx context.Context, in StepInput) (StepResult, error) {
	shortOf := ""
	result, err := i.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		items := in.State.Order.Items()
		answers, err := i.Stock.Acquire(ctx, order.ReserveRequest{
			OrderID: in.State.Order.ID, Items: items, From: in.ShortOf, Last: in.LastTry,
		})
		if err != nil {
			return nil, err
		}
		for n, answer := range answers {
			switch answer.Effect {
			case order.Undone:
				return nil, nil
			case order.Short:
				shortOf = items[n].SKU
			}
		}
		if shortOf != "" {
			return nil, errShort
		}
		return []event.Entry{in.State.Reserved(outcomes(items, answers), i.now(ctx))}, nil
	})
	result.ShortOf = shortOf
	return result, err
}

// Find asks the ledger what became of a reservation whose outcome is unknown. It adopts what it finds: that every line
// holds stock, or that one was refused. An empty tail says that neither is so.
func (i *Inventory) Find(ctx context.Context, in StepInput) (StepResult, error) {
	items := in.State.Order.Items()
	answers, effects := make([]order.Reservation, len(items)), make([]order.Effect, len(items))
	err := eachLine(ctx, in.State.Order.Lines, func(ctx context.Context, n int, l order.Line) (err error) {
		answers[n], err = i.Stock.Lookup(ctx, in.State.Order.ID, l.SKU)
		effects[n] = answers[n].Effect
		return err
	})
	known := slices.Contains(effects, order.Refused) || !slices.Contains(effects, "")
	if err != nil || slices.Contains(effects, order.Undone) || !known {
		return StepResult{}, toTemporal(err)
	}
	return i.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		return []event.Entry{in.State.Reserved(outcomes(items, answers), i.now(ctx))}, nil
	})
}

// outcomes says what became of every line.
func outcomes(items []order.Item, answers []order.Reservation) []order.LineOutcome {
	outcomes := make([]order.LineOutcome, len(items))
	for n, answer := range answers {
		outcomes[n] = order.LineOutcome{
			SKU: items[n].SKU, Quantity: items[n].Quantity, Reserved: answer.Effect == order.Done, Reason: answer.Reason, Available: answer.Available,
		}
	}
	return outcomes
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
