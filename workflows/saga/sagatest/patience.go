package sagatest

import (
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Patience is how much real time anything may take that is over in milliseconds on a machine that is well.
const Patience = 5 * time.Minute

// BePatient has the environment wait. It is called before anything is registered.
func BePatient(env *testsuite.TestWorkflowEnvironment) {
	env.SetTestTimeout(Patience)
	env.SetWorkerOptions(worker.Options{
		DeadlockDetectionTimeout: Patience,
		Interceptors:             []interceptor.WorkerInterceptor{&patient{}},
	})
}

// patient gives every attempt of an activity more real time. How long an activity is tried is a matter of the mocked clock,
// and stays as it is.
type patient struct {
	interceptor.WorkerInterceptorBase
}

type patientIn struct {
	interceptor.WorkflowInboundInterceptorBase
}

type patientOut struct {
	interceptor.WorkflowOutboundInterceptorBase
}

func (*patient) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &patientIn{}
	in.Next = next
	return in
}

func (in *patientIn) Init(next interceptor.WorkflowOutboundInterceptor) error {
	out := &patientOut{}
	out.Next = next
	return in.Next.Init(out)
}

func (out *patientOut) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	o := workflow.GetLocalActivityOptions(ctx)
	// The attempts of a local activity are counted, and all of its time is real.
	o.ScheduleToCloseTimeout, o.StartToCloseTimeout = Patience, Patience
	return out.Next.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, o), name, args...)
}

func (out *patientOut) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	o := workflow.GetActivityOptions(ctx)
	o.StartToCloseTimeout = max(o.StartToCloseTimeout, Patience)
	return out.Next.ExecuteActivity(workflow.WithActivityOptions(ctx, o), name, args...)
}
