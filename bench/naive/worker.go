package naive

import (
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Registry is what the sagas are registered with: a worker, a test environment.
type Registry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
	RegisterActivityWithOptions(a any, options activity.RegisterOptions)
}

// Register registers workflows and activities.
func Register(r Registry, a *Activities) {
	r.RegisterWorkflowWithOptions(Steps, workflow.RegisterOptions{Name: NameSteps})
	r.RegisterWorkflowWithOptions(Compact, workflow.RegisterOptions{Name: NameCompact})
	r.RegisterActivityWithOptions(a, activity.RegisterOptions{})
}

// NewWorker returns a worker for both sagas with the SDK's defaults.
func NewWorker(c client.Client, queue string, a *Activities) worker.Worker {
	w := worker.New(c, queue, worker.Options{})
	Register(w, a)
	return w
}
