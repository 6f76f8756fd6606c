package sagatest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// execution is one run of the workflow, with the activities of its process.
type execution[S, P any] struct {
	trial *trial[S, P]
	n     int
	env   *testsuite.TestWorkflowEnvironment
	in    saga.Input
	// flow is the flow, with step functions that are watched.
	flow saga.Flow[S, P]

	mu sync.Mutex
	// dead reports that nothing which the run does has an effect any more, but for what the spared attempt does.
	dead   bool
	spared attemptKey
	// lost reports that the run was cut off before its end.
	lost bool
	// signals are those that the run was sent.
	signals []sent
	// overtaken is closed when the run does nothing without a timer, or has ended; nil when no attempt waits for that.
	overtaken chan struct{}
	// abandoned is closed when another run takes over although this one has not ended; proceed when the attempt goes on at which that was;
	// over when the run has ended.
	abandoned, proceed, over chan struct{}
	proceedOnce              sync.Once
	// result is what came of it; next is the input of the run that continues it.
	result saga.Result
	next   *saga.Input
	err    error
}

// sent is a signal.
type sent struct {
	name    string
	payload any
}

// attemptKey names an attempt of an activity.
type attemptKey string

func attemptOf(ctx context.Context) attemptKey {
	info := activity.GetInfo(ctx)
	return attemptKey(fmt.Sprintf("%s/%t/%d", info.ActivityID, info.IsLocalActivity, info.Attempt))
}

// start starts a run at a time.
func (t *trial[S, P]) start(in saga.Input, at time.Time) *execution[S, P] {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	e := &execution[S, P]{
		trial: t, env: suite.NewTestWorkflowEnvironment(), in: in,
		abandoned: make(chan struct{}), proceed: make(chan struct{}), over: make(chan struct{}),
	}
	e.flow = e.table()
	e.env.SetStartTime(at)
	e.env.SetTestTimeout(Timeout)
	e.env.SetWorkerOptions(worker.Options{
		DeadlockDetectionTimeout: Timeout, Interceptors: []interceptor.WorkerInterceptor{&extendedTimeouts{}, &observer{watched: e}},
	})
	e.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: e.flow.WorkflowID(in.ID), TaskQueue: e.flow.Queue})
	e.env.RegisterWorkflowWithOptions(e.workflow, workflow.RegisterOptions{Name: e.flow.WorkflowType()})
	if late := e.flow.Late; late != nil && late.Workflow != "" {
		e.env.RegisterWorkflowWithOptions(nothingFollows, workflow.RegisterOptions{Name: late.Workflow})
	}
	for name, run := range e.activities().Activities() {
		e.env.RegisterActivityWithOptions(run, activity.RegisterOptions{Name: name})
	}
	t.began(e)
	go e.execute()
	return e
}

// nothingFollows is the saga that settles what follows from late events.
func nothingFollows(workflow.Context, any) error { return nil }

// activities are the flow's activities in the process of the run.
func (e *execution[S, P]) activities() *activities.Flow[S, P] {
	h := &handle[S, P]{e}
	return &activities.Flow[S, P]{
		Recorder: &activities.Recorder{Log: h, Publisher: h, Clock: e.env.Now, Logger: slog.New(slog.DiscardHandler)},
		Table:    &e.flow, Participants: e.trial.world.Participants, Settings: e.trial.plan.Settings, List: h, Late: h.late, Predecessors: h,
	}
}

// execute runs the workflow to its end.
func (e *execution[S, P]) execute() {
	defer close(e.over)
	defer func() {
		if r := recover(); r != nil {
			e.err = fmt.Errorf("the run cannot go on: %v", r)
		}
		e.cut("")
		e.rest()
	}()
	e.env.ExecuteWorkflow(e.flow.WorkflowType(), e.in)
	err := e.env.GetWorkflowError()
	var again *workflow.ContinueAsNewError
	switch {
	case errors.As(err, &again):
		e.next = &saga.Input{}
		e.err = converter.GetDefaultDataConverter().FromPayloads(again.Input, e.next)
	case err != nil:
		e.err = err
	default:
		e.err = e.env.GetWorkflowResult(&e.result)
	}
}

// drained is longer than any pause between two attempts of an activity.
const drained = time.Minute

type ownKey struct{}

// workflow runs the flow's own one, until it has ended or is cut off, and waits for attempts that it has left behind.
func (e *execution[S, P]) workflow(ctx workflow.Context, in saga.Input) (saga.Result, error) {
	own, _ := workflow.NewDisconnectedContext(workflow.WithValue(ctx, ownKey{}, true))
	var end *returned
	workflow.Go(ctx, func(ctx workflow.Context) {
		result, err := e.flow.Run(ctx, in)
		end = &returned{result, err}
	})
	inTime, err := workflow.AwaitWithTimeout(own, e.trial.plan.limit(), func() bool { return end != nil || e.gone() })
	if err != nil {
		return saga.Result{}, err
	}
	if !inTime && e == e.trial.current() { // a run beside another one may wait for what only that one hears
		e.trial.giveUp("the saga does not end")
	}
	if end == nil {
		end = &returned{}
	}
	last := *end // what it returns when it is cut off is nothing
	e.cut(e.sparedAttempt())
	e.rest()
	if err := workflow.Sleep(own, drained); err != nil {
		return saga.Result{}, err
	}
	return last.result, last.err
}

// returned is what the flow's workflow has returned.
type returned struct {
	result saga.Result
	err    error
}

// failed reports whether the run has ended with an error.
func (e *execution[S, P]) failed() bool {
	select {
	case <-e.over:
		return e.err != nil
	default:
		return false
	}
}

// gone reports whether the run is cut off.
func (e *execution[S, P]) gone() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dead
}

// crash cuts the run off.
func (e *execution[S, P]) crash() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dead, e.lost = true, true
}

// crashed reports whether the run was cut off before its end.
func (e *execution[S, P]) crashed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lost
}

// may reports whether an attempt has effects.
func (e *execution[S, P]) may(a attemptKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.dead || a == e.spared
}

// cut ends the run, but for one attempt.
func (e *execution[S, P]) cut(spared attemptKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dead = true
	if spared != "" {
		e.spared = spared
	}
}

// wait resumes an attempt when the run waits for a timer, or has ended.
func (e *execution[S, P]) wait(a attemptKey) {
	overtaken := make(chan struct{})
	e.mu.Lock()
	e.spared, e.overtaken = a, overtaken
	e.mu.Unlock()
	<-overtaken
}

func (e *execution[S, P]) sparedAttempt() attemptKey {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.spared
}

// rest says that the run does nothing without a timer.
func (e *execution[S, P]) rest() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.overtaken != nil {
		close(e.overtaken)
		e.overtaken = nil
	}
}

// abandon starts another run that takes over, and waits until this one may continue.
func (e *execution[S, P]) abandon() {
	close(e.abandoned)
	<-e.proceed
}

// resume resumes what was abandoned.
func (e *execution[S, P]) resume() { e.proceedOnce.Do(func() { close(e.proceed) }) }

// signal sends a signal to the run.
func (e *execution[S, P]) signal(s sent) {
	e.mu.Lock()
	e.signals = append(e.signals, s)
	e.mu.Unlock()
	e.env.SignalWorkflow(s.name, s.payload)
}

// heard are the signals that the run received.
func (e *execution[S, P]) heard() []sent {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]sent(nil), e.signals...)
}

// continueAsNew has the run hand over to the next one.
func (e *execution[S, P]) continueAsNew() {
	e.env.RegisterDelayedCallback(func() { e.env.SetContinueAsNewSuggested(true) }, 0)
}

// goesRegular reports whether an activity does not come through inside a workflow task.
func (e *execution[S, P]) goesRegular(name string) bool {
	t := e.trial
	// A saga that is cancelled before the pivot has not decided together with the outcome before it.
	op := t.operations[name].op
	return t.cell.mode == regular || t.cell.scenario.cancelled && (op == string(saga.Do) || op == string(saga.Lookup))
}

// waits is called when the run begins a timer.
func (e *execution[S, P]) waits() {
	e.rest()
	e.trial.timer(e)
}

// watched is an execution as the interceptor knows it.
type watched interface {
	goesRegular(activity string) bool
	waits()
}

// observer watches the activities and timers of a workflow.
type observer struct {
	interceptor.WorkerInterceptorBase
	watched watched
}

type observerIn struct {
	interceptor.WorkflowInboundInterceptorBase
	watched watched
}

type observerOut struct {
	interceptor.WorkflowOutboundInterceptorBase
	watched watched
}

func (o *observer) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &observerIn{watched: o.watched}
	in.Next = next
	return in
}

func (in *observerIn) Init(next interceptor.WorkflowOutboundInterceptor) error {
	out := &observerOut{watched: in.watched}
	out.Next = next
	return in.Next.Init(out)
}

func (out *observerOut) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	if !out.watched.goesRegular(name) {
		return out.Next.ExecuteLocalActivity(ctx, name, args...)
	}
	future, set := workflow.NewFuture(ctx)
	set.SetError(temporal.NewApplicationError("not inside a workflow task", "regular"))
	return future
}

func (out *observerOut) NewTimerWithOptions(ctx workflow.Context, d time.Duration, o workflow.TimerOptions) workflow.Future {
	out.wait(ctx)
	return out.Next.NewTimerWithOptions(ctx, d, o)
}

func (out *observerOut) Sleep(ctx workflow.Context, d time.Duration) error {
	out.wait(ctx)
	return out.Next.Sleep(ctx, d)
}

func (out *observerOut) wait(ctx workflow.Context) {
	if ctx.Value(ownKey{}) == nil {
		out.watched.waits()
	}
}

// quiet is a logger that says nothing.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
