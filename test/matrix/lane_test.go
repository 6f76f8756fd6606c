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

// patience bounds everything that a cell waits for. It guards against hanging alone: a machine at a tenth of its speed is no failure.
var patience = 10 * time.Minute

// mutantPatience is that of a service with a mistake in it, which may show by an order that does not end.
const (
	mutantPatience = 3 * time.Minute
	mutantVariable = "ORDERSAGA_MUTANT"
)

func init() {
	if os.Getenv(mutantVariable) != "" {
		patience = mutantPatience
	}
}

// lane is a namespace of the Temporal server with everything that outlives a process of the service.
type lane struct {
	address, namespace string
	// fast reports whether the gateway is called inside workflow tasks.
	fast bool
	// cache is how many workflows a process remembers.
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

	mu      sync.Mutex
	changed chan struct{}
	current *incarnation
	all     []*incarnation
	traps   []*trap
	detour  detour
	// skew is by how much the clocks of processes are wrong, in nanoseconds.
	skew atomic.Int64
	// drag delays calls of activities; nil for none.
	drag func(ctx context.Context, what op) error
	// taskTimeout is that of the next sagas' workflow tasks.
	taskTimeout time.Duration
	placed      map[string]order.Order
	cancels     map[string][]string
	// dispatches are the ids of events that say that an order's goods have left.
	dispatches map[string][]string
	// said is the last event about each order.
	said   map[string]event.Event
	serial int
	broken []error
	// births are incarnations that are being started, strikes are faults that are being done.
	births, strikes sync.WaitGroup
}

// newLane makes a namespace and starts a first incarnation in it.
func newLane(ctx context.Context, address string, fast bool, cache int) (*lane, error) {
	l := &lane{
		address: address, namespace: testenv.Unique("matrix"), fast: fast, cache: cache,
		timing: order.Timing{
			PaymentPending: time.Minute, Shipment: time.Minute, Delivery: time.Minute,
			Reserve: time.Minute, Authorize: time.Minute, Attention: 30 * time.Second,
		},
		taskTimeout: workflowTaskTimeout,
		log:         memlog.New(), registry: &inventory.MemoryRegistry{}, changed: make(chan struct{}),
		bus: &bus{newest: map[string]int64{}}, list: &list{states: map[string]order.State{}},
		placed: map[string]order.Order{}, cancels: map[string][]string{},
		dispatches: map[string][]string{}, said: map[string]event.Event{},
	}
	var err error
	l.control, err = client.DialContext(ctx, client.Options{
		HostPort: address, Namespace: l.namespace, Logger: quiet{},
		ConnectionOptions: client.ConnectionOptions{
			DialOptions:          []grpc.DialOption{grpc.WithChainUnaryInterceptor(l.hurryStarts)},
			GetSystemInfoTimeout: patience,
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
	l.current, err = incarnate(l)
	l.all = []*incarnation{l.current}
	return l, err
}

// clock is what processes take for the time.
func (l *lane) clock() time.Time { return time.Now().Add(time.Duration(l.skew.Load())) }

// register makes the namespace and returns when every part of the server knows it.
func (l *lane) register(ctx context.Context) error {
	ticks := time.NewTicker(100 * time.Millisecond)
	defer ticks.Stop()
	for {
		// A server takes a few new namespaces a second, and all lanes want theirs at once.
		_, err := l.control.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace: l.namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
		})
		var there *serviceerror.NamespaceAlreadyExists
		if err == nil || errors.As(err, &there) {
			err = workers.RegisterSearchAttributes(ctx, l.control, l.namespace, false)
		}
		if err == nil {
			// A start with search attributes is what must work.
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
func (l *lane) probe(ctx context.Context) error {
	o := order.Order{ID: "probe", CustomerID: "c-1", Currency: "EUR", Lines: []order.Line{{SKU: "probe", Quantity: 1, UnitAmount: 1}}}
	_, err := l.sagas.Place(ctx, sagaclient.Placement{Order: o, Fresh: true})
	if err != nil {
		return err
	}
	return l.control.TerminateWorkflow(ctx, order.Flow.WorkflowID("probe"), "", "probe")
}

// close ends everything in the lane.
func (l *lane) close() {
	l.thaw()
	l.mu.Lock()
	all := slices.Clone(l.all)
	l.mu.Unlock()
	for _, inc := range all {
		inc.end(dead)
		<-inc.buried
	}
	l.stock.Close()
	l.control.Close()
}

// replace ends an incarnation and starts another one, which finds what was done between the two.
func (l *lane) replace(inc *incarnation, how vitality, between func()) {
	ended := inc.end(how)
	between()
	if !ended {
		return
	}
	l.births.Go(func() {
		next, err := incarnate(l)
		if err != nil {
			l.fail(err)
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.current, l.all = next, append(l.all, next)
	})
}

// thaw lets every paused incarnation go on, and returns when what was under way in them is over.
func (l *lane) thaw() {
	l.strikes.Wait()
	l.births.Wait()
	l.mu.Lock()
	all, current := slices.Clone(l.all), l.current
	l.all = []*incarnation{current}
	l.mu.Unlock()
	for _, inc := range all {
		inc.mu.Lock()
		is := inc.state
		inc.mu.Unlock()
		if is == frozen {
			inc.thaw()
		}
	}
	for _, inc := range all {
		if inc != current {
			<-inc.buried
		}
	}
}

// moved reports a change to those who wait for one.
func (l *lane) moved() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.announce()
}

// announce is moved for those who hold the lock.
func (l *lane) announce() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// fail keeps an error of the lane's own: the cell does not count then.
func (l *lane) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = append(l.broken, err)
}

// unique returns an id that the lane has not used.
func (l *lane) unique(prefix string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serial++
	return fmt.Sprintf("%s-%d", prefix, l.serial)
}

// state is the order as the log tells it.
func (l *lane) state(orderID string) order.State {
	s, err := order.Fold(l.records(event.OrderStream(orderID)))
	if err != nil {
		panic(err)
	}
	return s
}

func (l *lane) records(stream string) []event.Record {
	records, err := l.log.Read(context.Background(), stream, 0, 0)
	if err != nil {
		panic(err)
	}
	return records
}

// say handles an event about an order as the consumer does.
func (l *lane) say(ctx context.Context, eventType, id, orderID string) {
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
	l.said[orderID] = e
	l.mu.Unlock()
	l.handle(ctx, e)
}

// again says the last thing that was said about an order once more.
func (l *lane) again(ctx context.Context, orderID string) {
	l.mu.Lock()
	e := l.said[orderID]
	l.mu.Unlock()
	l.handle(ctx, e)
}

func (l *lane) handle(ctx context.Context, e event.Event) {
	if err := insist(ctx, func() error { return l.executor.Handle(ctx, e) }); err != nil {
		l.fail(fmt.Errorf("say %s: %w", e.Type, err))
	}
}

// insist does again what clients and consumers do again: a server that did not answer in time may have done it.
func insist(ctx context.Context, do func() error) error {
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
func (l *lane) place(ctx context.Context, o order.Order) error {
	l.mu.Lock()
	l.placed[o.ID] = o
	l.mu.Unlock()
	return insist(ctx, func() error {
		_, err := l.sagas.Place(ctx, sagaclient.Placement{Order: o, CorrelationID: "corr", Fresh: true})
		return err
	})
}

// drive says what the order waits for, until it has ended and its run has closed, or until it needs attention.
func (l *lane) drive(ctx context.Context, orderID string, script []scene) error {
	told := map[int]bool{}
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
		for i, scene := range script {
			// Nothing is told twice: a run that is terminated hands on what it was told.
			if !told[i] && scene.when(s) {
				told[i] = true
				scene.do(ctx, l, orderID)
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
func (l *lane) settled(ctx context.Context, orderID string) error {
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
			return fmt.Errorf("what came late is not settled: %w", ctx.Err())
		case <-ticks.C:
		}
	}
}

// closed returns when the order's current run has completed. Runs that were terminated or reset have successors.
func (l *lane) closed(ctx context.Context, orderID string) error {
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

// scene is an event or request from outside at a given point of the order.
type scene struct {
	when func(order.State) bool
	do   func(context.Context, *lane, string)
}

// pool hands out lanes.
type pool struct{ fast, slow chan *lane }

// newPool starts lanes, for as long as the test runs.
func newPool(t *testing.T, fast, slow, cache int) *pool {
	t.Helper()
	address := testenv.Temporal(t)
	began := time.Now()
	p := &pool{fast: make(chan *lane, fast), slow: make(chan *lane, slow)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	var lanes []*lane
	var failed []error
	for i := range fast + slow {
		all.Go(func() {
			l, err := newLane(ctx, address, i < fast, cache)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, err)
				return
			}
			lanes = append(lanes, l)
			p.of(i < fast) <- l
		})
	}
	all.Wait()
	t.Cleanup(func() {
		var all sync.WaitGroup
		for _, l := range lanes {
			all.Go(l.close)
		}
		all.Wait()
	})
	if len(failed) > 0 {
		t.Fatal(errors.Join(failed...))
	}
	t.Logf("%d lanes were ready after %s", fast+slow, time.Since(began).Round(time.Millisecond))
	return p
}

func (p *pool) of(fast bool) chan *lane {
	if fast {
		return p.fast
	}
	return p.slow
}
