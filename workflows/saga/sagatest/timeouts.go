package sagatest

import (
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Timeout is how much real time anything may take that is over in milliseconds on a machine that is well.
const Timeout = 5 * time.Minute

// ExtendTimeouts has the environment wait. It is called before anything is registered.
func ExtendTimeouts(env *testsuite.TestWorkflowEnvironment) {
	env.SetTestTimeout(Timeout)
	env.SetWorkerOptions(worker.Options{
		DeadlockDetectionTimeout: Timeout,
		Interceptors:             []interceptor.WorkerInterceptor{&extendedTimeouts{}},
	})
}

// extendedTimeouts gives every attempt of an activity more real time. How long an activity is tried is a matter of the mocked clock,
// and stays as it is.
type extendedTimeouts struct {
	interceptor.WorkerInterceptorBase
}

type extendedInbound struct {
	interceptor.WorkflowInboundInterceptorBase
}

type extendedOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
}

func (*extendedTimeouts) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &extendedInbound{}
	in.Next = next
	return in
}

func (in *extendedInbound) Init(next interceptor.WorkflowOutboundInterceptor) error {
	out := &extendedOutbound{}
	out.Next = next
	return in.Next.Init(out)
}

func (out *extendedOutbound) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	o := workflow.GetLocalActivityOptions(ctx)
	// The attempts of a local activity are counted, and all of its time is real.
	o.ScheduleToCloseTimeout, o.StartToCloseTimeout = Timeout, Timeout
	return out.Next.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, o), name, args...)
}

func (out *extendedOutbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	o := workflow.GetActivityOptions(ctx)
	o.StartToCloseTimeout = max(o.StartToCloseTimeout, Timeout)
	return out.Next.ExecuteActivity(workflow.WithActivityOptions(ctx, o), name, args...)
}
