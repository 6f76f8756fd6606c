package reconcile

import (
	"context"
	"slices"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// earlySaga checks that a saga was cancelled by what came before it, or has answered it.
func (c *chain) earlySaga(f Flow) {
	folds(c, nil, collect, func(ctx context.Context, records []event.Record) error {
		kept, err := f.EarlyCancellations(records)
		switch {
		case err != nil:
			c.damage(StreamFold, c.head.Version, "%v", err)
			return nil
		case len(kept) == 0, c.now.Sub(records[len(records)-1].Time) <= c.o.Stale:
			return nil // its event may still be on its way
		}
		stream := f.StreamOf(c.id)
		c.needs(CancellationUnanswered, c.head.Version, stream)
		of, ok, err := c.read(ctx, stream)
		if !ok || len(of) == 0 {
			return err
		}
		lateStream, isLate := c.lateOf(f)
		late, ok, err := c.read(ctx, lateStream)
		if !ok {
			return err
		}
		v, folds := f.viewOf(of)
		if !folds || cancelled(v) {
			return nil
		}
		for _, request := range kept {
			e := f.Cancellation(c.id, request).Late()
			answered, err := f.Answers(of, e)
			if err != nil {
				return err
			}
			if answered || slices.ContainsFunc(late, func(r event.Record) bool { return isLate(r, e) }) {
				return nil // once one of them is refused, the others are answered without an event
			}
		}
		c.found(CancellationUnanswered, c.head.Version, "%d of them arrived before %s %s, which is %s", len(kept), v.Flow, c.id, v.Status)
		return nil
	})
}

// lateOf is the stream in which late events of the saga of a chain are recorded, and reports whether a record is about one.
func (c *chain) lateOf(f Flow) (stream string, is func(r event.Record, e saga.LateEvent) bool) {
	if c.isOrders(f) {
		return event.LateStream(c.id), func(r event.Record, e saga.LateEvent) bool {
			return r.CausationID == e.EventID && latepayment.LateRecord{Type: e.Type, Identity: e.Identity}.Of(r)
		}
	}
	return f.LateStreamOf(c.id), func(r event.Record, e saga.LateEvent) bool { return r.Key == e.Identity }
}

// cancelled reports whether a saga is, or will be, cancelled on request.
func cancelled(v saga.View) bool {
	return v.Status == saga.Cancelled || v.Reason == saga.ReasonRequested
}

// lateSaga checks a stream of late events of a flow.
func (c *chain) lateSaga(f Flow) {
	folds(c, nil, collect, func(ctx context.Context, _ []event.Record) error { return c.founded(ctx, f) })
}

// founded checks that late events came after the end of a saga that is known.
func (c *chain) founded(ctx context.Context, f Flow) error {
	stream, name := f.StreamOf(c.id), f.Info().Name
	c.needs(LateUnfounded, c.head.Version, stream)
	of, ok, err := c.read(ctx, stream)
	if !ok {
		return err
	}
	switch v, folds := f.viewOf(of); {
	case !folds:
	case len(of) == 0:
		c.found(LateUnfounded, c.head.Version, "the log has no such %s", name)
	case !v.Ended:
		c.found(LateUnfounded, c.head.Version, "the %s is %s at version %d", name, v.Status, v.Version)
	}
	return nil
}

// lateAfter checks the same of a saga that handles the late events of a saga of another flow.
func (u *flowUnit) lateAfter(ctx context.Context) error {
	for _, f := range u.cfg.Flows {
		if f.Info().LateWorkflow == u.flow.Info().Workflow {
			return u.founded(ctx, f)
		}
	}
	return nil
}

// undelivered checks that the saga which a dead letter's fact is about is not known, or that the fact is there all the same: a saga is cancelled
// by a cancellation that came before it.
func (c *chain) undelivered(ctx context.Context, f Flow, s deadletter.State) error {
	stream := f.StreamOf(s.Subject)
	c.needs(FactUndelivered, s.Head.Version, stream)
	records, ok, err := c.read(ctx, stream)
	if !ok || len(records) == 0 {
		return err
	}
	v, folds := f.viewOf(records)
	if !folds || f.Cancellation(s.Subject, saga.Cancellation{}).Type == s.Type && cancelled(v) {
		return nil
	}
	c.found(FactUndelivered, s.Head.Version, "it is a %s about %s %s, which is %s", s.Type, v.Flow, s.Subject, v.Status)
	return nil
}

// flowOfType returns the flow that a type of events from outside is for: that of orders, unless another one says so.
func (r *Reconciler) flowOfType(name string) Flow {
	for _, f := range r.cfg.Flows {
		if slices.ContainsFunc(f.Info().Inbound, func(in saga.Inbound) bool { return in.Name == name }) {
			return f
		}
	}
	return r.orders
}

// flowPayment checks the payment of a saga of an added flow: it does not contradict itself, does not stand after the end, and has cost nothing
// where the saga turned back, unless a person has settled a step.
func (c *chain) flowPayment() {
	b := books{stream: c.stream}
	c.take = func(r event.Record) {
		d, err := event.Decode[struct{ Amount int64 }](r.Event)
		if err != nil {
			c.damage(StreamFold, r.Version, "version %d: %v", r.Version, err)
			return
		}
		b.add(r, d.Amount)
	}
	c.done = func(ctx context.Context) error {
		c.work.Go(func() error { return c.paidSaga(ctx, b) })
		return ctx.Err()
	}
}

// paidSaga holds a payment against its saga.
func (c *chain) paidSaga(ctx context.Context, b books) error {
	flow, id, _ := event.FlowPaymentOf(c.stream)
	found := func(k Kind, format string, args ...any) {
		c.needs(k, b.version, c.stream) // what is missing may say otherwise
		c.found(k, b.version, format, args...)
	}
	if len(b.wrong) > 0 {
		found(PaymentContradiction, "%s", strings.Join(b.wrong, "; "))
	}
	if b.authorizations > 1 {
		found(AuthorizedTwice, "%d authorizations were made", b.authorizations)
	}
	stream := flow + "-" + event.Escape(id)
	f, _, known := c.flowOf(stream)
	if !known || !b.moved() && b.net() == 0 {
		return nil // its flow is not in this binary, or nothing came of it
	}
	records, ok, err := c.read(ctx, stream)
	if err != nil || !ok {
		return err
	}
	if len(records) == 0 {
		found(PaymentWithoutOrder, "the ledger has %d captured and %d authorizations", b.net(), b.authorizations)
		return nil
	}
	v, folds := f.viewOf(records)
	switch open := b.openPayment(); {
	case !folds, !v.Ended, c.o.Since > 0 && c.now.Sub(v.UpdatedAt) > c.o.Since:
	case v.ByHand && (open != "" || v.Status != saga.Completed && b.net() != 0):
		found(ExceptionOnRecord, "the %s has ended as %s and cost %d, as an operator decided", v.Flow, v.Status, b.net())
	case open != "":
		found(AuthorizationLeftOpen, "the %s has ended as %s, and its payment is %s", v.Flow, v.Status, open)
	case v.Status != saga.Completed && b.net() != 0:
		found(MoneyWrong, "the %s has ended as %s, and has cost %d", v.Flow, v.Status, b.net())
	}
	return nil
}
