package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// customer checks that what a registration starts is started, and that every run came to its end: one that did not
// may have left events unpublished.
func (c *chain) customer() {
	folds(c, onboarding.State{CustomerID: c.id}, onboarding.State.Fold, func(ctx context.Context, s onboarding.State) error {
		if c.now.Sub(s.UpdatedAt) <= c.o.Stale {
			return nil
		}
		run, err := c.cfg.Sagas.InspectCustomer(ctx, c.id)
		if err != nil || run.Running || s.Onboarded && (run.Completed || !run.Found) {
			return err
		}
		c.found(CustomerUnsettled, s.Head.Version, "at version %d; %s", s.Head.Version, newestSaga(run))
		return nil
	})
}

// notice checks that an open message has a run.
func (c *chain) notice() {
	subject, _ := notification.SubjectOf(c.id)
	folds(c, notification.State{Subject: subject}, notification.State.Fold, func(ctx context.Context, s notification.State) error {
		if s.Settled() || c.now.Sub(s.UpdatedAt) <= c.o.Stale {
			return nil
		}
		run, err := c.cfg.Sagas.InspectNotice(ctx, c.id)
		if err != nil || run.Running {
			return err
		}
		what := "it has not been sent"
		if s.Open() {
			what = "an attempt to send it has begun"
		}
		c.found(NoticeUnsettled, s.Head.Version, "%s at version %d; %s", what, s.Head.Version, newestSaga(run))
		return nil
	})
}

// newestSaga is what Temporal has of a saga, for people.
func newestSaga(run Run) string {
	if !run.Found {
		return "Temporal has no workflow for it"
	}
	return "its newest run is " + run.Status
}

// deadUnfinished is how long a replay or a retry of a dead letter may take before it counts as interrupted.
const deadUnfinished = 5 * time.Minute

// dead looks for what was decided about a dead letter, begun and not finished, and for facts that did not arrive.
func (c *chain) dead() {
	folds(c, deadletter.State{}, deadletter.State.Fold, func(ctx context.Context, s deadletter.State) error {
		if c.now.Sub(s.UpdatedAt) <= deadUnfinished {
			return nil
		}
		if s.Status == deadletter.StatusReplaying || s.Status == deadletter.StatusRetrying {
			c.found(DeadUnfinished, s.Head.Version, "it is %s since %s", s.Status, s.UpdatedAt.UTC().Format(time.RFC3339))
		}
		if t, known := event.Find(s.Type); known && t.Fact && s.Status == deadletter.StatusOpen {
			if f, added := c.flowOfType(s.Type); added {
				return c.undeliveredFact(ctx, f, s)
			}
			return c.undelivered(ctx, s)
		}
		return nil
	})
}

// undelivered checks that the order which a letter's fact is about is not known, or that the fact is there all the same: an
// order is cancelled by a cancellation that came before it.
func (c *chain) undelivered(ctx context.Context, s deadletter.State) error {
	c.needs(FactUndelivered, s.Head.Version, event.OrderStream(s.Subject))
	state, _, ok, err := c.orderOf(ctx, s.Subject)
	if !ok || !state.Opened() || s.Type == event.OrderCancellationRequested && state.Cancelled() {
		return err
	}
	c.found(FactUndelivered, s.Head.Version, "it is a %s about order %s, which is %s", s.Type, s.Subject, state.Status)
	return nil
}

// early checks that an order was cancelled by what came before it, or has answered it.
func (c *chain) early() {
	var newest time.Time
	folds(c, nil, func(kept []order.Cancellation, records []event.Record) ([]order.Cancellation, error) {
		newest = records[len(records)-1].Time
		more, err := order.Flow.EarlyCancellations(records)
		return append(kept, more...), err
	}, func(ctx context.Context, kept []order.Cancellation) error {
		if c.now.Sub(newest) <= c.o.Stale {
			// Its event may still be on its way.
			return nil
		}
		return c.unanswered(ctx, kept)
	})
}

func (c *chain) unanswered(ctx context.Context, kept []order.Cancellation) error {
	c.needs(CancellationUnanswered, c.head.Version, event.OrderStream(c.id))
	state, _, ok, err := c.orderOf(ctx, c.id)
	if !ok || !state.Opened() || state.Cancelled() {
		return err
	}
	verdicts, ok, err := c.read(ctx, event.LateStream(c.id))
	if !ok {
		return err
	}
	answered := func(request order.Cancellation) bool {
		v := latepayment.Verdict{Type: event.OrderCancellationRequested, Identity: order.IdentityOf(c.id, request)}
		return state.Caused(v.Identity) || state.CancelRefused ||
			slices.ContainsFunc(verdicts, func(r event.Record) bool { return r.CausationID == request.Cause && v.Of(r) })
	}
	// Once one of them is refused, the others are answered without an event.
	if !slices.ContainsFunc(kept, answered) {
		c.found(CancellationUnanswered, c.head.Version, "%d of them arrived before the order, which is %s", len(kept), state.Status)
	}
	return nil
}
