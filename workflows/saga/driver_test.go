package saga_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

var (
	errUnavailable = temporal.NewApplicationError("no participant answers", "away")
	errNo          = temporal.NewNonRetryableApplicationError("never", "no", nil)
)

// play is a flow that does what its script says, and writes down what the kit tells it.
type play struct {
	ctx    workflow.Context
	script []saga.Action
	// log is what the kit said, in its order.
	log []string
	// fast: remote calls may run inline; budget is what one that may be slow gets; patience is how long before something is raised.
	fast     bool
	budget   time.Duration
	patience time.Duration
	// stop makes attempts pointless; moved counts facts. overtaken: the fact comes while an attempt runs.
	stop, overtaken bool
	moved           int
	// raised: Record writes the attention that was raised at raisedAt.
	raised   bool
	raisedAt []time.Time
	drain    saga.Drain
}

func (p *play) note(words ...string) { p.log = append(p.log, strings.Join(words, " ")) }

func (p *play) DrainSignals() {
	for {
		var word string
		if !workflow.GetSignalChannel(p.ctx, "word").ReceiveAsync(&word) {
			return
		}
		p.moved++
		p.stop = p.stop || word == "stop"
	}
}
func (p *play) Facts() int { return p.moved }

func (p *play) Next(time.Time) saga.Action {
	switch {
	case p.raised:
		return saga.Action{Kind: saga.Record}
	case p.stop || len(p.script) == 0:
		return saga.Action{Kind: saga.Close}
	}
	return p.script[0]
}

func (p *play) Record() error {
	p.note("record")
	if p.raised {
		p.raised = false
		return nil
	}
	p.script = p.script[1:]
	return nil
}

func (p *play) Input(a saga.Action, inline bool) input {
	p.stop = p.stop || p.overtaken
	mode := "durable"
	if inline {
		mode = "inline"
	}
	return input{Step: a.Step, Mode: mode}
}
func (p *play) Durable(in input) input { in.Mode = "durable"; return in }
func (p *play) Inline(_, _ string, remote bool) saga.Inlining {
	if remote && !p.fast {
		return saga.RemoteInlining(p.budget)
	}
	return saga.OwnInlining
}

func (p *play) Interrupts(saga.Action) bool { return p.stop }

func (p *play) Fold(a saga.Action, _ input, out output) error {
	p.note(a.String(), "answered", out.Answer)
	p.script = p.script[1:]
	return nil
}

func (p *play) GiveUp(a saga.Action, _ input, cause error) {
	p.note("gave up", a.String(), saga.Describe(cause))
	p.script = p.script[1:]
}

func (p *play) Raise(s saga.Stuck) {
	p.note("stuck", s.String(), saga.Describe(s.Cause))
	p.raised = s.Attempts == 1
	p.raisedAt = append(p.raisedAt, workflow.Now(p.ctx))
}
func (p *play) AttentionAfter() time.Duration { return p.patience }
func (p *play) Idle(note string)              { p.note("idle:", note) }
func (p *play) Drain() *saga.Drain            { return &p.drain }
func (p *play) MayContinueAsNew() bool        { return true }
func (p *play) ContinueAsNew() error          { return errors.New("a new run") }
func (p *play) Close() error                  { p.note("close"); return nil }

// stage runs a play.
type stage struct {
	env *testsuite.TestWorkflowEnvironment
	// calls are the calls of activities, with their modes; errs are what the next calls of an activity answer.
	calls []string
	errs  map[string][]error
}

func newStage() *stage {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	s := &stage{env: suite.NewTestWorkflowEnvironment(), errs: map[string][]error{}}
	sagatest.ExtendTimeouts(s.env)
	for _, name := range []string{"Pack", "FindPack", "Unpack", "Hire", "Dismiss", "Send"} {
		s.env.RegisterActivityWithOptions(func(_ context.Context, in input) (output, error) {
			s.calls = append(s.calls, name+" "+in.Mode)
			if errs := s.errs[name]; len(errs) > 0 {
				s.errs[name] = errs[1:]
				return output{}, errs[0]
			}
			return output{Answer: "ok"}, nil
		}, activity.RegisterOptions{Name: name})
	}
	return s
}

func (s *stage) run(t *testing.T, p *play, remote bool) error {
	t.Helper()
	steps := sound()
	for i := range steps {
		for _, c := range []*call{steps[i].Do, steps[i].Lookup, steps[i].Undo} {
			if c != nil {
				c.Remote = remote
			}
		}
	}
	d := saga.Define("parcel", steps...)
	if p.patience == 0 {
		p.patience = time.Minute
	}
	s.env.ExecuteWorkflow(func(ctx workflow.Context) error {
		p.ctx, _ = workflow.NewDisconnectedContext(ctx)
		return saga.NewDriver(ctx, d, p).Run()
	})
	require.True(t, s.env.IsWorkflowCompleted())
	return s.env.GetWorkflowError()
}

func doStep(step string) saga.Action { return saga.Action{Kind: saga.Do, Step: step} }

func times(n int, err error) []error { return slices.Repeat([]error{err}, n) }

func TestInlineFirst(t *testing.T) {
	s, p := newStage(), &play{script: []saga.Action{doStep("pack"), {Kind: saga.Record}, doStep("send")}}
	require.NoError(t, s.run(t, p, false))
	require.Equal(t, []string{"Pack inline", "Send inline"}, s.calls)
	require.Equal(t, []string{"do pack answered ok", "record", "do send answered ok", "close"}, p.log)
}

func TestFailedLocalActivityBecomesRegular(t *testing.T) {
	s, p := newStage(), &play{script: []saga.Action{doStep("pack")}}
	s.errs["Pack"] = times(4, errUnavailable)
	require.NoError(t, s.run(t, p, false))
	require.Equal(t, []string{"Pack inline", "Pack inline", "Pack durable", "Pack durable", "Pack durable"}, s.calls)
	require.Equal(t, []string{"idle: retrying: do Pack", "do pack answered ok", "close"}, p.log)
}

func TestRemoteCallsAreInlineWhenTheyAreFast(t *testing.T) {
	for fast, want := range map[bool]string{true: "Pack inline", false: "Pack durable"} {
		s, p := newStage(), &play{script: []saga.Action{doStep("pack")}, fast: fast}
		require.NoError(t, s.run(t, p, true))
		require.Equal(t, []string{want}, s.calls)
	}
}

func TestRemoteCallIsTriedOnceInline(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want []string
		idle string
	}{
		"answered": {nil, []string{"Pack inline"}, ""},
		"failed":   {errUnavailable, []string{"Pack inline", "Pack durable"}, "idle: retrying: do Pack"},
		"refused": {
			temporal.NewApplicationError("slow", saga.TypeNotInline),
			[]string{"Pack inline", "Pack durable"}, "idle: do Pack",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := newStage(), &play{script: []saga.Action{doStep("pack")}, budget: time.Second}
			if test.err != nil {
				s.errs["Pack"] = times(1, test.err)
			}
			require.NoError(t, s.run(t, p, true))
			require.Equal(t, test.want, s.calls)
			if test.idle != "" {
				require.Contains(t, p.log, test.idle)
			}
		})
	}
}

func TestDeadlineGivesUpWithUnknownOutcome(t *testing.T) {
	for name, err := range map[string]error{"unavailable": errUnavailable, "for good": errNo} {
		t.Run(name, func(t *testing.T) {
			s, p := newStage(), &play{script: []saga.Action{doStep("pack"), {Kind: saga.Lookup, Step: "pack"}, {Kind: saga.Undo, Step: "pack"}}}
			s.errs["Pack"] = times(1000, err)
			require.NoError(t, s.run(t, p, false))
			require.Contains(t, p.log, "gave up do pack "+saga.Describe(err))
			require.Equal(t, []string{"lookup pack answered ok", "undo pack answered ok", "close"}, p.log[len(p.log)-3:])
		})
	}
}

// What must succeed is raised once, tried again slowly, and never given up.
func TestMandatoryActionRaisesAttentionAndIsRetried(t *testing.T) {
	for _, a := range []saga.Action{{Kind: saga.Undo, Step: "pack"}, doStep("send")} {
		s, p := newStage(), &play{script: []saga.Action{a}}
		activity := map[string]string{"pack": "Unpack", "send": "Send"}[a.Step]
		s.errs[activity] = times(3, errNo)
		before := s.env.Now()
		require.NoError(t, s.run(t, p, false))
		require.Equal(t, []string{
			"stuck " + a.String() + " never", "record", "idle: stuck: never",
			"stuck " + a.String() + " never", "idle: stuck: never",
			"stuck " + a.String() + " never", "idle: stuck: never",
			a.String() + " answered ok", "close",
		}, p.log)
		require.GreaterOrEqual(t, s.env.Now().Sub(before), 3*saga.SlowRetry, "slowly")
		require.Len(t, s.calls, 4, "not in a hot loop")
	}
}

// A saga may be parked for months: what it tries, and what its history holds, is bounded.
func TestPausesOfParkedSagaGrow(t *testing.T) {
	s, p := newStage(), &play{script: []saga.Action{{Kind: saga.Undo, Step: "pack"}}}
	s.errs["Unpack"] = times(100_000, errNo)
	const parked = 90 * 24 * time.Hour
	s.env.RegisterDelayedCallback(func() { s.errs["Unpack"] = nil }, parked)
	began := s.env.Now()
	require.NoError(t, s.run(t, p, false))
	require.Equal(t, "undo pack answered ok", p.log[len(p.log)-2])
	require.WithinDuration(t, began.Add(parked), s.env.Now(), 2*saga.SlowestRetry)
	require.Less(t, len(p.raisedAt), int(parked/saga.SlowestRetry)+10)
	first, second := p.raisedAt[1].Sub(p.raisedAt[0]), p.raisedAt[2].Sub(p.raisedAt[1])
	require.InDelta(t, saga.SlowRetry.Seconds(), first.Seconds(), 7)
	require.InDelta(t, (2 * saga.SlowRetry).Seconds(), second.Seconds(), 13)
	last := p.raisedAt[len(p.raisedAt)-1].Sub(p.raisedAt[len(p.raisedAt)-2])
	require.GreaterOrEqual(t, last, saga.SlowestRetry)
	require.Less(t, last, saga.SlowestRetry*11/10+time.Second)
}

func TestParkedSagaContinuesAsNew(t *testing.T) {
	s, p := newStage(), &play{script: []saga.Action{{Kind: saga.Undo, Step: "pack"}}}
	s.errs["Unpack"] = times(100_000, errNo)
	s.env.RegisterDelayedCallback(func() { s.env.SetContinueAsNewSuggested(true) }, 24*time.Hour)
	require.ErrorContains(t, s.run(t, p, false), "a new run")
	require.NotContains(t, p.log, "close")
}

func TestAttentionTimeoutBoundsTheFirstAttempts(t *testing.T) {
	// The test environment gives up after ten attempts: within 42 s.
	for patience, later := range map[time.Duration]time.Duration{12 * time.Second: 12 * time.Second, 40 * time.Second: saga.SlowBatch} {
		testPatience(t, patience, later)
	}
}

func testPatience(t *testing.T, patience, later time.Duration) {
	s, p := newStage(), &play{script: []saga.Action{{Kind: saga.Undo, Step: "pack"}}, patience: patience}
	s.errs["Unpack"] = times(60, errUnavailable)
	began := s.env.Now()
	require.NoError(t, s.run(t, p, false))
	require.Equal(t, "undo pack answered ok", p.log[len(p.log)-2])
	require.Greater(t, len(p.raisedAt), 1)
	first, second := p.raisedAt[0].Sub(began), p.raisedAt[1].Sub(p.raisedAt[0])
	require.InDelta(t, p.patience.Seconds(), first.Seconds(), 10)
	require.InDelta(t, (saga.SlowRetry + later).Seconds(), second.Seconds(), 15)
}

func TestFactInterruptsAnAttempt(t *testing.T) {
	s, p := newStage(), &play{script: []saga.Action{doStep("pack")}}
	s.errs["Pack"] = times(1000, errUnavailable)
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow("word", "hello") }, time.Second)
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow("word", "stop") }, 20*time.Second)
	before := s.env.Now()
	require.NoError(t, s.run(t, p, false))
	require.Equal(t, "close", p.log[len(p.log)-1])
	require.Less(t, s.env.Now().Sub(before), time.Minute)
	require.NotContains(t, strings.Join(p.log, "\n"), "gave up", "the outcome was not reported")
}

// There is no pause when a fact came together with the failure.
func TestFactWithFailureIsHandledFirst(t *testing.T) {
	s, p := newStage(), &play{script: []saga.Action{{Kind: saga.Undo, Step: "pack"}}, overtaken: true}
	s.errs["Unpack"] = []error{errNo}
	before := s.env.Now()
	require.NoError(t, s.run(t, p, false))
	require.Equal(t, []string{"close"}, p.log)
	require.Equal(t, before, s.env.Now())
}

func TestFactEndsAWait(t *testing.T) {
	s := newStage()
	p := &play{script: []saga.Action{{Kind: saga.Wait, For: "the courier", Until: s.env.Now().Add(time.Hour)}}}
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow("word", "stop") }, time.Minute)
	before := s.env.Now()
	require.NoError(t, s.run(t, p, false))
	require.Equal(t, []string{"idle: waiting for the courier", "close"}, p.log)
	require.Equal(t, time.Minute, s.env.Now().Sub(before))
}

func TestCancelledWorkflowContinues(t *testing.T) {
	s, p := newStage(), &play{script: []saga.Action{{Kind: saga.Undo, Step: "pack"}}}
	s.errs["Unpack"] = times(10, errUnavailable)
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Second)
	require.NoError(t, s.run(t, p, false))
	require.Contains(t, p.log, "undo pack answered ok")
}

func TestActionWithoutACallEndsTheRun(t *testing.T) {
	s, p := newStage(), &play{script: []saga.Action{{Kind: saga.Undo, Step: "send"}}}
	require.ErrorContains(t, s.run(t, p, false), `saga "parcel" has no operation for undo send`)
}

// quiet is a logger for the test environment.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
