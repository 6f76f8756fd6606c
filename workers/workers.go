// Package workers registers flows and activities with Temporal: task queues, schedules, search attributes. It runs and drains the workers.
//
// It may import workflows, activities, the Temporal SDK and internal/fault.
package workers

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Queues has all task queues.
var Queues = []string{saga.QueueOrders, saga.QueuePayments, saga.QueueNotifications}

// Config configures the workers. All fields are required unless documented otherwise.
type Config struct {
	Client client.Client
	// Queues are the task queues of this process.
	Queues []string
	// Added are the task queues of added flows that have their own: their workflows run there, too. Optional.
	Added []string
	// Flows are all flows of the registry, see workflows.Types, and added ones.
	Flows []Flow
	// Reconciliation is required for saga.QueueOrders.
	Reconciliation *activities.Reconciliation
	// Checkpoints creates audit checkpoints. Required for saga.QueueOrders.
	Checkpoints *activities.Checkpoints
	// Concurrency is the maximum number of concurrent workflow tasks, and of concurrent activities of each queue. A workflow task
	// counts while its local activities run, so this also bounds the load on the stores. At least 2.
	Concurrency int
	// Cache is the number of running workflows that the process caches. The SDK has one cache per process.
	Cache int
	// Deployment is the name of the Worker Deployment; empty without worker versioning. BuildID is the version of this process in it, and is
	// required with Deployment.
	Deployment, BuildID string
	// Grace is how long running activities may take when the process stops.
	Grace time.Duration
	// OnFatal is called with the error that stopped a worker. It must not block. Optional.
	OnFatal func(error)
}

// Validate reports missing and invalid fields.
func (c Config) Validate() error {
	var fields []fault.Field
	if c.Client == nil {
		fields = append(fields, fault.Fieldf("/client", "is required"))
	}
	if missing := c.missing(); len(missing) > 0 {
		fields = append(fields, fault.Fieldf("/flows", "%v are missing", missing))
	}
	if slices.Contains(c.Queues, saga.QueueOrders) && c.Reconciliation == nil {
		fields = append(fields, fault.Fieldf("/reconciliation", "is required for queue %s", saga.QueueOrders))
	}
	if slices.Contains(c.Queues, saga.QueueOrders) && c.Checkpoints == nil {
		fields = append(fields, fault.Fieldf("/checkpoints", "is required for queue %s", saga.QueueOrders))
	}
	if c.Concurrency < 2 {
		fields = append(fields, fault.Fieldf("/concurrency", "must be at least 2"))
	}
	if len(c.Queues) == 0 {
		fields = append(fields, fault.Fieldf("/queues", "must name at least one task queue"))
	}
	if c.Deployment != "" && c.BuildID == "" {
		fields = append(fields, fault.Fieldf("/buildId", "is required with a deployment"))
	}
	for _, q := range c.Added {
		if slices.Contains(Queues, q) || q == "" {
			fields = append(fields, fault.Fieldf("/added", "%q is not a task queue of an added flow", q))
		}
	}
	for _, q := range c.Queues {
		if !slices.Contains(Queues, q) {
			fields = append(fields, fault.Fieldf("/queues", "%q is not one of %v", q, Queues))
		}
	}
	return fault.NewInvalid("workers", fields)
}

// deployment turns worker versioning on. Runs move to the current version with their next workflow task: they replay on it, and no version must be
// kept until its last saga has ended.
func (c Config) deployment() worker.DeploymentOptions {
	if c.Deployment == "" {
		return worker.DeploymentOptions{}
	}
	return worker.DeploymentOptions{
		UseVersioning:             true,
		Version:                   worker.WorkerDeploymentVersion{DeploymentName: c.Deployment, BuildID: c.BuildID},
		DefaultVersioningBehavior: workflow.VersioningBehaviorAutoUpgrade,
	}
}

// missing returns the workflow types of the registry that no flow has.
func (c Config) missing() []string {
	types := workflows.Types()
	for _, f := range c.Flows {
		name, _ := f.Workflow()
		delete(types, name)
	}
	return slices.Sorted(maps.Keys(types))
}

// names reports a name that two flows register.
func (c Config) names() error {
	taken := map[string]bool{activities.NameReconcile: true, workflows.NameReconcile: true, activities.NameCheckpoint: true, workflows.NameCheckpoint: true}
	for _, f := range c.Flows {
		name, _ := f.Workflow()
		for _, name := range append(slices.Sorted(maps.Keys(f.Activities())), name) {
			if taken[name] {
				return fmt.Errorf("workers: %q is registered twice", name)
			}
			taken[name] = true
		}
	}
	return nil
}

// stuckAfter is the computing time after which the SDK fails a workflow task as deadlocked. Flows do no I/O, so only a busy machine can take that
// long. The SDK's default of one second is too short: such a machine may pause a process for longer, and the goroutine of the failed task
// continues and uses memory of the next one.
const stuckAfter = time.Minute

// Workers are the Temporal workers of a process.
type Workers struct{ workers []worker.Worker }

// New creates the workers. It does no I/O.
func New(c Config) (*Workers, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	for _, f := range c.Flows {
		if err := f.Check(); err != nil {
			// A worker must not start sagas that it cannot compensate.
			return nil, fmt.Errorf("workers: %w", err)
		}
	}
	if err := c.names(); err != nil {
		return nil, err
	}
	worker.SetStickyWorkflowCacheSize(c.Cache)
	w := &Workers{}
	for _, queue := range slices.Concat(c.Queues, c.Added) {
		workflows := queue == saga.QueueOrders || slices.Contains(c.Added, queue)
		one := worker.New(c.Client, queue, worker.Options{
			WorkerStopTimeout:                      c.Grace,
			MaxConcurrentWorkflowTaskExecutionSize: c.Concurrency,
			MaxConcurrentActivityExecutionSize:     c.Concurrency,
			OnFatalError:                           c.OnFatal,
			DeadlockDetectionTimeout:               stuckAfter,
			// Workflows run on the queue orders and on queues of added flows; workers of other queues poll only for activities.
			DisableWorkflowWorker: !workflows,
			DeploymentOptions:     c.deployment(),
		})
		if workflows {
			RegisterWorkflows(one, c.Flows...)
		}
		if queue == saga.QueueOrders {
			RegisterReconcile(one, one, c.Reconciliation)
			RegisterCheckpoints(one, one, c.Checkpoints)
		}
		RegisterActivities(one, c.Flows...)
		w.workers = append(w.workers, one)
	}
	return w, nil
}

// WorkflowRegistry registers workflows: a worker, a replayer, a test environment.
type WorkflowRegistry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
}

// ActivityRegistry registers activities: a worker, a test environment.
type ActivityRegistry interface {
	RegisterActivityWithOptions(a any, options activity.RegisterOptions)
}

// RegisterWorkflows registers all flows of the registry, and added ones.
func RegisterWorkflows(r WorkflowRegistry, added ...Flow) {
	types := workflows.Types()
	for _, f := range added {
		name, run := f.Workflow()
		types[name] = run
	}
	for name, run := range types {
		r.RegisterWorkflowWithOptions(run, workflow.RegisterOptions{Name: name})
	}
}

// RegisterReconcile registers the reconcile workflow and its activity.
func RegisterReconcile(w WorkflowRegistry, a ActivityRegistry, r *activities.Reconciliation) {
	w.RegisterWorkflowWithOptions(workflows.Reconcile, workflow.RegisterOptions{Name: workflows.NameReconcile})
	a.RegisterActivityWithOptions(r.Reconcile, activity.RegisterOptions{Name: activities.NameReconcile})
}

// RegisterCheckpoints registers the workflow of audit checkpoints and its activity.
func RegisterCheckpoints(w WorkflowRegistry, a ActivityRegistry, c *activities.Checkpoints) {
	w.RegisterWorkflowWithOptions(workflows.Checkpoint, workflow.RegisterOptions{Name: workflows.NameCheckpoint})
	a.RegisterActivityWithOptions(c.Checkpoint, activity.RegisterOptions{Name: activities.NameCheckpoint})
}

// Flow is a flow with its participants.
type Flow interface {
	// Workflow returns the workflow type and its function.
	Workflow() (name string, run any)
	// Activities returns the activities by registered name.
	Activities() map[string]any
	// Check returns the errors in the flow.
	Check() error
}

// RegisterActivities registers the activities of flows. Every worker has all of them, because steps run as local activities; the workflow chooses the
// queue of a regular activity.
func RegisterActivities(r ActivityRegistry, flows ...Flow) {
	for _, f := range flows {
		for name, fn := range f.Activities() {
			r.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
		}
	}
}

// Start starts polling. It does not block.
func (w *Workers) Start() error {
	for i, one := range w.workers {
		if err := one.Start(); err != nil {
			for _, started := range w.workers[:i] {
				started.Stop()
			}
			return fmt.Errorf("start worker: %w", err)
		}
	}
	return nil
}

// Stop stops polling and waits for running activities, up to Config.Grace.
func (w *Workers) Stop() {
	var all sync.WaitGroup
	for _, one := range w.workers {
		all.Go(one.Stop)
	}
	all.Wait()
}
