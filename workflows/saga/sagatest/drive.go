package sagatest

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Drive has a saga do what its table decides, at one time, with facts that have come, until it waits or has ended: without a worker, for tests that
// need its stream. It begins the stream, or goes on with it. The error is that of the log, or of a step, which is not attempted again.
func Drive[S, P any](
	ctx context.Context, flow *saga.Flow[S, P], participants P, log event.StreamAppender, in saga.OpenInput, now time.Time, facts ...saga.Fact,
) (S, error) {
	stream := flow.StreamOf(in.ID)
	var none S
	s, err := event.FoldPages(ctx, log, stream, 0, none, flow.Fold)
	if err != nil {
		return s, err
	}
	var entries []event.Entry
	if !flow.Kit(&s).Opened() {
		entries = []event.Entry{flow.Accept(in, now)}
	}
	for {
		k := flow.Kit(&s)
		if len(entries) > 0 {
			if _, _, err := log.Append(ctx, stream, k.Head, entries); err != nil {
				return s, err
			}
			if s, err = event.FoldPages(ctx, log, stream, k.Head.Version, s, flow.Fold); err != nil {
				return s, err
			}
		}
		a := flow.Decide(s, saga.Facts{Received: facts}, now, func(saga.Deadline) time.Duration { return time.Hour })
		switch a.Kind {
		case saga.Record:
			entries = []event.Entry{a.Entry}
		case saga.Do, saga.Undo:
			call := saga.Call[S]{ID: in.ID, Key: event.Key(in.ID, a.Step), State: s, Now: func() time.Time { return now }}
			o, err := flow.Operation(&s, a.Step, a.Kind).Run(participants, ctx, call)
			if err != nil {
				return s, err
			}
			if entries, err = flow.Entries(saga.StepInput[S]{State: s}, a.Step, o, now); err != nil {
				return s, err
			}
		default:
			return s, nil
		}
	}
}
