package sagaclient

import (
	"context"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// LateSignal is returned for a signal to a saga that has ended.
type LateSignal[S any] struct {
	// State is the saga as it ended.
	State S
}

// Signal sends a fact to a saga. Errors: OrderUnknown when the saga is not known yet; Unavailable. Late is not nil when the
// saga has ended: the fact came too late, and no run has it. A cancellation that the log answers already is no signal.
func (c *flowClient[S, P]) Signal(ctx context.Context, id, name string, payload any) (late *LateSignal[S], err error) {
	if request, ok := payload.(saga.Cancellation); ok && name == saga.SignalCancel {
		if answered, err := c.answered(ctx, id, request); answered || err != nil {
			return nil, err
		}
	}
	for attempt := 1; ; attempt++ {
		err := c.temporal.SignalWorkflow(ctx, c.flow.WorkflowID(id), "", name, payload)
		if err == nil {
			return nil, nil
		}
		if !isNotFound(err) {
			return nil, fault.Wrap(err, fault.Unavailable, "signal %s", c.name(id))
		}
		state, err := c.state(ctx, id)
		switch {
		case err != nil:
			return nil, err
		case c.flow.Kit(&state).Ended:
			return &LateSignal[S]{State: state}, nil
		}
		switch err := c.resume(ctx, id, &state); {
		case err != nil:
			return nil, err
		case attempt == askAttempts:
			return nil, fault.New(fault.Unavailable, "the saga of %s closes as soon as it runs", c.name(id))
		}
	}
}

// answered reports whether the log answers a cancellation that came as an event: the saga is being cancelled, or an earlier
// cancellation was refused.
func (c *flowClient[S, P]) answered(ctx context.Context, id string, request saga.Cancellation) (bool, error) {
	s, err := c.state(ctx, id)
	kit := c.flow.Kit(&s)
	if err != nil || !kit.CancelRefused && !kit.Cancelling() || kit.Ended && !kit.CancelRefused {
		return false, err
	}
	if kit.CancelRefused {
		c.refused(ctx, id, request.ID, c.flow.RefusalText(&s))
	}
	c.lookAfter(ctx, id, &s)
	return true, nil
}
