package rig

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ordersaga/ordersaga/internal/rabbitmq"
)

// known bounds how long a server may take to know a new namespace everywhere.
const known = 3 * time.Minute

// MakeNamespace makes the run's namespace and returns when workflows can be started in it.
func MakeNamespace(ctx context.Context, c client.Client, name string) error {
	_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: name, Description: "a benchmark of ordersaga", WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if err != nil {
		return fmt.Errorf("make namespace %s (use --namespace where that is not allowed): %w", name, err)
	}
	return until(ctx, known, "namespace "+name+" is not usable", func(ctx context.Context) error {
		if _, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: name}); err != nil {
			return err
		}
		_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID: "probe", TaskQueue: "nobody", WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		}, "probe")
		if err == nil {
			err = c.TerminateWorkflow(ctx, "probe", "", "a probe")
		}
		return err
	})
}

// inUse is how recently a worker must have polled to count as present.
const inUse = 2 * time.Minute

// serviceQueue is the task queue of the service's sagas. A worker of another program would take them.
const serviceQueue = "orders"

// Alone returns an error if other programs use a namespace.
func Alone(ctx context.Context, c client.Client, namespace string) error {
	open, err := c.ListOpenWorkflow(ctx, &workflowservice.ListOpenWorkflowExecutionsRequest{Namespace: namespace, MaximumPageSize: 1})
	if err != nil {
		return err
	}
	if len(open.GetExecutions()) > 0 {
		return fmt.Errorf("workflows run in namespace %s: give the benchmark a namespace without other users", namespace)
	}
	queue, err := c.DescribeTaskQueue(ctx, serviceQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return err
	}
	for _, poller := range queue.GetPollers() {
		if time.Since(poller.GetLastAccessTime().AsTime()) < inUse {
			return fmt.Errorf("worker %s works on queue %s of namespace %s: give the benchmark a namespace without other users",
				poller.GetIdentity(), serviceQueue, namespace)
		}
	}
	return nil
}

// DropNamespace deletes the run's namespace with everything in it, as far as that is allowed.
func DropNamespace(ctx context.Context, c client.Client, name string) error {
	_, err := c.OperatorService().DeleteNamespace(ctx, &operatorservice.DeleteNamespaceRequest{Namespace: name})
	return err
}

// until repeats something until it works. It polls: the server is another process.
func until(ctx context.Context, limit time.Duration, failure string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticks := time.NewTicker(100 * time.Millisecond)
	defer ticks.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return errors.Join(errors.New(failure), err)
		}
	}
}

// DropQueues deletes what the run declared at the broker.
func DropQueues(s Stack) error {
	conn, err := amqp.Dial(s.AMQP)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	topology := rabbitmq.Topology{Exchange: s.Exchange(), Prefix: s.Prefix()}
	for _, queue := range topology.Queues() {
		if _, err := ch.QueueDelete(queue, false, false, false); err != nil {
			return err
		}
	}
	return errors.Join(ch.ExchangeDelete(s.Exchange(), false, false), ch.ExchangeDelete(topology.DeadLetterExchange(), false, false))
}

// Connect connects to MongoDB, for what is not measured.
func Connect(s Stack) (*mongo.Client, error) {
	return mongo.Connect(options.Client().ApplyURI(s.MongoDB).SetAppName("bench"))
}
