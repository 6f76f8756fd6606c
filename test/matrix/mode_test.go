package matrix

import (
	"context"
	"slices"
	"sync/atomic"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// mode is how a call succeeds: inside the workflow task, or by the regular activity that takes over when the local
// one has failed. The flows and the service do not know of it: only calls of the local activity fail.
type mode string

const (
	// inline: in the local activity.
	inline mode = "inline"
	// regular: the local activity fails at the call, before it is made.
	regular mode = "regular"
	// again: the local activity does everything and its answer is lost; the regular activity finds the result.
	again mode = "regular, done before"
)

var modes = []mode{inline, regular, again}

// detour selects the calls that a regular activity must make.
type detour struct {
	mode mode
	// calls are the selected calls; nil is every call that a step depends on.
	calls []op
}

func (d detour) takes(what op) bool {
	switch {
	case d.mode == inline:
		return false
	case d.calls == nil:
		return what != opPublish && what != opProject
	}
	return slices.Contains(d.calls, what)
}

// visit is an attempt as a local activity.
type visit struct {
	// detoured reports whether it made a call that is to be made again by the regular activity.
	detoured atomic.Bool
}

type visitKey struct{}

// visited runs an activity, and loses the answer of a local one that made a call which is to be made again.
func visited(ctx context.Context, in *interceptor.ExecuteActivityInput, next interceptor.ActivityInboundInterceptor) (any, error) {
	if !activity.GetInfo(ctx).IsLocalActivity {
		return next.ExecuteActivity(ctx, in)
	}
	v := &visit{}
	answer, err := next.ExecuteActivity(context.WithValue(ctx, visitKey{}, v), in)
	if err == nil && v.detoured.Load() {
		return nil, fault.New(fault.OutcomeUnknown, "the answer of the local activity is lost")
	}
	return answer, err
}

// local reports whether a call is that of a local activity.
func local(ctx context.Context) bool { return ctx.Value(visitKey{}) != nil }

// divert reports whether a call is a local activity's that has no fault: the fault waits for the regular activity. The error
// is what the call fails with.
func (proc *process) divert(ctx context.Context, what op) (bool, error) {
	d := proc.environment.detours()
	switch {
	case !local(ctx) || !d.takes(what):
		return false, nil
	case d.mode == regular:
		return true, fault.New(fault.Unavailable, "not inside a workflow task")
	}
	ctx.Value(visitKey{}).(*visit).detoured.Store(true)
	return true, nil
}
