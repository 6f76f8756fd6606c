package sagaclient_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

var (
	now      = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	errNoWay = serviceerror.NewUnavailable("no way to the server")
)

// tea is an order.
func tea() order.Order {
	return order.Order{
		ID: "42", CustomerID: "c-7", Currency: "EUR", Lines: []order.Line{{SKU: "tea", Quantity: 2, UnitAmount: 450}},
		Payment: order.PaymentMethod{Method: "tok_visa"},
	}.Normalize()
}

// cups is another order of the same id.
func cups() order.Order {
	o := tea()
	o.Lines = []order.Line{{SKU: "cup", Quantity: 1, UnitAmount: 900}}
	return o.Normalize()
}

// signal is a signal that reached a run.
type signal struct {
	workflowID, name string
	payload          any
}

// temporal is the state of one workflow ID on a Temporal server.
type temporal struct {
	client.Client
	// workflow is the type of the workflow, id its id.
	workflow, id string
	// running and closed describe the newest run; both are false if there is none.
	running, closed bool
	// completed reports whether the closed run completed; otherwise it was terminated.
	completed bool
	input     *commonpb.Payloads
	// starts are the options of all attempts to start.
	starts  []client.StartWorkflowOptions
	signals []signal
	// settled are the starts of late sagas.
	settled []settled
	// shortages are the starts of shortage sagas, in words.
	shortages []string
	// updates are the options of all Updates; verdicts answer them, one each, and fail with an error.
	updates []client.UpdateWorkflowOptions
	answers []any
	// down has the errors of methods that fail.
	down map[string]error
	// brief reports whether runs close as soon as they start.
	brief bool
	// history replaces the history of the newest run; histories are those of runs by their ids.
	history   client.HistoryEventIterator
	histories map[string][]*historypb.HistoryEvent
	// brokenOff are the runs that were broken off, newest first.
	brokenOff []string
}

func (s *temporal) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	page := &workflowservice.ListWorkflowExecutionsResponse{}
	for _, run := range s.brokenOff {
		page.Executions = append(page.Executions, &workflowpb.WorkflowExecutionInfo{
			Execution: &commonpb.WorkflowExecution{WorkflowId: s.id, RunId: run},
		})
	}
	return page, s.down["list"]
}

func (s *temporal) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error) {
	s.starts = append(s.starts, o)
	if err := s.down["start"]; err != nil {
		return nil, err
	}
	if s.running || s.closed && o.WorkflowIDReusePolicy == enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE {
		return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("already", "", "r-1")
	}
	if workflow != s.workflow || o.ID != s.id || len(args) != 1 {
		panic("another workflow")
	}
	s.running, s.closed = !s.brief, s.brief
	var err error
	s.input, err = converter.GetDefaultDataConverter().ToPayloads(args...)
	return nil, err
}

// began is the input of the newest run.
func (s *temporal) began(t *testing.T) saga.Input {
	t.Helper()
	var in saga.Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(s.input, &in))
	return in
}

// beganWith is the order with which the newest run began.
func (s *temporal) beganWith(t *testing.T) order.Order {
	t.Helper()
	return orderOf(t, s.began(t))
}

// inputOf is the input of a run of an order.
func inputOf(t *testing.T, o order.Order) saga.Input {
	t.Helper()
	data, err := json.Marshal(o)
	require.NoError(t, err)
	return saga.Input{ID: o.ID, Data: data}
}

// orderOf is the order of an input.
func orderOf(t *testing.T, in saga.Input) (o order.Order) {
	t.Helper()
	require.NoError(t, json.Unmarshal(in.Data, &o))
	require.Equal(t, in.ID, o.ID)
	return o
}

func (s *temporal) SignalWorkflow(_ context.Context, id, _, name string, payload any) error {
	if err := s.down["signal"]; err != nil {
		return err
	}
	if !s.running {
		return serviceerror.NewNotFound("workflow not found")
	}
	s.signals = append(s.signals, signal{id, name, payload})
	return nil
}

func (s *temporal) UpdateWorkflow(_ context.Context, o client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	s.updates = append(s.updates, o)
	if err := s.down["update"]; err != nil {
		return nil, err
	}
	if !s.running {
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	h := handle{answer: s.answers[0]}
	s.answers = s.answers[1:]
	return h, nil
}

// handle is an Update that was accepted.
type handle struct {
	client.WorkflowUpdateHandle
	answer any
}

func (h handle) Get(_ context.Context, to any) error {
	if err, failed := h.answer.(error); failed {
		return err
	}
	reflect.ValueOf(to).Elem().Set(reflect.ValueOf(h.answer))
	return nil
}

func (s *temporal) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if err := s.down["describe"]; err != nil {
		return nil, err
	}
	status := enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED
	switch {
	case s.running:
		status = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	case !s.closed:
		return nil, serviceerror.NewNotFound("workflow not found")
	case s.completed:
		status = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
		Status: status, StartTime: timestamppb.New(now),
		Execution: &commonpb.WorkflowExecution{WorkflowId: s.id, RunId: "r-1"},
	}}, nil
}

func (s *temporal) GetWorkflowHistory(_ context.Context, id, run string, _ bool, _ enumspb.HistoryEventFilterType) client.HistoryEventIterator {
	if s.histories != nil {
		h := &history{events: slices.Clone(s.histories[run])}
		if len(h.events) == 0 {
			h.err = serviceerror.NewNotFound("no such run")
		}
		return h
	}
	if id != s.id || run != "r-1" {
		panic("the history of another run")
	}
	if h, ok := s.history.(*history); ok {
		return &history{events: slices.Clone(h.events), err: h.err}
	}
	return &history{events: []*historypb.HistoryEvent{{
		Attributes: &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{
			WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{Input: s.input},
		},
	}}}
}

// history is a history of given events, after which it fails.
type history struct {
	events []*historypb.HistoryEvent
	err    error
}

func (h *history) HasNext() bool { return len(h.events) > 0 || h.err != nil }

func (h *history) Next() (*historypb.HistoryEvent, error) {
	if len(h.events) == 0 {
		return nil, h.err
	}
	first := h.events[0]
	h.events = h.events[1:]
	return first, nil
}

// log is a log with configured failures.
type log struct {
	*memlog.Log
	down  bool
	reads int
}

func (l *log) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	l.reads++
	if l.down {
		return nil, fault.New(fault.Unavailable, "no log")
	}
	return l.Log.Read(ctx, stream, after, limit)
}

// world has a client and its dependencies.
type world struct {
	t        *testing.T
	temporal *temporal
	log      *log
	client   *sagaclient.Client
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, temporal: &temporal{workflow: "OrderSaga", id: "order-42", down: map[string]error{}}, log: &log{Log: memlog.New()}}
	w.client = w.newClient()
	return w
}

func (w *world) newClient() *sagaclient.Client { return sagaclient.New(w.config()) }

func (w *world) config() sagaclient.Config {
	c := sagaclient.Config{Temporal: w.temporal, Log: w.log, Logger: slog.New(slog.DiscardHandler), Eager: true}
	c.Late = sagaclient.NewTableClient(c, &latepayment.Flow, w.log, func() time.Time { return now })
	return c
}

// ran adds an earlier start with an order to the server.
func (w *world) ran(o order.Order, running bool) {
	w.t.Helper()
	in := inputOf(w.t, o)
	in.CorrelationID = "first"
	w.ranWith(in, running)
}

// ranWith adds an earlier start with an input to the server.
func (w *world) ranWith(in saga.Input, running bool) {
	w.t.Helper()
	input, err := converter.GetDefaultDataConverter().ToPayloads(in)
	require.NoError(w.t, err)
	w.temporal.input, w.temporal.running, w.temporal.closed = input, running, !running
}

// open writes the stream of an order that is open.
func (w *world) open(o order.Order) order.State {
	w.t.Helper()
	return w.write(order.State{}, order.Accept(o, "first", "cause", now))
}

// rejected writes the stream of an order that ended without stock.
func (w *world) rejected(o order.Order) order.State {
	w.t.Helper()
	s := w.open(o)
	s = w.write(s, s.Reserved([]order.LineOutcome{{SKU: "tea", Quantity: 2, Reason: order.ReasonOutOfStock}}, now))
	return w.write(s, order.Decisions(s, order.Facts{}, now, order.DefaultTiming())...)
}

// cancelled writes the stream of an order that the event with ID cause cancelled.
func (w *world) cancelled(o order.Order, cause string) order.State {
	w.t.Helper()
	facts := order.FactsOf(o.ID, order.Cancellation{ID: "c-1", Cause: cause})
	s := w.open(o)
	s = w.write(s, order.Decisions(s, facts, now, order.DefaultTiming())...)
	s = w.write(s, s.Undone(order.StepReserve, now))
	return w.write(s, order.Decisions(s, facts, now, order.DefaultTiming())...)
}

// stuck writes the stream of an order whose reservation cannot be released.
func (w *world) stuck(o order.Order) order.State {
	w.t.Helper()
	facts := order.FactsOf(o.ID, order.Cancellation{ID: "c-1"})
	s := w.open(o)
	s = w.write(s, order.Decisions(s, facts, now, order.DefaultTiming())...)
	facts.Stuck = &order.Stuck{Step: order.StepReserve, Undo: true, Error: "no answer"}
	return w.write(s, order.Decisions(s, facts, now, order.DefaultTiming())...)
}

// refused writes the stream of an order that is being settled, and has refused a cancellation.
func (w *world) refused(o order.Order) order.State {
	w.t.Helper()
	s := w.open(o)
	s = w.write(s, s.Reserved([]order.LineOutcome{{SKU: "tea", Quantity: 2, Reserved: true}}, now))
	s = w.write(s, s.Authorized("p-1", now))
	s = w.write(s, order.Decisions(s, order.Facts{}, now, order.DefaultTiming())...)
	facts := order.FactsOf(o.ID, order.Cancellation{ID: "c-0"})
	return w.write(s, order.Decisions(s, facts, now, order.DefaultTiming())...)
}

// write appends to the order's stream and folds.
func (w *world) write(s order.State, entries ...event.Entry) order.State {
	w.t.Helper()
	_, tail, err := w.log.Append(w.t.Context(), event.OrderStream("42"), s.Head, entries)
	require.NoError(w.t, err)
	s, err = s.Fold(tail)
	require.NoError(w.t, err)
	return s
}
