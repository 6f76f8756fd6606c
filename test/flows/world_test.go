package flows_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/internal/testflow"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// playing is a Temporal server whose runs do at once what a top-up decides. An open saga runs, unless its runs are gone.
type playing struct {
	client.Client
	t               require.TestingT
	log             *memlog.Log
	gone            bool
	starts, signals int
}

func (c *playing) state(ctx context.Context, stream string) testflow.State {
	records, err := c.log.Read(ctx, stream, 0, 0)
	require.NoError(c.t, err)
	s, err := testflow.Flow.Fold(testflow.State{}, records)
	require.NoError(c.t, err)
	return s
}

func (c *playing) ExecuteWorkflow(ctx context.Context, o client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	in := args[0].(saga.Input)
	s := c.state(ctx, o.ID)
	if s.Opened() && (s.Ended || !c.gone) && o.WorkflowIDReusePolicy == enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE {
		return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("it runs", "", "")
	}
	c.starts++
	c.gone = false
	var err error
	if !s.Opened() {
		s, err = testflow.Write(ctx, c.log, s, in.ID, testflow.Flow.Accept(saga.OpenInput{
			ID: in.ID, Data: in.Data, CorrelationID: in.CorrelationID, CausationID: in.CausationID,
		}, now))
		require.NoError(c.t, err)
	}
	var facts saga.Facts
	if in.CallerID {
		kept, err := c.log.Read(ctx, testflow.Flow.EarlyStreamOf(in.ID), 0, 0)
		require.NoError(c.t, err)
		early, err := testflow.Flow.EarlyCancellations(kept)
		require.NoError(c.t, err)
		for _, e := range early {
			e.Identity = testflow.Flow.Cancellation(in.ID, e).Identity
			facts.Cancellations = append(facts.Cancellations, e)
		}
	}
	_, err = testflow.Drive(ctx, c.log, s, facts, "", "", now)
	require.NoError(c.t, err)
	return nil, nil
}

func (c *playing) SignalWorkflow(ctx context.Context, id, _, name string, payload any) error {
	s := c.state(ctx, id)
	if !s.Opened() || s.Ended || c.gone {
		return serviceerror.NewNotFound("no such workflow")
	}
	c.signals++
	raw, err := json.Marshal(payload)
	require.NoError(c.t, err)
	fact, known, err := testflow.Flow.FactOf(s.ID, name, raw)
	require.NoError(c.t, err)
	require.True(c.t, known)
	if testflow.Flow.Answered(&s, fact.Late()) {
		return nil
	}
	_, err = testflow.Drive(ctx, c.log, s, testflow.FactsOf(s.ID, fact), "", "", now)
	require.NoError(c.t, err)
	return nil
}

func (c *playing) DescribeWorkflowExecution(ctx context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	s := c.state(ctx, id)
	if !s.Opened() || c.gone {
		return nil, serviceerror.NewNotFound("no such workflow")
	}
	status := enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	if s.Ended {
		status = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
		Status: status, Execution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: "r"},
	}}, nil
}

// world is what events from the bus reach.
type world struct {
	log      *memlog.Log
	temporal *playing
	executor *inbound.Executor
	preview  *inbound.Previewer
}

func newWorld(t require.TestingT) *world {
	w := &world{log: memlog.New()}
	clock := func() time.Time { return now }
	w.temporal = &playing{t: t, log: w.log}
	logger := slog.New(slog.DiscardHandler)
	sagas := sagaclient.NewTableClient(sagaclient.Config{Temporal: w.temporal, Log: w.log, Logger: logger}, testflow.Flow, w.log, clock)
	routes := inbound.NewRoutes(testflow.Flow)
	w.executor = &inbound.Executor{
		Routes: routes, Flows: map[string]sagaclient.Sagas{"top-up": sagas}, Log: w.log, Clock: clock, Logger: logger,
	}
	w.preview = &inbound.Previewer{Routes: routes, Log: w.log, Clock: clock}
	return w
}

// message is an event as a sender publishes it.
func message(t require.TestingT, id, eventType, data string) wire.Message {
	body, err := json.Marshal(map[string]any{"specversion": "1.0", "id": id, "source": "/shop", "type": eventType, "data": json.RawMessage(data)})
	require.NoError(t, err)
	return wire.Message{ContentType: "application/cloudevents+json", Body: body}
}

// handle decodes and handles a message.
func (w *world) handle(ctx context.Context, m wire.Message) error {
	e, err := wire.Decode(m)
	if err != nil {
		return err
	}
	return w.executor.Handle(ctx, e)
}

// types are the types of the events of a stream.
func (w *world) types(t *testing.T, stream string) []string {
	t.Helper()
	records, err := w.log.Read(t.Context(), stream, 0, 0)
	require.NoError(t, err)
	var all []string
	for _, r := range records {
		all = append(all, r.Type)
	}
	return all
}

// all is everything that is in the log.
func (w *world) all(ctx context.Context, t require.TestingT) map[string][]event.Record {
	streams := map[string][]event.Record{}
	for _, name := range w.log.Names() {
		records, err := w.log.Read(ctx, name, 0, 0)
		require.NoError(t, err)
		streams[name] = records
	}
	return streams
}
