package sagaclient

import (
	"context"
	"log/slog"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Resolve brings an operator's decision to the saga that it is about, the order's or, when the order has ended, that of
// what came later, and waits for the verdict. What was accepted is in the log then. It returns the decision with its id
// and the number of the attention; see order.Resolution.Identified for the key. Errors: NotFound; Unavailable when no
// worker answers in time: ask again.
func (c *Client) Resolve(ctx context.Context, orderID string, d order.Resolution, key string) (order.Resolution, workflows.ResolveVerdict, error) {
	s, err := c.state(ctx, orderID)
	if err != nil {
		return d, workflows.ResolveVerdict{}, err
	}
	about := d.Identified(event.OrderStream(orderID), s.Attention, key)
	if s.Ended {
		return c.resolveLate(ctx, s, d, about, key)
	}
	q := question{workflows.OrderWorkflowID(orderID), workflows.UpdateResolve, about.ID, about}
	verdict, err := ask(ctx, c, orderID, q, func(s order.State) (workflows.ResolveVerdict, bool) {
		return workflows.ResolveVerdictOf(s, about), s.Recorded(about.ID) || s.WhyNotResolvable(about) != ""
	})
	return about, verdict, err
}

// resolveLate brings a decision about an order that has ended. About is the decision as one about the order itself: it
// may have been followed before the order ended.
func (c *Client) resolveLate(
	ctx context.Context, s order.State, d, about order.Resolution, key string,
) (order.Resolution, workflows.ResolveVerdict, error) {
	came, err := c.late(ctx, s.Order.ID)
	if err != nil {
		return d, workflows.ResolveVerdict{}, err
	}
	// Whoever names neither an attention nor a key means what is open now.
	again := s.Recorded(about.ID) && (came.Situation() == "" || d.Attention != 0 || key != "")
	decision := d.Identified(event.LateStream(s.Order.ID), came.Attention, key)
	for attempt, rejected := 1, 0; attempt <= askAttempts; {
		switch {
		case again || !came.Open() && !came.Recorded(decision.ID):
			return about, workflows.ResolveVerdictOf(s, about), nil
		case came.Recorded(decision.ID), rejected > 0 && came.WhyNotResolvable(decision) != "":
			return decision, workflows.LateVerdictOf(came, decision), nil
		}
		verdict, err := update[workflows.ResolveVerdict](ctx, c, question{
			workflows.LateWorkflowID(s.Order.ID), workflows.UpdateResolve, decision.ID, decision,
		})
		if err == nil {
			return decision, verdict, nil
		}
		switch {
		case isTryAgain(err) && pause(ctx, rejected):
			// The log has the answer, or the run is about to continue as new.
			rejected++
		case ctx.Err() != nil || !gone(err):
			return decision, verdict, fault.Wrap(err, fault.Unavailable, "resolve what came late for order %s", s.Order.ID)
		default:
			c.logger.LogAttrs(ctx, slog.LevelInfo, "ask the late saga again", slog.String("order_id", s.Order.ID), slog.Int("attempt", attempt))
			if err := c.SettleLate(ctx, s.Order); err != nil {
				return decision, verdict, err
			}
			attempt++
		}
		if came, err = c.late(ctx, s.Order.ID); err != nil {
			return decision, verdict, err
		}
	}
	return decision, workflows.ResolveVerdict{}, fault.New(fault.Unavailable, "the late saga of order %s does not answer", s.Order.ID)
}

// late folds what came after the order had ended; the zero State when nothing did.
func (c *Client) late(ctx context.Context, orderID string) (latepayment.State, error) {
	return event.FoldPages(ctx, c.log, event.LateStream(orderID), 0, latepayment.State{OrderID: orderID}, func(s latepayment.State, page []event.Record) (latepayment.State, error) {
		s, err := s.Fold(page)
		return s, fault.Wrap(err, foldCode(err), "fold what came late for order %s", orderID)
	})
}
