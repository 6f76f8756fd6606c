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
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/shortage"
)

// incarnation is what a process of the service would be. Killing it loses everything but the log, the bus and the
// Temporal server.
type incarnation struct {
	lane    *lane
	client  client.Client
	workers *workers.Workers
	ledger  *inventory.Ledger

	// cut is cancelled when the incarnation is killed or paused: its connection to Temporal is gone.
	cut    context.Context
	cutOff context.CancelFunc
	mu     sync.Mutex
	state  vitality
	thawed chan struct{}
	busy   sync.WaitGroup
	// over reports whether the incarnation goes on after all is over: faults do not strike it any more.
	over bool
	// packets are requests that were under way when it was frozen.
	packets []func()
	buried  chan struct{}
}

type vitality int

const (
	alive vitality = iota
	// frozen: calls wait until the incarnation is thawed.
	frozen
	// dead: calls fail without an effect.
	dead
)

// incarnate starts a process in the lane.
func incarnate(l *lane) (*incarnation, error) {
	inc := &incarnation{lane: l, thawed: make(chan struct{}), buried: make(chan struct{})}
	inc.cut, inc.cutOff = context.WithCancel(context.Background())
	var err error
	inc.client, err = client.Dial(client.Options{
		HostPort: l.address, Namespace: l.namespace, Logger: quiet{},
		ConnectionOptions: client.ConnectionOptions{
			DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(inc.wire)},
			// A lane without a process fails every cell that comes after.
			GetSystemInfoTimeout: patience,
		},
		Interceptors: []interceptor.ClientInterceptor{&census{inc: inc}},
		Plugins:      []client.Plugin{patient{}},
	})
	if err != nil {
		return nil, err
	}
	log := handleLog{inc: inc}
	if inc.ledger, err = inventory.New(inventory.Config{Log: log, Registry: l.registry, Temporary: order.Temporary}); err != nil {
		return nil, err
	}
	sim, err := simulator.New(simulator.Config{Log: log, Outage: time.Second})
	if err != nil {
		return nil, err
	}
	recorder := &activities.Recorder{
		Log: log, Publisher: handleBus{inc: inc}, Clock: l.clock, Logger: slog.New(slog.DiscardHandler),
	}
	inc.workers, err = workers.New(workers.Config{
		Client: inc.client, Queues: []string{saga.QueueOrders, saga.QueuePayments},
		Flows: []workers.Flow{
			&activities.Flow[order.State, *order.Participants]{
				Recorder: recorder, Table: &order.Flow, Settings: l.timing.Settings(l.fast),
				List: handleList{inc: inc}, Predecessors: l.sagas, Late: latepayment.Recorder{Log: log, Clock: l.clock}.Record,
				Participants: &order.Participants{Stock: handleStock{inc: inc}, Gateway: handleGateway{inc: inc, Simulator: sim}, Refunds: log},
			},
			&activities.Flow[latepayment.State, *latepayment.Participants]{
				Recorder: recorder, Table: &latepayment.Flow, Settings: l.timing.Settings(l.fast), List: handleLateList{inc: inc},
				Participants: &latepayment.Participants{
					Gateway: handleGateway{inc: inc, Simulator: sim}, Refunds: log, Payment: order.Reader{Log: log}.Payment,
				},
			},
			// There are no customers, notifications and counts here.
			&activities.Flow[onboarding.State, *onboarding.Participants]{Table: &onboarding.Flow},
			&activities.Flow[notification.State, *notification.Participants]{Table: &notification.Flow}, &shortage.Activities{},
		},
		// No reconcile here: it would read the lanes' logs from outside.
		Reconciliation: &activities.Reconciliation{},
		// Concurrency and grace are small: there are many incarnations.
		Concurrency: 10, Cache: l.cache, Grace: 10 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	return inc, inc.workers.Start()
}

// end kills or freezes the incarnation between two calls. It reports whether it was alive.
func (inc *incarnation) end(how vitality) bool {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	if inc.state != alive || inc.over {
		return false
	}
	inc.state = how
	inc.cutOff()
	go func() {
		defer close(inc.buried)
		inc.workers.Stop()
		if how == dead {
			inc.ledger.Close()
			inc.client.Close()
		}
	}()
	return true
}

// thaw lets a frozen incarnation go on, and returns when everything that was under way in it is over.
func (inc *incarnation) thaw() {
	inc.mu.Lock()
	inc.state, inc.over = alive, true
	packets := inc.packets
	inc.mu.Unlock()
	close(inc.thawed)
	<-inc.buried
	inc.busy.Wait()
	for _, send := range packets {
		send()
	}
	inc.mu.Lock()
	inc.state = dead
	inc.mu.Unlock()
	inc.ledger.Close()
	inc.client.Close()
}

// pass lets a call of the incarnation through, makes it wait, or fails it.
func (inc *incarnation) pass() error {
	inc.mu.Lock()
	state := inc.state
	inc.mu.Unlock()
	switch state {
	case dead:
		return fault.New(fault.Unavailable, "the process is dead")
	case frozen:
		<-inc.thawed
	}
	return nil
}

// census counts the activities that are under way, and knows the local ones.
type census struct {
	interceptor.ClientInterceptorBase
	interceptor.WorkerInterceptorBase
	inc *incarnation
}

func (c *census) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	counted := &counted{inc: c.inc}
	counted.Next = next
	return counted
}

type counted struct {
	interceptor.ActivityInboundInterceptorBase
	inc *incarnation
}

func (c *counted) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	c.inc.busy.Add(1)
	defer c.inc.busy.Done()
	return visited(ctx, in, c.Next)
}

// patient takes a coroutine that gets no processor for a second for what it is: many workers share a small machine, with
// the race detector. The SDK would take it for a deadlock.
type patient struct {
	clientPlugin
	workerPlugin
}

type (
	clientPlugin = client.PluginBase
	workerPlugin = worker.PluginBase
)

func (patient) Name() string { return "patient" }

func (patient) ConfigureWorker(_ context.Context, o worker.PluginConfigureWorkerOptions) error {
	o.WorkerOptions.DeadlockDetectionTimeout = patience
	return nil
}

// quiet is the SDK's logger.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
