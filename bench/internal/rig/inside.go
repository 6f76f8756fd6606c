package rig

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"

	"github.com/ordersaga/ordersaga/bench/naive"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Task queues of what runs in this process.
const (
	queueFloor         = "bench-floor"
	queueFloorDefaults = "bench-floor-defaults"
	queueNaive         = "bench-naive"
)

// poolSize is the service's limit of connections to MongoDB.
const poolSize = 32

// patience bounds one workflow of this process.
const patience = 5 * time.Minute

// Inside is what runs in this process: the floor, the naive sagas, and the log by itself. Its stores are wired as the
// service wires its own.
type Inside struct {
	// Temporal calls the server as the service does, Defaults with the options that the SDK has by default: it
	// compresses its calls.
	Temporal, Defaults client.Client
	DB                 *mongo.DB
	Log                eventlog.Log
	Ledger             *inventory.Ledger

	mongo       *driver.Client
	publisher   *rabbitmq.Publisher
	completions *completions
	workers     []worker.Worker
}

// StartInside connects and starts the workers.
func StartInside(ctx context.Context, s Stack, database string) (in *Inside, err error) {
	in = &Inside{completions: &completions{waiting: map[string]chan struct{}{}}}
	defer func() {
		if err != nil {
			in.Stop(ctx)
		}
	}()
	if in.Temporal, err = Dial(s, in.completions.intercept); err != nil {
		return in, err
	}
	if in.Defaults, err = dial(s, nil, in.completions.intercept); err != nil {
		return in, err
	}
	in.mongo, err = driver.Connect(options.Client().SetMaxPoolSize(poolSize).ApplyURI(s.MongoDB).SetAppName("bench"))
	if err != nil {
		return in, err
	}
	if in.DB, err = mongo.Open(ctx, in.mongo.Database(database), nil); err != nil {
		return in, err
	}
	raw := mongo.NewLog(in.DB, mongo.EventsCollection)
	if err = mongo.Setup(ctx, raw.Indexes()); err != nil {
		return in, err
	}
	if in.Log, err = eventlog.NewFollower(eventlog.FollowerConfig{Log: raw}); err != nil {
		return in, err
	}
	if in.Ledger, err = inventory.New(inventory.Config{Log: in.Log, Registry: mongo.NewSKUs(in.DB), Temporary: order.Temporary}); err != nil {
		return in, err
	}
	gateway, err := simulator.New(simulator.Config{Log: in.Log})
	if err != nil {
		return in, err
	}
	in.publisher, err = rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: rabbitmq.Config{
		URL: s.AMQP, Topology: rabbitmq.Topology{Exchange: s.Exchange(), Prefix: s.Prefix()},
	}})
	if err != nil {
		return in, err
	}
	in.publisher.Start()
	if err = in.publisher.WaitReady(ctx); err != nil {
		return in, err
	}
	err = in.work(&naive.Activities{Log: in.Log, Publisher: in.publisher, Stock: in.Ledger, Gateway: gateway})
	return in, err
}

// work starts the workers.
func (in *Inside) work(a *naive.Activities) error {
	floors := []worker.Worker{
		worker.New(in.Temporal, queueFloor, worker.Options{LocalActivityWorkerOnly: true}),
		worker.New(in.Defaults, queueFloorDefaults, worker.Options{LocalActivityWorkerOnly: true}),
	}
	for _, w := range floors {
		w.RegisterWorkflowWithOptions(empty, workflow.RegisterOptions{Name: nameEmpty})
	}
	for _, w := range append(floors, naive.NewWorker(in.Defaults, queueNaive, a)) {
		if err := w.Start(); err != nil {
			return err
		}
		in.workers = append(in.workers, w)
	}
	return nil
}

// Dial connects to Temporal as the service does, with the interceptors.
func Dial(s Stack, interceptors ...grpc.UnaryClientInterceptor) (client.Client, error) {
	return dial(s, &client.GrpcCompressionNone{}, interceptors...)
}

func dial(s Stack, compression client.GrpcCompression, interceptors ...grpc.UnaryClientInterceptor) (client.Client, error) {
	cfg, err := config.Load(s.Environ("bench"))
	if err != nil {
		return nil, err
	}
	o, err := cfg.TemporalOptions()
	if err != nil {
		return nil, err
	}
	o.Logger = tlog.NewStructuredLogger(slog.New(slog.DiscardHandler))
	o.ConnectionOptions.GrpcCompression = compression
	o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(interceptors...))
	return client.NewLazyClient(o)
}

// nameEmpty is the registered name of the floor's workflow.
const nameEmpty = "bench.Empty"

// empty is the floor: a workflow that does nothing.
func empty(_ workflow.Context, id string) (string, error) { return id, nil }

// Floor runs one empty workflow, started eagerly.
func (in *Inside) Floor(ctx context.Context, id string) error {
	return in.run(ctx, in.Temporal, client.StartWorkflowOptions{ID: id, TaskQueue: queueFloor, EnableEagerStart: true}, nameEmpty, id)
}

// FloorDefaults is Floor with the SDK's defaults.
func (in *Inside) FloorDefaults(ctx context.Context, id string) error {
	return in.run(ctx, in.Defaults, client.StartWorkflowOptions{ID: id, TaskQueue: queueFloorDefaults, EnableEagerStart: true}, nameEmpty, id)
}

// Naive takes an order through one of the naive sagas.
func (in *Inside) Naive(ctx context.Context, flow string, o order.Order) error {
	return in.run(ctx, in.Defaults, client.StartWorkflowOptions{ID: NaiveWorkflowID(o.ID), TaskQueue: queueNaive}, flow, o)
}

// NaiveWorkflowID is the id of the workflow that takes an order through a naive saga. Its result is the order's id.
func NaiveWorkflowID(orderID string) string { return "naive-" + orderID }

// run runs a workflow whose result is the id that it takes or that its order has.
func (in *Inside) run(ctx context.Context, temporal client.Client, o client.StartWorkflowOptions, name string, arg any) error {
	result := o.ID
	if given, ok := arg.(order.Order); ok {
		result = given.ID
	}
	done := in.completions.expect(result)
	defer in.completions.forget(result)
	if _, err := temporal.ExecuteWorkflow(ctx, o, name, arg); err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return fmt.Errorf("workflow %s has not completed within %s", o.ID, patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop ends the workers and the connections.
func (in *Inside) Stop(ctx context.Context) {
	for _, w := range in.workers {
		w.Stop()
	}
	// Nothing is measured any more: what fails now changes nothing.
	if in.publisher != nil {
		_ = in.publisher.Stop(ctx)
	}
	if in.Ledger != nil {
		in.Ledger.Close()
	}
	for _, c := range []client.Client{in.Temporal, in.Defaults} {
		if c != nil {
			c.Close()
		}
	}
	if in.mongo != nil {
		_ = in.mongo.Disconnect(ctx)
	}
}
