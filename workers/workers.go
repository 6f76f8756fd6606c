// Package workers registers the flows and their activities with Temporal: task queues, schedules, search attributes. It runs
// and drains the workers.
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

// Queues lists every task queue.
var Queues = []string{saga.QueueOrders, saga.QueuePayments, saga.QueueNotifications}

// Config is what the workers need. All fields but OnFatal are mandatory, unless they say otherwise.
type Config struct {
	Client client.Client
	// Queues are the task queues that this process works on.
	Queues []string
	// Added are the task queues of flows that a team has added, where they have queues of their own: workflows run there, too.
	Added []string
	// Flows are all flows of the registry, see workflows.Types, and those that a team has added.
	Flows []Flow
	// Reconciliation is mandatory where saga.QueueOrders is worked on.
	Reconciliation *activities.Reconciliation
	// Concurrency is how many workflow tasks, and how many activities of each queue, run at once. A workflow task
	// holds its place while its local activities run, so this bounds the load on the stores as well. At least 2.
	Concurrency int
	// Cache is how many running workflows the process keeps in memory between their tasks. The SDK has one cache a process.
	Cache int
	// Grace is how long running activities may take when the process stops.
	Grace time.Duration
	// OnFatal is called with the error that stopped a worker. It must not block.
	OnFatal func(error)
}

// Validate names what is missing or wrong.
func (c Config) Validate() error {
	var fields []fault.Field
	if c.Client == nil {
		fields = append(fields, fault.Fieldf("/client", "is mandatory"))
	}
	if missing := c.missing(); len(missing) > 0 {
		fields = append(fields, fault.Fieldf("/flows", "%v are missing", missing))
	}
	if slices.Contains(c.Queues, saga.QueueOrders) && c.Reconciliation == nil {
		fields = append(fields, fault.Fieldf("/reconciliation", "is mandatory for queue %s", saga.QueueOrders))
	}
	if c.Concurrency < 2 {
		fields = append(fields, fault.Fieldf("/concurrency", "must be at least 2"))
	}
	if len(c.Queues) == 0 {
		fields = append(fields, fault.Fieldf("/queues", "must name at least one task queue"))
	}
	for _, q := range c.Added {
		if slices.Contains(Queues, q) || q == "" {
			fields = append(fields, fault.Fieldf("/added", "%q is no queue of an added flow's own", q))
		}
	}
	for _, q := range c.Queues {
		if !slices.Contains(Queues, q) {
			fields = append(fields, fault.Fieldf("/queues", "%q is none of %v", q, Queues))
		}
	}
	return fault.NewInvalid("workers", fields)
}

// missing are the workflow types of the registry that none of the flows has.
func (c Config) missing() []string {
	types := workflows.Types()
	for _, f := range c.Flows {
		name, _ := f.Workflow()
		delete(types, name)
	}
	return slices.Sorted(maps.Keys(types))
}

// names reports what two flows have registered under one name.
func (c Config) names() error {
	taken := map[string]bool{activities.NameReconcile: true, workflows.NameReconcile: true}
	for _, f := range c.Flows {
		name, _ := f.Workflow()
		for _, name := range append(slices.Sorted(maps.Keys(f.Activities())), name) {
			if taken[name] {
				return fmt.Errorf("workers: %q is the name of two activities or workflows", name)
			}
			taken[name] = true
		}
	}
	return nil
}

// stuckAfter is how long a workflow may compute between two waits until the SDK fails its task as deadlocked. The flows do no I/O, so
// only a busy machine can take that long: the SDK's default of a second is less than such a machine may take away at once, and the
// goroutine of a failed task goes on, on the memory of the next one.
const stuckAfter = time.Minute

// Workers are the Temporal workers of a process.
type Workers struct{ workers []worker.Worker }

// New makes the workers. It does no I/O.
func New(c Config) (*Workers, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	for _, f := range c.Flows {
		if err := f.Check(); err != nil {
			// A worker does not start with a saga that it could begin and not compensate.
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
			// Workflows live on the orders queue, and on those of added flows; the others poll for activities.
			DisableWorkflowWorker: !workflows,
		})
		if workflows {
			RegisterWorkflows(one, c.Flows...)
		}
		if queue == saga.QueueOrders {
			RegisterReconcile(one, one, c.Reconciliation)
		}
		RegisterActivities(one, c.Flows...)
		w.workers = append(w.workers, one)
	}
	return w, nil
}

// WorkflowRegistry is what workflows are registered with: a worker, a replayer, a test environment.
type WorkflowRegistry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
}

// ActivityRegistry is what activities are registered with: a worker, a test environment.
type ActivityRegistry interface {
	RegisterActivityWithOptions(a any, options activity.RegisterOptions)
}

// RegisterWorkflows registers every flow of the registry, and added ones.
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

// RegisterReconcile registers the workflow and the activity of reconcile.
func RegisterReconcile(w WorkflowRegistry, a ActivityRegistry, r *activities.Reconciliation) {
	w.RegisterWorkflowWithOptions(workflows.Reconcile, workflow.RegisterOptions{Name: workflows.NameReconcile})
	a.RegisterActivityWithOptions(r.Reconcile, activity.RegisterOptions{Name: activities.NameReconcile})
}

// Flow is a flow with its participants.
type Flow interface {
	// Workflow is the workflow type, and its function.
	Workflow() (name string, run any)
	// Activities are the activities by their registered names.
	Activities() map[string]any
	// Check reports what is wrong with the flow.
	Check() error
}

// RegisterActivities registers the activities of flows. Every worker knows all of them, because steps run as local
// activities beside the workflow; which queue a regular activity runs on is the workflow's choice.
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
