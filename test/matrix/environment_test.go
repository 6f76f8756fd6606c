package matrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// timeout limits every wait of a cell. It only detects hanging tests: a test on a slow machine does not fail.
var timeout = 10 * time.Minute

// mutantTimeout is the timeout for a mutant of the service: an order may not end because of the mistake.
const (
	mutantTimeout  = 3 * time.Minute
	mutantVariable = "ORDERSAGA_MUTANT"
)

func init() {
	if os.Getenv(mutantVariable) != "" {
		timeout = mutantTimeout
	}
}

// environment is a namespace of the Temporal server with everything that outlives a process of the service.
type environment struct {
	address, namespace string
	// fast reports whether the gateway is called inside workflow tasks.
	fast bool
	// inline is the time that calls of a gateway that is not fast get inside workflow tasks; 0 is none. It is set before anything is started.
	inline time.Duration
	// cache is the number of workflows that a process caches.
	cache    int
	timing   order.Timing
	log      *memlog.Log
	registry *inventory.MemoryRegistry
	bus      *bus
	list     *list
	control  client.Client
	sagas    *sagaclient.Client
	executor *inbound.Executor
	stock    *inventory.Ledger

	mu         sync.Mutex
	changed    chan struct{}
	current    *process
	all        []*process
	injections []*injection
	detour     detour
	// skew is the error of the processes' clocks in nanoseconds.
	skew atomic.Int64
	// callDelay delays calls of activities; nil for none.
	callDelay func(ctx context.Context, what op) error
	// taskTimeout is the workflow task timeout of the sagas that are started next.
	taskTimeout time.Duration
	placed      map[string]order.Order
	cancels     map[string][]string
	// dispatches are the ids of events that say that an order's goods have left.
	dispatches map[string][]string
	// lastEvents has the last event about each order.
	lastEvents map[string]event.Event
	serial     int
	broken     []error
	// starting counts processes that are being started, injecting counts faults that are being injected.
	starting, injecting sync.WaitGroup
}

// newEnvironment makes a namespace and starts a first process in it.
func newEnvironment(ctx context.Context, address string, fast bool, inline time.Duration, cache int) (*environment, error) {
	l := &environment{
		address: address, namespace: testenv.Unique("matrix"), fast: fast, inline: inline, cache: cache,
		timing: order.Timing{
			PaymentPending: time.Minute, Shipment: time.Minute, Delivery: time.Minute,
			Reserve: time.Minute, Authorize: time.Minute, Return: time.Minute, Attention: 30 * time.Second,
		},
		taskTimeout: workflowTaskTimeout,
		log:         memlog.New(), registry: &inventory.MemoryRegistry{}, changed: make(chan struct{}),
		bus: &bus{newest: map[string]int64{}}, list: &list{states: map[string]order.State{}},
		placed: map[string]order.Order{}, cancels: map[string][]string{},
		dispatches: map[string][]string{}, lastEvents: map[string]event.Event{},
	}
	var err error
	l.control, err = client.DialContext(ctx, client.Options{
		HostPort: address, Namespace: l.namespace, Logger: quiet{},
		ConnectionOptions: client.ConnectionOptions{
			DialOptions:          []grpc.DialOption{grpc.WithChainUnaryInterceptor(l.hurryStarts)},
			GetSystemInfoTimeout: timeout,
		},
	})
	if err != nil {
		return nil, err
	}
	logger := slog.New(slog.DiscardHandler)
	l.sagas = sagaclient.New(sagaclient.Config{Temporal: l.control, Log: l.log, Logger: logger})
	l.executor = &inbound.Executor{Sagas: l.sagas, Log: l.log, Clock: time.Now, Logger: logger}
	if l.stock, err = inventory.New(inventory.Config{Log: l.log, Registry: l.registry, Temporary: order.Temporary}); err != nil {
		return nil, err
	}
	if err := l.register(ctx); err != nil {
		return nil, err
	}
	l.current, err = startProcess(l)
	l.all = []*process{l.current}
	return l, err
}

// clock is the time as the processes see it.
func (l *environment) clock() time.Time { return time.Now().Add(time.Duration(l.skew.Load())) }

// register makes the namespace and returns when every part of the server knows it.
func (l *environment) register(ctx context.Context) error {
	ticks := time.NewTicker(100 * time.Millisecond)
	defer ticks.Stop()
	for {
		// A server takes a few new namespaces a second, and all environments want theirs at once.
		_, err := l.control.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace: l.namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
		})
		var there *serviceerror.NamespaceAlreadyExists
		if err == nil || errors.As(err, &there) {
			err = workers.RegisterSearchAttributes(ctx, l.control, l.namespace)
		}
		if err == nil {
			// A start with search attributes must work.
			if err = l.probe(ctx); err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-ticks.C:
		}
	}
}

// probe starts a workflow without a worker, and ends it.
func (l *environment) probe(ctx context.Context) error {
	o := order.Order{ID: "probe", CustomerID: "c-1", Currency: "EUR", Lines: []order.Line{{SKU: "probe", Quantity: 1, UnitAmount: 1}}}
	_, err := l.sagas.Place(ctx, sagaclient.Placement{Order: o, Fresh: true})
	if err != nil {
		return err
	}
	return l.control.TerminateWorkflow(ctx, order.Flow.WorkflowID("probe"), "", "probe")
}

// close ends everything in the environment.
func (l *environment) close() {
	l.resume()
	l.mu.Lock()
	all := slices.Clone(l.all)
	l.mu.Unlock()
	for _, proc := range all {
		proc.end(dead)
		<-proc.stopped
	}
	l.stock.Close()
	l.control.Close()
}

// replace ends a process, calls between, and starts another process.
func (l *environment) replace(proc *process, how processState, between func()) {
	ended := proc.end(how)
	between()
	if !ended {
		return
	}
	l.starting.Go(func() {
		next, err := startProcess(l)
		if err != nil {
			l.fail(err)
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.current, l.all = next, append(l.all, next)
	})
}

// resume continues every paused process, and returns when their pending work has ended.
func (l *environment) resume() {
	l.injecting.Wait()
	l.starting.Wait()
	l.mu.Lock()
	all, current := slices.Clone(l.all), l.current
	l.all = []*process{current}
	l.mu.Unlock()
	for _, proc := range all {
		proc.mu.Lock()
		is := proc.state
		proc.mu.Unlock()
		if is == paused {
			proc.resume()
		}
	}
	for _, proc := range all {
		if proc != current {
			<-proc.stopped
		}
	}
}

// notify wakes all waiters after a change.
func (l *environment) notify() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notifyLocked()
}

// notifyLocked is notify for callers that hold the lock.
func (l *environment) notifyLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// fail records an error of the environment itself: the result of the cell is not valid then.
func (l *environment) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = append(l.broken, err)
}

// unique returns an id that the environment has not used.
func (l *environment) unique(prefix string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serial++
	return fmt.Sprintf("%s-%d", prefix, l.serial)
}

// state is the order's state according to the log.
func (l *environment) state(orderID string) order.State {
	s, err := order.Fold(l.records(event.OrderStream(orderID)))
	if err != nil {
		panic(err)
	}
	return s
}

func (l *environment) records(stream string) []event.Record {
	records, err := l.log.Read(context.Background(), stream, 0, 0)
	if err != nil {
		panic(err)
	}
	return records
}

// publish handles an event about an order as the consumer does.
func (l *environment) publish(ctx context.Context, eventType, id, orderID string) {
	if eventType == event.ShipmentDispatched {
		l.mu.Lock()
		l.dispatches[orderID] = append(l.dispatches[orderID], id)
		l.mu.Unlock()
	}
	data, _ := json.Marshal(map[string]string{"orderId": orderID})
	e := event.Event{
		ID: id, Type: eventType, Source: "/shop", Subject: orderID, Time: time.Now(), SchemaVersion: 1, Data: data,
	}
	l.mu.Lock()
	l.lastEvents[orderID] = e
	l.mu.Unlock()
	l.handle(ctx, e)
}

// redeliver handles the last event about an order again.
func (l *environment) redeliver(ctx context.Context, orderID string) {
	l.mu.Lock()
	e := l.lastEvents[orderID]
	l.mu.Unlock()
	l.handle(ctx, e)
}

func (l *environment) handle(ctx context.Context, e event.Event) {
	if err := retryUnavailable(ctx, func() error { return l.executor.Handle(ctx, e) }); err != nil {
		l.fail(fmt.Errorf("publish %s: %w", e.Type, err))
	}
}

// retryUnavailable retries as clients and consumers do: a server that did not answer in time may have done its work.
func retryUnavailable(ctx context.Context, do func() error) error {
	ticks := time.NewTicker(50 * time.Millisecond)
	defer ticks.Stop()
	for {
		err := do()
		if !errors.Is(err, fault.Unavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticks.C:
		}
	}
}

// place places an order.
func (l *environment) place(ctx context.Context, o order.Order) error {
	l.mu.Lock()
	l.placed[o.ID] = o
	l.mu.Unlock()
	return retryUnavailable(ctx, func() error {
		_, err := l.sagas.Place(ctx, sagaclient.Placement{Order: o, CorrelationID: "corr", Fresh: true})
		return err
	})
}

// drive publishes the events that the order waits for, until it has ended and its run has closed, or until it needs attention.
func (l *environment) drive(ctx context.Context, orderID string, script []scriptEvent) error {
	sent := map[int]bool{}
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		s := l.state(orderID)
		switch {
		case s.Ended:
			return l.closed(ctx, orderID)
		case atAttention(s) && l.bus.of(orderID) == s.Head.Version && len(l.unanswered(orderID)) == 0:
			return nil
		}
		for i, scriptEvent := range script {
			// Nothing is sent twice: a terminated run passes its signals to the next run.
			if !sent[i] && scriptEvent.when(s) {
				sent[i] = true
				scriptEvent.do(ctx, l, orderID)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("the order has not ended: it is %s", s.Status)
		}
	}
}

// atAttention reports whether the order waits for an operator and for nothing else.
func atAttention(s order.State) bool {
	return s.Attention.Open && (s.DispatchedAfterCancel() && s.Released || s.Attention.Step == order.StepCapture && s.Capture == order.CaptureRefused)
}

// settled returns when the late events of an order are handled, except for interventions.
func (l *environment) settled(ctx context.Context, orderID string) error {
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for {
		s, err := latepayment.State{OrderID: orderID}.Fold(l.records(event.LateStream(orderID)))
		payments := slices.ContainsFunc(s.Payments, func(p latepayment.LatePayment) bool { return !p.Decided || p.Amount > 0 && !p.Refunded })
		goods := s.Goods && !s.GoodsSettled && !s.Attention.Open
		if err != nil || !payments && !goods {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("late events are not settled: %w", ctx.Err())
		case <-ticks.C:
		}
	}
}

// closed returns when the order's current run has completed. Runs that were terminated or reset have successors.
func (l *environment) closed(ctx context.Context, orderID string) error {
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for {
		run, err := l.control.DescribeWorkflowExecution(ctx, order.Flow.WorkflowID(orderID), "")
		status := run.GetWorkflowExecutionInfo().GetStatus()
		if err == nil && status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the run does not complete: it is %s; %w", status, errors.Join(err, ctx.Err()))
		case <-ticks.C:
		}
	}
}

// scriptEvent is an event or request from outside at a given point of the order.
type scriptEvent struct {
	when func(order.State) bool
	do   func(context.Context, *environment, string)
}

// pool hands out environments.
type pool struct{ fast, slow chan *environment }

// newPool starts environments, for as long as the test runs.
func newPool(t *testing.T, fast, slow, cache int) *pool {
	t.Helper()
	return newInlinePool(t, fast, slow, 0, cache)
}

// newInlinePool is newPool with environments whose gateway, although not fast, is called inside workflow tasks first.
func newInlinePool(t *testing.T, fast, slow int, inline time.Duration, cache int) *pool {
	t.Helper()
	address := testenv.Temporal(t)
	began := time.Now()
	p := &pool{fast: make(chan *environment, fast), slow: make(chan *environment, slow)}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	var environments []*environment
	var failed []error
	for i := range fast + slow {
		all.Go(func() {
			l, err := newEnvironment(ctx, address, i < fast, inline, cache)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, err)
				return
			}
			environments = append(environments, l)
			p.of(i < fast) <- l
		})
	}
	all.Wait()
	t.Cleanup(func() {
		var all sync.WaitGroup
		for _, l := range environments {
			all.Go(l.close)
		}
		all.Wait()
	})
	if len(failed) > 0 {
		t.Fatal(errors.Join(failed...))
	}
	t.Logf("%d environments were ready after %s", fast+slow, time.Since(began).Round(time.Millisecond))
	return p
}

func (p *pool) of(fast bool) chan *environment {
	if fast {
		return p.fast
	}
	return p.slow
}
