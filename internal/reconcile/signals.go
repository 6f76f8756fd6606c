package reconcile

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// signals looks for signals that were acknowledged to their senders, reached an interrupted run, and that no later run
// took over. It sees those that would change something: the others are answered by what the log says already.
func (l *look) signals(ctx context.Context) error {
	seen := make(map[string]bool)
	return l.eachOrder(ctx, func(yield func(string, error) bool) {
		for id, err := range l.cfg.Sagas.BrokenOff(ctx) {
			if !seen[id] && !yield(id, err) {
				return
			}
			seen[id] = true
		}
	}, l.lostSignals)
}

// lostSignals looks for them in the runs of one order.
func (l *look) lostSignals(ctx context.Context, orderID string) error {
	stream := event.OrderStream(orderID)
	var causes []string // of records of older versions, which do not say which event of the bus caused them
	unreadable := false
	state, err := event.FoldPages(ctx, l.cfg.Log, stream, 0, order.State{}, func(s order.State, page []event.Record) (order.State, error) {
		for _, r := range page {
			if order.NamesCause(r.Type) && !bytes.Contains(r.Data, []byte(`"eventIdentity"`)) {
				causes = append(causes, r.CausationID)
			}
		}
		next, err := s.Fold(page)
		unreadable = err != nil
		return next, err
	})
	if unreadable || damaged(err) || err == nil && !state.Opened() {
		// That is found where it is walked, or as an order that has recorded nothing.
		return nil
	}
	if err != nil || !l.recent(state) {
		return err
	}
	run, err := l.cfg.Sagas.Inspect(ctx, orderID)
	if err != nil || !run.Found || !run.Running && !run.Completed || run.TaskAttempts > 0 || run.Activities > 0 {
		// Another run is to take over, or this one is at work.
		return err
	}
	facts, err := l.cfg.Sagas.Lost(ctx, orderID)
	if err != nil {
		return err
	}
	what := ""
	switch {
	case state.Ended:
		what, err = l.lostLate(ctx, state, facts, causes)
	case order.Next(state, order.Facts{}, l.now, l.cfg.Timing).Kind == order.Wait &&
		order.Next(state, facts, l.now, l.cfg.Timing).Kind != order.Wait:
		what = factNames(facts)
	}
	if err == nil && what != "" {
		l.found(SignalLost, orderID, stream, state.Head.Version, "it is %s, and an interrupted run received: %s", state.Status, what)
	}
	return err
}

// lostLate names the consequential facts that an ended order received and that are not recorded as late events.
func (l *look) lostLate(ctx context.Context, s order.State, f order.Facts, causes []string) (string, error) {
	if s.Decision == order.Forward {
		return "", nil
	}
	for _, fact := range f.Heard {
		v := latepayment.Verdict{ID: fact.ID, Type: fact.Type, Identity: fact.Identity, Status: s.Status, Handled: s.DispatchedAfterCancel()}
		if fact.Cause == "" || slices.Contains(causes, fact.Cause) || s.Caused(fact.Identity) || !v.Consequential() {
			continue
		}
		standing, err := l.cfg.Log.FindAll(ctx, event.LateStream(s.Order.ID), v.Slots())
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(standing)), v.Of) {
			return fact.Type, nil
		}
	}
	return "", nil
}

// factNames names facts for people.
func factNames(f order.Facts) string {
	var names []string
	if len(f.Cancellations) > 0 {
		names = append(names, event.OrderCancellationRequested)
	}
	for _, fact := range f.Heard {
		names = append(names, fact.Type)
	}
	return strings.Join(names, ", ")
}
