package sagaclient

import (
	"context"
	"log/slog"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// SettleLate has a saga of its own settle what came after the order had ended. What came is in the log already. Errors:
// Unavailable.
func (c *Client) SettleLate(ctx context.Context, o order.Order) error {
	err := c.wake(ctx, latepayment.WorkflowID(o.ID), latepayment.Signal, latepayment.Summary(o.ID),
		order.Flow.Late.Attributes(&order.State{Order: o}), latepayment.Workflow, saga.Input{ID: o.ID})
	return fault.Wrap(err, fault.Unavailable, "handle late events of order %s", o.ID)
}

// ResumeLate is SettleLate for callers that only know the order's ID. Errors: NotFound for an order without events,
// Unavailable.
func (c *Client) ResumeLate(ctx context.Context, orderID string) error {
	state, err := c.state(ctx, orderID)
	switch {
	case err != nil:
		return err
	case !state.Opened():
		return c.notFound(orderID)
	}
	return c.SettleLate(ctx, state.Order)
}

// InspectLate describes the newest run of the saga that settles what came after the order had ended. Errors: Unavailable.
func (c *Client) InspectLate(ctx context.Context, orderID string) (reconcile.Run, error) {
	return inspect(ctx, c.temporal, latepayment.WorkflowID(orderID), c.name(orderID))
}

// Resolve brings an operator's decision to the saga that it is about, the order's or, when the order has ended, that of
// what came later, and waits for the answer. What was accepted is in the log then. It returns the decision with its id
// and the number of the attention; see order.Resolution.Identified for the key. Errors: NotFound; Unavailable when no
// worker answers in time: ask again.
func (c *Client) Resolve(ctx context.Context, orderID string, d order.Resolution, key string) (order.Resolution, saga.ResolveVerdict, error) {
	return c.resolve(ctx, orderID, d, key, func(s order.State, about order.Resolution) (order.Resolution, saga.ResolveVerdict, error) {
		return c.resolveLate(ctx, s, d, about, key)
	})
}

// resolveLate brings a decision about an order that has ended. About is the decision as one about the order itself: it
// may have been followed before the order ended.
func (c *Client) resolveLate(
	ctx context.Context, s order.State, d, about order.Resolution, key string,
) (order.Resolution, saga.ResolveVerdict, error) {
	came, err := c.late(ctx, s.Order.ID)
	if err != nil {
		return d, saga.ResolveVerdict{}, err
	}
	// A decision without attention and key is about what is open now.
	again := s.Recorded(about.ID) && (came.Situation() == "" || d.Attention != 0 || key != "")
	decision := d.Identified(event.LateStream(s.Order.ID), came.Attention, key)
	for attempt, rejected := 1, 0; attempt <= askAttempts; {
		switch {
		case again || !came.Open() && !came.Recorded(decision.ID):
			return about, order.Flow.ResolveVerdict(&s, about), nil
		case came.Recorded(decision.ID), rejected > 0 && came.WhyNotResolvable(decision) != "":
			return decision, latepayment.VerdictOf(came, decision), nil
		}
		verdict, err := update[saga.ResolveVerdict](ctx, c.temporal, question{
			latepayment.WorkflowID(s.Order.ID), saga.UpdateResolve, decision.ID, decision,
		})
		if err == nil {
			return decision, verdict, nil
		}
		switch {
		case isTryAgain(err) && pause(ctx, rejected):
			// The log has the answer, or the run is about to continue as new.
			rejected++
		case ctx.Err() != nil || !gone(err):
			return decision, verdict, fault.Wrap(err, fault.Unavailable, "resolve late events of order %s", s.Order.ID)
		default:
			c.logger.LogAttrs(ctx, slog.LevelInfo, "ask the late event saga again", slog.String("order_id", s.Order.ID), slog.Int("attempt", attempt))
			if err := c.SettleLate(ctx, s.Order); err != nil {
				return decision, verdict, err
			}
			attempt++
		}
		if came, err = c.late(ctx, s.Order.ID); err != nil {
			return decision, verdict, err
		}
	}
	return decision, saga.ResolveVerdict{}, fault.New(fault.Unavailable, "the late event saga of order %s does not answer", s.Order.ID)
}

// late folds what came after the order had ended; the zero State when nothing did.
func (c *Client) late(ctx context.Context, orderID string) (latepayment.State, error) {
	return event.FoldPages(ctx, c.log, event.LateStream(orderID), 0, latepayment.State{OrderID: orderID}, func(s latepayment.State, page []event.Record) (latepayment.State, error) {
		s, err := s.Fold(page)
		return s, fault.Wrap(err, foldCode(err), "fold late events of order %s", orderID)
	})
}
