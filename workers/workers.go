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
)

// Queues lists every task queue.
var Queues = []string{workflows.QueueOrders, workflows.QueuePayments, workflows.QueueNotifications}

// Config is what the workers need. All fields but OnFatal are mandatory, unless they say otherwise.
type Config struct {
	Client client.Client
	// Queues are the task queues that this process works on.
	Queues    []string
	Outcomes  *activities.Outcomes
	Inventory *activities.Inventory
	Payment   *activities.Payment
	LateMoney *activities.LateMoney
	Customers *activities.Customers
	Notices   *activities.Notices
	// Shortages and Reconciliation are mandatory where QueueOrders is worked on.
	Shortages      *activities.Shortages
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
	if c.Client == nil || c.Outcomes == nil || c.Inventory == nil || c.Payment == nil || c.LateMoney == nil || c.Customers == nil || c.Notices == nil {
		fields = append(fields, fault.Fieldf("/", "client and activities are mandatory"))
	}
	if slices.Contains(c.Queues, workflows.QueueOrders) && c.Reconciliation == nil {
		fields = append(fields, fault.Fieldf("/reconciliation", "is mandatory for queue %s", workflows.QueueOrders))
	}
	if slices.Contains(c.Queues, workflows.QueueOrders) && c.Shortages == nil {
		fields = append(fields, fault.Fieldf("/shortages", "is mandatory for queue %s", workflows.QueueOrders))
	}
	if c.Concurrency < 2 {
		fields = append(fields, fault.Fieldf("/concurrency", "must be at least 2"))
	}
	if len(c.Queues) == 0 {
		fields = append(fields, fault.Fieldf("/queues", "must name at least one task queue"))
	}
	for _, q := range c.Queues {
		if !slices.Contains(Queues, q) {
			fields = append(fields, fault.Fieldf("/queues", "%q is none of %v", q, Queues))
		}
	}
	return fault.NewInvalid("workers", fields)
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
	all := activityTable(c.Outcomes, c.Inventory, c.Payment, c.LateMoney)
	maps.Copy(all, customerTable(c.Customers, c.Notices))
	if err := workflows.Check(slices.Collect(maps.Keys(all))); err != nil {
		return nil, fmt.Errorf("workers: %w", err)
	}
	worker.SetStickyWorkflowCacheSize(c.Cache)
	w := &Workers{}
	for _, queue := range c.Queues {
		one := worker.New(c.Client, queue, worker.Options{
			WorkerStopTimeout:                      c.Grace,
			MaxConcurrentWorkflowTaskExecutionSize: c.Concurrency,
			MaxConcurrentActivityExecutionSize:     c.Concurrency,
			OnFatalError:                           c.OnFatal,
			DeadlockDetectionTimeout:               stuckAfter,
			// Workflows live on the orders queue only; the others poll for activities.
			DisableWorkflowWorker: queue != workflows.QueueOrders,
		})
		if queue == workflows.QueueOrders {
			RegisterWorkflows(one)
			RegisterReconcile(one, one, c.Reconciliation)
			RegisterShortage(one, one, c.Shortages)
		}
		RegisterActivities(one, c.Outcomes, c.Inventory, c.Payment, c.LateMoney)
		RegisterCustomerActivities(one, c.Customers, c.Notices)
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

// RegisterWorkflows registers every flow.
func RegisterWorkflows(r WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(workflows.Order, workflow.RegisterOptions{Name: workflows.NameOrder})
	r.RegisterWorkflowWithOptions(workflows.Late, workflow.RegisterOptions{Name: workflows.NameLate})
	r.RegisterWorkflowWithOptions(workflows.Customer, workflow.RegisterOptions{Name: workflows.NameCustomer})
	r.RegisterWorkflowWithOptions(workflows.Notice, workflow.RegisterOptions{Name: workflows.NameNotice})
}

// RegisterReconcile registers the workflow and the activity of reconcile.
func RegisterReconcile(w WorkflowRegistry, a ActivityRegistry, r *activities.Reconciliation) {
	w.RegisterWorkflowWithOptions(workflows.Reconcile, workflow.RegisterOptions{Name: workflows.NameReconcile})
	a.RegisterActivityWithOptions(r.Reconcile, activity.RegisterOptions{Name: activities.NameReconcile})
}

// RegisterShortage registers the saga of a SKU of which more is reserved than is on hand: its workflow and its activity.
func RegisterShortage(w WorkflowRegistry, a ActivityRegistry, s *activities.Shortages) {
	w.RegisterWorkflowWithOptions(workflows.Shortage, workflow.RegisterOptions{Name: workflows.NameShortage})
	a.RegisterActivityWithOptions(s.Ask, activity.RegisterOptions{Name: activities.NameAskHolders})
}

// RegisterActivities registers every activity that is about orders. Every worker knows all of them, because steps run as local
// activities beside the workflow; which queue a regular activity runs on is the workflow's choice.
func RegisterActivities(
	r ActivityRegistry, o *activities.Outcomes, i *activities.Inventory, p *activities.Payment, l *activities.LateMoney,
) {
	for name, fn := range activityTable(o, i, p, l) {
		r.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
	}
}

// RegisterCustomerActivities registers the activities that are about customers.
func RegisterCustomerActivities(r ActivityRegistry, c *activities.Customers, n *activities.Notices) {
	for name, fn := range customerTable(c, n) {
		r.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
	}
}

// customerTable is every activity that is about customers, by its name.
func customerTable(c *activities.Customers, n *activities.Notices) map[string]any {
	return map[string]any{
		activities.NameCustomerOpen:    c.Open,
		activities.NameCustomerRecord:  c.Record,
		activities.NameCustomerPublish: c.Publish,

		activities.NameNoticeOpen:   n.Open,
		activities.NameNoticeRecord: n.Record,
		activities.NameNoticeSend:   n.Send,
	}
}

// activityTable is every activity that is about orders, by its name.
func activityTable(
	o *activities.Outcomes, i *activities.Inventory, p *activities.Payment, l *activities.LateMoney,
) map[string]any {
	return map[string]any{
		activities.NameOpen:      o.Open,
		activities.NameRecord:    o.Record,
		activities.NamePublish:   o.Publish,
		activities.NameList:      o.List,
		activities.NameLate:      o.Late,
		activities.NameRecover:   o.Recover,
		activities.NameReserve:   i.Reserve,
		activities.NameFind:      i.Find,
		activities.NameRelease:   i.Release,
		activities.NameCommit:    i.Commit,
		activities.NameAuthorize: p.Authorize,
		activities.NameLookup:    p.Lookup,
		activities.NameCapture:   p.Capture,
		activities.NameVoid:      p.Void,

		activities.NameLookupCapture: p.LookupCapture,

		activities.NameLateOpen:   l.Open,
		activities.NameLateRecord: l.Record,
		activities.NameLateJudge:  l.Judge,
		activities.NameLateRefund: l.Refund,
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
