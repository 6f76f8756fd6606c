package activities

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// measuredCalls is how many calls of an operation are remembered.
const measuredCalls = 100

// GateConfig configures a Gate.
type GateConfig struct {
	// Budget is the time that a call may take: one runs inside a workflow task while the 95th percentile of the last calls of its operation is
	// below it. 0 is never.
	Budget time.Duration
	// Places is how many calls may run inside workflow tasks at the same time.
	Places int
	// Forget is how long after the newest measured call of an operation the measurements are ignored; 0 is never. It is for processes that do not
	// run the regular activities: they would never notice that a slow service is fast again.
	Forget time.Duration
	// Clock is mandatory.
	Clock func() time.Time
	// Metrics may be nil.
	Metrics GateMetrics
}

// GateMetrics counts remote calls. Its methods are called by any number of goroutines, and must not block.
type GateMetrics interface {
	// Called counts a call of an operation that has ended; p95 is that of the last calls.
	Called(operation string, inline bool, p95 time.Duration)
	// Refused counts a call that was not run inside a workflow task.
	Refused(operation string, reason Refusal)
}

// Refusal says why a call is not run inside a workflow task.
type Refusal string

// The reasons.
const (
	// RefusedSlow: the service does not answer within the budget.
	RefusedSlow Refusal = "slow"
	// RefusedFull: too many workflow tasks wait for services.
	RefusedFull Refusal = "full"
)

// Gate decides which remote calls of a process run inside workflow tasks, by what it has measured. An operation is a registered activity. One that was
// not measured yet is taken for fast: an attempt has a time limit. It is safe for concurrent use.
type Gate struct {
	cfg GateConfig

	mu     sync.Mutex
	taken  int
	recent map[string]*recentCalls
}

// recentCalls are the last calls of an operation.
type recentCalls struct {
	took   []time.Duration
	next   int
	p95    time.Duration
	newest time.Time
}

// NewGate returns a gate that has measured nothing.
func NewGate(c GateConfig) *Gate { return &Gate{cfg: c, recent: make(map[string]*recentCalls)} }

// Budget is the time that calls may take inside workflow tasks; 0 without a gate, or without places.
func (g *Gate) Budget() time.Duration {
	if g == nil || g.cfg.Places < 1 {
		return 0
	}
	return g.cfg.Budget
}

// enter takes a place for a call, or says why there is none. It does not wait.
func (g *Gate) enter(operation string) (reason Refusal, ok bool) {
	if g == nil {
		return "", true
	}
	g.mu.Lock()
	switch {
	case g.slow(operation):
		reason = RefusedSlow
	case g.taken >= g.cfg.Places:
		reason = RefusedFull
	default:
		g.taken++
	}
	g.mu.Unlock()
	if reason != "" && g.cfg.Metrics != nil {
		g.cfg.Metrics.Refused(operation, reason)
	}
	return reason, reason == ""
}

// leave gives the place back.
func (g *Gate) leave() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.taken--
}

// slow reports whether an operation is too slow. It requires the lock.
func (g *Gate) slow(operation string) bool {
	r := g.recent[operation]
	return g.cfg.Budget <= 0 || r != nil && !g.stale(r) && r.p95 >= g.cfg.Budget
}

func (g *Gate) stale(r *recentCalls) bool {
	return g.cfg.Forget > 0 && g.cfg.Clock().Sub(r.newest) > g.cfg.Forget
}

// slowOf are those of the operations that are too slow now.
func (g *Gate) slowOf(operations func() []string) (slow []string) {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for name := range g.recent {
		if g.slow(name) {
			slow = append(slow, name)
		}
	}
	if len(slow) == 0 {
		return nil
	}
	own := operations()
	slow = slices.DeleteFunc(slow, func(name string) bool { return !slices.Contains(own, name) })
	slices.Sort(slow)
	return slow
}

// measure takes in how long a call has taken, inside a workflow task or as a regular activity. A call without an answer counts as one that has taken the
// budget at least: how long it would have taken is not known, and one that fails at once must not open the gate.
func (g *Gate) measure(operation string, inline bool, took time.Duration, answered bool) {
	if g == nil {
		return
	}
	if !answered {
		took = max(took, g.cfg.Budget)
	}
	g.mu.Lock()
	r := g.recent[operation]
	if r == nil || g.stale(r) {
		r = &recentCalls{}
		g.recent[operation] = r
	}
	r.add(took, g.cfg.Clock())
	p95 := r.p95
	g.mu.Unlock()
	if g.cfg.Metrics != nil {
		g.cfg.Metrics.Called(operation, inline, p95)
	}
}

func (r *recentCalls) add(took time.Duration, at time.Time) {
	if len(r.took) < measuredCalls {
		r.took = append(r.took, took)
	} else {
		r.took[r.next] = took
	}
	r.next, r.newest = (r.next+1)%measuredCalls, at
	sorted := slices.Sorted(slices.Values(r.took))
	r.p95 = sorted[int(math.Ceil(0.95*float64(len(sorted))))-1] // the nearest rank: of fewer than 20, the slowest
}

// remote is the operation of a call if it is one of an external service.
func (f *Flow[S, P]) remote(in *saga.StepInput[S], step string, kind saga.ActionKind) (operation string, is bool) {
	return f.Table.RemoteCall(&in.State, in.Settings, step, kind)
}

// enter lets an attempt inside a workflow task call an external service, or refuses with an error that makes it a regular activity.
func (f *Flow[S, P]) enter(in *saga.StepInput[S], step string, kind saga.ActionKind) (leave func(), err error) {
	operation, remote := f.remote(in, step, kind)
	if !in.Inline || !remote {
		return func() {}, nil
	}
	reason, ok := f.Gate.enter(operation)
	if !ok {
		return nil, temporal.NewApplicationErrorWithOptions(string(reason), saga.TypeNotInline, temporal.ApplicationErrorOptions{
			Category: temporal.ApplicationErrorCategoryBenign,
		})
	}
	return f.Gate.leave, nil
}

// bound returns the context of a step function. Inside a workflow task, a call of an external service gets its budget, which leaves time to append the
// outcome.
func (f *Flow[S, P]) bound(ctx context.Context, in *saga.StepInput[S], remote bool) (context.Context, context.CancelFunc) {
	if !in.Inline || !remote || in.Settings.Inline <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, in.Settings.Inline)
}

// measure measures a call of an external service. One that ended because the process stops says nothing.
func (f *Flow[S, P]) measure(ctx context.Context, in *saga.StepInput[S], operation string, took time.Duration, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	f.Gate.measure(operation, in.Inline, took, err == nil || !fault.Lookup(fault.CodeOf(err)).Retryable)
}

// slow are the remote calls of the flow that are too slow for workflow tasks now.
func (f *Flow[S, P]) slow(settings saga.Settings) []string {
	if settings.Inline <= 0 {
		return nil
	}
	return f.Gate.slowOf(f.Table.Activities)
}
