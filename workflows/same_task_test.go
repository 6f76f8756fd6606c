package workflows_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// spy notes what the workflow wants recorded.
type spy struct {
	interceptor.WorkerInterceptorBase
	recorded []string
	resumed  *saga.Resume
}

type spyIn struct {
	interceptor.WorkflowInboundInterceptorBase
	spy *spy
}

type spyOut struct {
	interceptor.WorkflowOutboundInterceptorBase
	spy *spy
}

func (s *spy) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	i := &spyIn{spy: s}
	i.Next = next
	return i
}

func (i *spyIn) Init(out interceptor.WorkflowOutboundInterceptor) error {
	o := &spyOut{spy: i.spy}
	o.Next = out
	return i.Next.Init(o)
}

func (o *spyOut) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	for _, a := range args {
		if in, ok := a.(saga.StepInput[order.State]); ok {
			for _, e := range in.Entries {
				o.spy.recorded = append(o.spy.recorded, e.Type)
			}
		}
	}
	return o.Next.ExecuteLocalActivity(ctx, name, args...)
}

func (o *spyOut) NewContinueAsNewError(ctx workflow.Context, fn any, args ...any) error {
	for _, a := range args {
		if in, ok := a.(saga.Input); ok {
			o.spy.resumed = in.Resume
		}
	}
	return o.Next.NewContinueAsNewError(ctx, fn, args...)
}

// A worker that was away finds the dispatch of the goods and the end of the wait for it in one workflow task. The
// dispatch came first: the order is not given up.
func TestASignalInTheTaskOfATimerIsSeen(t *testing.T) {
	seen := replayDispatchAndTimer(t, false)
	require.Equal(t, []string{event.OrderShipped, event.OrderSettling}, seen.recorded)
}

// The same when the run continues as new in that task: the fact goes with it.
func TestASignalInTheTaskOfContinueAsNewIsNotLost(t *testing.T) {
	seen := replayDispatchAndTimer(t, true)
	if seen.resumed == nil {
		// Also right: the run goes on first.
		require.Contains(t, seen.recorded, event.OrderShipped)
		return
	}
	require.Equal(t, event.ShipmentDispatched, seen.resumed.Facts.Received[0].Type)
}

// replayDispatchAndTimer replays a shipment order whose second workflow task has a dispatch and the timer of the
// wait for it, in this order. The id of the timer follows from the code: the one that fits is looked for.
func replayDispatchAndTimer(t *testing.T, continueAsNew bool) *spy {
	var last error
	for id := range 30 {
		seen := &spy{}
		if last = replayTask(t, seen, strconv.Itoa(id), continueAsNew); seen.recorded != nil || seen.resumed != nil {
			return seen
		}
	}
	t.Fatalf("no timer id fits: %v", last)
	return nil
}

func replayTask(t *testing.T, seen *spy, timerID string, continueAsNew bool) error {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	o, w := tea(order.Shipment), newWorld(t)
	s := w.record(order.Accept(o, "corr", "cause", at))
	s = w.record(s.Reserved([]order.LineOutcome{{SKU: "tea", Quantity: 2, Reserved: true}}, at))
	s = w.record(s.Authorized("p-1", at))
	w.record(order.Decisions(s, order.Facts{}, at, w.timing)...)
	tail, err := w.log.Read(context.Background(), event.OrderStream("42"), 0, 0)
	require.NoError(t, err)

	payloads := func(v any) *commonpb.Payloads {
		p, err := converter.GetDefaultDataConverter().ToPayloads(v)
		require.NoError(t, err)
		return p
	}
	marker := func(id, name string, result any) *historypb.HistoryEvent {
		return &historypb.HistoryEvent{EventType: enumspb.EVENT_TYPE_MARKER_RECORDED, Attributes: &historypb.HistoryEvent_MarkerRecordedEventAttributes{
			MarkerRecordedEventAttributes: &historypb.MarkerRecordedEventAttributes{
				MarkerName: "LocalActivity", WorkflowTaskCompletedEventId: 4,
				Details: map[string]*commonpb.Payloads{
					"data": payloads(struct {
						ActivityID, ActivityType string
						ReplayTime               time.Time
					}{id, name, at}),
					"result": payloads(result),
				},
			}}}
	}
	queue := &taskqueuepb.TaskQueue{Name: saga.QueueOrders}
	started := func(scheduled int64) *historypb.HistoryEvent {
		return &historypb.HistoryEvent{EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_STARTED, Attributes: &historypb.HistoryEvent_WorkflowTaskStartedEventAttributes{
			WorkflowTaskStartedEventAttributes: &historypb.WorkflowTaskStartedEventAttributes{ScheduledEventId: scheduled, SuggestContinueAsNew: continueAsNew && scheduled > 2}}}
	}
	scheduled := func() *historypb.HistoryEvent {
		return &historypb.HistoryEvent{EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, Attributes: &historypb.HistoryEvent_WorkflowTaskScheduledEventAttributes{
			WorkflowTaskScheduledEventAttributes: &historypb.WorkflowTaskScheduledEventAttributes{TaskQueue: queue}}}
	}
	events := []*historypb.HistoryEvent{
		{EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, Attributes: &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{
			WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{
				WorkflowType: &commonpb.WorkflowType{Name: order.Flow.WorkflowType()}, TaskQueue: queue,
				Input:               payloads(input(o)),
				WorkflowTaskTimeout: durationpb.New(10 * time.Second),
			}}},
		scheduled(),
		started(2),
		{EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, Attributes: &historypb.HistoryEvent_WorkflowTaskCompletedEventAttributes{
			WorkflowTaskCompletedEventAttributes: &historypb.WorkflowTaskCompletedEventAttributes{ScheduledEventId: 2, StartedEventId: 3}}},
		marker("1", order.Flow.Activity("Open"), saga.OpenResult[order.State]{StepResult: saga.StepResult[order.State]{Tail: tail}, Settings: w.timing.Settings(true)}),
		{EventType: enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, Attributes: &historypb.HistoryEvent_UpsertWorkflowSearchAttributesEventAttributes{
			UpsertWorkflowSearchAttributesEventAttributes: &historypb.UpsertWorkflowSearchAttributesEventAttributes{
				WorkflowTaskCompletedEventId: 4, SearchAttributes: &commonpb.SearchAttributes{},
			}}},
		{EventType: enumspb.EVENT_TYPE_TIMER_STARTED, Attributes: &historypb.HistoryEvent_TimerStartedEventAttributes{
			TimerStartedEventAttributes: &historypb.TimerStartedEventAttributes{TimerId: timerID, WorkflowTaskCompletedEventId: 4}}},
		marker("2", order.Flow.Activity("Publish"), saga.PublishResult{Published: 4}),
		{EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, Attributes: &historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
			WorkflowExecutionSignaledEventAttributes: &historypb.WorkflowExecutionSignaledEventAttributes{
				SignalName: order.SignalShipment,
				Input:      payloads(order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "e1"}}),
			}}},
		scheduled(),
		{EventType: enumspb.EVENT_TYPE_TIMER_FIRED, Attributes: &historypb.HistoryEvent_TimerFiredEventAttributes{
			TimerFiredEventAttributes: &historypb.TimerFiredEventAttributes{TimerId: timerID, StartedEventId: 7}}},
		started(10),
		{EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, Attributes: &historypb.HistoryEvent_WorkflowTaskCompletedEventAttributes{
			WorkflowTaskCompletedEventAttributes: &historypb.WorkflowTaskCompletedEventAttributes{ScheduledEventId: 10, StartedEventId: 12}}},
		scheduled(),
		started(14),
	}
	for i, e := range events {
		e.EventId = int64(i) + 1
		when := at
		if i >= 10 {
			when = at.Add(w.timing.Shipment + time.Second)
		}
		e.EventTime = timestamppb.New(when)
	}
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
		Interceptors: []interceptor.WorkerInterceptor{seen}, DisableDeadlockDetection: true,
	})
	require.NoError(t, err)
	replayer.RegisterWorkflowWithOptions(order.Flow.Run, workflow.RegisterOptions{Name: order.Flow.WorkflowType()})
	return replayer.ReplayWorkflowHistory(quiet{}, &historypb.History{Events: events})
}
