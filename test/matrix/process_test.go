package matrix

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows/dispute"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/shortage"
)

// process simulates a process of the service. After a kill only the log, the bus and the Temporal server remain.
type process struct {
	environment *environment
	client      client.Client
	workers     *workers.Workers
	ledger      *inventory.Ledger

	// connected is cancelled when the process is killed or paused: its connection to Temporal is gone.
	connected  context.Context
	disconnect context.CancelFunc
	mu         sync.Mutex
	state      processState
	resumed    chan struct{}
	busy       sync.WaitGroup
	// over reports whether the process was resumed after its order ended: no more faults are injected.
	over bool
	// pendingRequests are requests that were under way when it was paused.
	pendingRequests []func()
	stopped         chan struct{}
}

type processState int

const (
	alive processState = iota
	// paused: calls wait until the process is resumed.
	paused
	// dead: calls fail without an effect.
	dead
	// stopping: it ends in an orderly way. Calls go through until its workers have stopped.
	stopping
)

// startProcess starts a process in the environment.
func startProcess(l *environment) (*process, error) {
	proc := &process{environment: l, resumed: make(chan struct{}), stopped: make(chan struct{})}
	proc.connected, proc.disconnect = context.WithCancel(context.Background())
	var err error
	proc.client, err = client.Dial(client.Options{
		HostPort: l.address, Namespace: l.namespace, Logger: quiet{},
		ConnectionOptions: client.ConnectionOptions{
			DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(proc.wire)},
			// An environment without a process fails every cell that comes after.
			GetSystemInfoTimeout: timeout,
		},
		Interceptors: []interceptor.ClientInterceptor{&activityCounter{proc: proc}},
		Plugins:      []client.Plugin{deadlockPlugin{}},
	})
	if err != nil {
		return nil, err
	}
	log := handleLog{proc: proc}
	if proc.ledger, err = inventory.New(inventory.Config{Log: log, Registry: l.registry, Temporary: order.Temporary}); err != nil {
		return nil, err
	}
	sim, err := simulator.New(simulator.Config{Log: log, Outage: time.Second})
	if err != nil {
		return nil, err
	}
	settings := l.timing.Settings(l.fast)
	settings.Inline = l.inline
	recorder := &activities.Recorder{
		Log: log, Publisher: handleBus{proc: proc}, Clock: l.clock, Logger: slog.New(slog.DiscardHandler),
	}
	proc.workers, err = workers.New(workers.Config{
		Client: proc.client, Queues: []string{saga.QueueOrders, saga.QueuePayments},
		Flows: []workers.Flow{
			&activities.Flow[order.State, *order.Participants]{
				Recorder: recorder, Table: &order.Flow, Settings: settings,
				List: handleList{proc: proc}, Predecessors: l.sagas, Late: latepayment.Recorder{Log: log, Clock: l.clock}.Record,
				Participants: &order.Participants{Stock: order.PerSKU(handleStock{proc: proc}), Gateway: handleGateway{proc: proc, Simulator: sim}, Refunds: log},
			},
			&activities.Flow[latepayment.State, *latepayment.Participants]{
				Recorder: recorder, Table: &latepayment.Flow, Settings: settings, List: handleLateList{proc: proc},
				Participants: &latepayment.Participants{
					Gateway: handleGateway{proc: proc, Simulator: sim}, Refunds: log, Payment: order.Reader{Log: log}.Payment,
				},
			},
			// There are no customers, notifications and stock counts here.
			&activities.Flow[onboarding.State, *onboarding.Participants]{Table: &onboarding.Flow},
			&activities.Flow[notification.State, *notification.Participants]{Table: &notification.Flow}, &shortage.Activities{},
			// No refunds and disputes are reported here; the matrix of sagatest covers their steps.
			&activities.Flow[dispute.State, *dispute.Participants]{
				Table: &dispute.Flow, Settings: l.timing.Settings(l.fast), Participants: &dispute.Participants{
					Orders: order.Reader{Log: log}, Refunds: log, Gateway: handleGateway{proc: proc, Simulator: sim},
				},
			},
			&activities.Flow[refund.State, *refund.Participants]{
				Table: &refund.Flow, Settings: settings, Participants: &refund.Participants{
					Orders: order.Reader{Log: log}, Refunds: log, Gateway: handleGateway{proc: proc, Simulator: sim}, Stock: struct{ refund.Stock }{},
				},
			},
			&activities.Flow[returns.State, *returns.Participants]{
				Table: &returns.Flow, Settings: l.timing.Settings(false), Participants: &returns.Participants{
					Orders: order.Reader{Log: log}, Ledger: log, Refunds: struct{ returns.Refunds }{}, Stock: struct{ refund.Stock }{},
				},
			},
		},
		// No reconcile here: it would read the environments' logs from outside.
		Reconciliation: &activities.Reconciliation{}, Checkpoints: &activities.Checkpoints{},
		// Concurrency and grace are small: there are many processes.
		Concurrency: 10, Cache: l.cache, Grace: 10 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	return proc, proc.workers.Start()
}

// end kills, pauses or stops the process between two calls. It reports whether it was alive.
func (proc *process) end(how processState) bool {
	proc.mu.Lock()
	defer proc.mu.Unlock()
	if proc.state != alive || proc.over {
		return false
	}
	proc.state = how
	if how != stopping {
		proc.disconnect()
	}
	go func() {
		defer close(proc.stopped)
		proc.workers.Stop()
		if how == stopping {
			proc.mu.Lock()
			proc.state = dead
			proc.mu.Unlock()
		}
		if how != paused {
			proc.ledger.Close()
			proc.client.Close()
		}
	}()
	return true
}

// resume continues a paused process, and returns when its pending work has ended.
func (proc *process) resume() {
	proc.mu.Lock()
	proc.state, proc.over = alive, true
	pendingRequests := proc.pendingRequests
	proc.mu.Unlock()
	close(proc.resumed)
	<-proc.stopped
	proc.busy.Wait()
	for _, send := range pendingRequests {
		send()
	}
	proc.mu.Lock()
	proc.state = dead
	proc.mu.Unlock()
	proc.ledger.Close()
	proc.client.Close()
}

// pass lets a call of the process through, makes it wait, or fails it.
func (proc *process) pass() error {
	proc.mu.Lock()
	state := proc.state
	proc.mu.Unlock()
	switch state {
	case dead:
		return fault.New(fault.Unavailable, "the process is dead")
	case paused:
		<-proc.resumed
	}
	return nil
}

// activityCounter counts the running activities, and recognizes local ones.
type activityCounter struct {
	interceptor.ClientInterceptorBase
	interceptor.WorkerInterceptorBase
	proc *process
}

func (c *activityCounter) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	counted := &counted{proc: c.proc}
	counted.Next = next
	return counted
}

type counted struct {
	interceptor.ActivityInboundInterceptorBase
	proc *process
}

func (c *counted) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	c.proc.busy.Add(1)
	defer c.proc.busy.Done()
	return visited(ctx, in, c.Next)
}

// deadlockPlugin raises the SDK's deadlock timeout: many workers share a small machine with the race detector, and a coroutine may
// get no processor for a second.
type deadlockPlugin struct {
	clientPlugin
	workerPlugin
}

type (
	clientPlugin = client.PluginBase
	workerPlugin = worker.PluginBase
)

func (deadlockPlugin) Name() string { return "deadlock-timeout" }

func (deadlockPlugin) ConfigureWorker(_ context.Context, o worker.PluginConfigureWorkerOptions) error {
	o.WorkerOptions.DeadlockDetectionTimeout = timeout
	return nil
}

// quiet is the SDK's logger.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
