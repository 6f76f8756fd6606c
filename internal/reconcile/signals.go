package reconcile

import (
	"context"
	"iter"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// signals looks for signals that were acknowledged to their senders, reached an interrupted run, and that no later run
// took over. It sees those that would change something: the others are answered by what the log says already.
func (l *look) signals(ctx context.Context) error {
	return l.eachSaga(ctx, func(f Flow) iter.Seq2[string, error] { return f.Sagas.Interrupted(ctx) }, l.lostSignals)
}

// lostSignals looks for them in the runs of one saga.
func (l *look) lostSignals(ctx context.Context, f Flow, id string) error {
	stream := f.StreamOf(id)
	if l.streams != nil && !l.lost[stream] {
		return nil
	}
	records, ok, err := l.read(ctx, stream)
	if err != nil || !ok || len(records) == 0 {
		// What is damaged, or has recorded nothing, is found elsewhere.
		return err
	}
	v, folds := f.viewOf(records)
	if !folds || !l.recent(v.Ended, v.UpdatedAt) || v.Ended && !l.isOrders(f) {
		return nil
	}
	run, err := f.Sagas.Inspect(ctx, id)
	if err != nil || !run.Found || !run.Running && !run.Completed || run.TaskAttempts > 0 || run.Activities > 0 {
		// Another run is to take over, or this one is at work.
		return err
	}
	facts, err := f.Sagas.Lost(ctx, id)
	if err != nil {
		return err
	}
	var what string
	if v.Ended {
		what, err = l.lostLate(ctx, records, facts)
	} else {
		what, err = l.lostFacts(f, id, records, facts)
	}
	if err == nil && what != "" {
		l.found(SignalLost, id, stream, v.Version, "it is %s, and an interrupted run received: %s", v.Status, what)
	}
	return err
}

// lostFacts names the facts that a waiting saga received, if they would end its wait.
func (l *look) lostFacts(f Flow, id string, records []event.Record, facts saga.Facts) (string, error) {
	waits, _, err := f.Due(records, saga.Facts{}, l.now, f.Timing)
	if err != nil || waits != "" {
		return "", err
	}
	if due, _, err := f.Due(records, facts, l.now, f.Timing); err != nil || due == "" {
		return "", err
	}
	var names []string
	if len(facts.Cancellations) > 0 {
		names = append(names, f.Cancellation(id, facts.Cancellations[0]).Type)
	}
	for _, fact := range facts.Received {
		names = append(names, fact.Type)
	}
	return strings.Join(names, ", "), nil
}
