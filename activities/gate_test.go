package activities_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// gateBudget is the budget of these tests, bookingLookup the operation whose calls they make.
const (
	gateBudget    = 2 * time.Second
	bookingLookup = "booking.room.lookup"
)

// callMode is how a call has ended.
type callMode string

const (
	ranInline   callMode = "inline"
	ranRegular  callMode = "regular"
	wasRefused  callMode = "refused, then regular"
	hasTimedOut callMode = "timed out, then regular"
)

// provider is an external service with a latency in the time of a fake clock, and a saga that calls it.
type provider struct {
	t       *testing.T
	mu      sync.Mutex
	now     time.Time
	latency time.Duration
	// err is what calls answer with.
	err   error
	calls *remoteCalls
	flow  *activities.Flow[booking, *bookings]
	in    saga.StepInput[booking]
	// slow is what the last activity has answered.
	slow []string
	// inline reports that the call that is made runs inside a workflow task.
	inline bool
	site   *bookings
}

// remoteCalls counts what a gate reports.
type remoteCalls struct {
	mu      sync.Mutex
	refused map[activities.Refusal]int
	inline  map[bool]int
	p95     time.Duration
}

func (r *remoteCalls) Called(_ string, inline bool, p95 time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inline[inline]++
	r.p95 = p95
}

func (r *remoteCalls) Refused(_ string, reason activities.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[reason]++
}

func newProvider(t *testing.T, c activities.GateConfig) *provider {
	t.Helper()
	p := &provider{t: t, now: now, calls: &remoteCalls{refused: make(map[activities.Refusal]int), inline: make(map[bool]int)}}
	clock := func() time.Time {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.now
	}
	c.Clock, c.Metrics = clock, p.calls
	p.site = &bookings{answer: saga.NotFound(), meanwhile: p.answer}
	p.flow = &activities.Flow[booking, *bookings]{
		Recorder: &activities.Recorder{
			Log: memlog.New(), Publisher: &bus{}, Clock: clock, Logger: slog.New(slog.DiscardHandler), Gate: activities.NewGate(c),
		},
		Table: bookingFlow(), Participants: p.site,
		Settings: saga.Settings{
			Waits: map[saga.Deadline]time.Duration{"ROOM_DEADLINE": time.Minute}, Attention: time.Minute, Slow: []string{"room"},
		},
	}
	opened, err := p.flow.Open(t.Context(), saga.OpenInput{ID: "7", Data: []byte(`{}`)})
	require.NoError(t, err)
	s, err := p.flow.Table.Fold(booking{}, opened.Tail)
	require.NoError(t, err)
	p.in, p.slow = saga.StepInput[booking]{State: s, Settings: opened.Settings}, opened.Slow
	return p
}

// answer is a call as the provider sees it.
func (p *provider) answer() {
	took, err := p.latency, p.err
	if limit := p.in.Settings.Inline; p.inline && took >= limit {
		took, err = limit, fault.New(fault.OutcomeUnknown, "no answer in time")
	}
	p.pass(took)
	p.site.err = err
}

func (p *provider) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// attempt runs the step.
func (p *provider) attempt(ctx context.Context, inline bool) (saga.StepResult[booking], error) {
	in := p.in
	in.Inline, p.inline = inline, inline
	return p.flow.Step("room", saga.Lookup)(ctx, in)
}

// call makes a call as a run does.
func (p *provider) call() callMode {
	p.t.Helper()
	before := ranRegular
	if len(p.slow) == 0 && p.in.Settings.Inline > 0 {
		result, err := p.attempt(p.t.Context(), true)
		if err == nil {
			p.slow = result.Slow
			return ranInline
		}
		before = hasTimedOut
		if isRefused(err) {
			before = wasRefused
		}
	}
	result, err := p.attempt(p.t.Context(), false)
	if err == nil {
		p.slow = result.Slow
	}
	return before
}

func isRefused(err error) bool {
	application, ok := err.(*temporal.ApplicationError) //nolint:errorlint // as Temporal keeps it
	return ok && application.Type() == saga.TypeNotInline && !application.NonRetryable()
}

// all makes calls, and requires that each ends in one way.
func (p *provider) all(n int, want callMode) {
	p.t.Helper()
	for i := range n {
		require.Equal(p.t, want, p.call(), "call %d", i+1)
	}
}

func TestFastProviderIsCalledInline(t *testing.T) {
	for _, latency := range []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond} {
		p := newProvider(t, activities.GateConfig{Budget: gateBudget, Places: 1})
		p.latency = latency
		p.all(300, ranInline)
		require.Equal(t, map[bool]int{true: 300}, p.calls.inline)
		require.Equal(t, latency, p.calls.p95)
	}
}

// The first call shows that a provider is slow. Afterwards, runs know it before they try.
func TestSlowProviderIsCalledWithRegularActivities(t *testing.T) {
	p := newProvider(t, activities.GateConfig{Budget: gateBudget, Places: 1})
	p.latency = 3 * time.Second
	p.all(1, hasTimedOut)
	p.all(300, ranRegular)
	require.Empty(t, p.calls.refused, "no run has tried")
	p.slow = nil // another run has not learned it
	p.all(1, wasRefused)
	require.Equal(t, map[activities.Refusal]int{activities.RefusedSlow: 1}, p.calls.refused)
	opened, err := p.flow.Open(t.Context(), saga.OpenInput{ID: "8", Data: []byte(`{}`)})
	require.NoError(t, err)
	require.Equal(t, []string{bookingLookup}, opened.Slow, "it learns it when it opens")
}

func TestProviderMovesToRegularActivitiesAndBack(t *testing.T) {
	p := newProvider(t, activities.GateConfig{Budget: gateBudget, Places: 1})
	p.latency = 50 * time.Millisecond
	p.all(100, ranInline)
	p.latency = 3 * time.Second
	p.all(3, hasTimedOut) // each of these is two calls: six of a hundred are slow
	p.all(100, ranRegular)
	p.latency = 50 * time.Millisecond
	p.all(95, ranRegular)
	p.all(100, ranInline)
}

// A call that fails at once says nothing about how long an answer takes.
func TestOutageClosesTheGate(t *testing.T) {
	p := newProvider(t, activities.GateConfig{Budget: gateBudget, Places: 1})
	p.err = fault.New(fault.Unavailable, "connection refused")
	p.all(1, hasTimedOut)
	require.Equal(t, gateBudget, p.calls.p95)
	p.slow = nil
	p.all(1, wasRefused)
	p.err = fault.New(fault.Conflict, "an answer")
	p.slow = []string{bookingLookup}
	p.all(98, ranRegular)
	require.Less(t, p.calls.p95, gateBudget)
}

func TestStoppedCallsAreNotMeasured(t *testing.T) {
	p := newProvider(t, activities.GateConfig{Budget: gateBudget, Places: 1})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	p.err = fault.New(fault.OutcomeUnknown, "the process stops")
	_, err := p.attempt(ctx, true)
	requireFault(t, fault.OutcomeUnknown, err)
	require.Empty(t, p.calls.inline)
}

func TestInlineCallGetsItsBudget(t *testing.T) {
	p := newProvider(t, activities.GateConfig{Budget: gateBudget, Places: 1})
	var limited bool
	p.site.meanwhile = nil
	p.flow.Table.Steps[0].Lookup.Run = func(_ *bookings, ctx context.Context, _ saga.Call[booking]) (saga.Outcome, error) {
		_, limited = ctx.Deadline()
		return saga.NotFound(), nil
	}
	for _, inline := range []bool{true, false} {
		_, err := p.attempt(t.Context(), inline)
		require.NoError(t, err)
		require.Equal(t, inline, limited)
	}
}

func TestInlineCallsAreBounded(t *testing.T) {
	const places = 24
	p := newProvider(t, activities.GateConfig{Budget: gateBudget, Places: places})
	var calling, done sync.WaitGroup
	calling.Add(places)
	release := make(chan struct{})
	p.site.meanwhile = nil
	p.flow.Table.Steps[0].Lookup.Run = func(*bookings, context.Context, saga.Call[booking]) (saga.Outcome, error) {
		calling.Done()
		<-release
		return saga.NotFound(), nil
	}
	p.in.Inline = true
	for range places {
		done.Go(func() {
			_, err := p.flow.Step("room", saga.Lookup)(t.Context(), p.in)
			if err != nil {
				t.Error(err)
			}
		})
	}
	calling.Wait()
	_, err := p.flow.Step("room", saga.Lookup)(t.Context(), p.in)
	require.True(t, isRefused(err), "%v", err)
	require.Equal(t, map[activities.Refusal]int{activities.RefusedFull: 1}, p.calls.refused)
	close(release)
	done.Wait()
	p.flow.Table.Steps[0].Lookup.Run = (*bookings).step
	p.all(1, ranInline)
}

func TestNoCallIsInlineWithoutBudgetOrPlaces(t *testing.T) {
	for _, c := range []activities.GateConfig{{Places: 24}, {Budget: gateBudget}} {
		p := newProvider(t, c)
		require.Zero(t, p.in.Settings.Inline)
		p.all(10, ranRegular)
	}
	// A run that was opened by a process with a budget learns that this one has none when it tries.
	p := newProvider(t, activities.GateConfig{Places: 24})
	p.in.Settings.Inline = gateBudget
	p.all(1, wasRefused)
	p.all(1, ranRegular)
}

// A process that does not run the regular activities never measures that the provider is fast again.
func TestMeasurementsAreForgotten(t *testing.T) {
	p := newProvider(t, activities.GateConfig{Budget: gateBudget, Places: 1, Forget: 10 * time.Minute})
	p.latency = 3 * time.Second
	p.all(1, hasTimedOut)
	p.latency = 50 * time.Millisecond
	p.pass(9 * time.Minute)
	p.slow = nil
	_, err := p.attempt(t.Context(), true)
	require.True(t, isRefused(err), "%v", err)
	p.pass(2 * time.Minute)
	p.all(10, ranInline)
}
