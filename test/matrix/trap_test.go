package matrix

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// harm is what a fault does.
type harm string

// The faults. Those with + cancel a step's order while the step's attempt is under way: what it did, or does later, must
// be found and undone although no outcome of it is recorded.
const (
	harmError      harm = "error"
	harmTimeout    harm = "timeout"
	harmKill       harm = "kill"
	harmPause      harm = "pause"
	harmCancel     harm = "cancel"
	harmSignal     harm = "signal"
	harmResetFirst harm = "reset to the first task"
	harmResetLast  harm = "reset to the last task"
	harmTerminate  harm = "terminate"

	// harmEnd terminates the workflow and kills the process, and no other run is started.
	harmEnd harm = "end"

	harmErrorCancel     harm = "error+cancel"
	harmKillCancel      harm = "kill+cancel"
	harmPauseCancel     harm = "pause+cancel"
	harmResetCancel     harm = "reset+cancel"
	harmTerminateCancel harm = "terminate+cancel"
)

// harms strike every step at every point; overtaking strike what can still be undone.
var (
	harms = []harm{
		harmError, harmTimeout, harmKill, harmPause, harmCancel, harmSignal, harmResetFirst, harmResetLast, harmTerminate,
	}
	overtaking = []harm{harmErrorCancel, harmKillCancel, harmPauseCancel, harmResetCancel, harmTerminateCancel}
)

// trap is a fault that waits for its point.
type trap struct {
	orderID string
	// what and after say at which call the fault happens; wires, that it happens at the last of these completions after
	// that call.
	what  op
	after bool
	wires []op
	harm  harm
	// meanwhile is done before the harm; optional.
	meanwhile func(context.Context)

	// The rest is guarded by the lane.
	armed, fired bool
	// token is the regular activity's whose call it waited for, "" in a local one.
	token string
	// passed counts the completed wires.
	passed int
	// decided is what had been decided when it fired.
	decided order.Decision
}

// strike springs the trap that waits at a call.
func (l *lane) strike(ctx context.Context, inc *incarnation, orderID string, what op, after bool) error {
	t := l.spring(inc, func(t *trap) bool {
		if t.orderID != orderID || t.what != what || t.after != after || t.passed > 0 {
			return false
		}
		t.armed, t.token = true, tokenOf(ctx)
		return len(t.wires) == 0
	})
	if t == nil {
		return nil
	}
	return t.harm.strike(l, inc, t)
}

// triggered returns the trap that waits for the completion of a task. The completion of an activity is that of the one
// in which the trap was armed, if it was one: others are under way beside it.
func (l *lane) triggered(inc *incarnation, orderID string, what op, token []byte) *trap {
	return l.spring(inc, func(t *trap) bool {
		if t.orderID != orderID || !t.armed || t.wires[t.passed] != what || what == wireActivity && t.token != "" && t.token != string(token) {
			return false
		}
		t.passed++
		return t.passed == len(t.wires)
	})
}

// tokenOf is the token of the regular activity that makes a call; "" in a local one.
func tokenOf(ctx context.Context) string {
	if !activity.IsActivity(ctx) {
		return ""
	}
	return string(activity.GetInfo(ctx).TaskToken)
}

func (l *lane) spring(inc *incarnation, fits func(*trap) bool) *trap {
	inc.mu.Lock()
	struck := inc.over || inc.state != alive
	inc.mu.Unlock()
	if struck {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.traps {
		if !t.fired && fits(t) {
			t.fired = true
			l.announce() // nothing may be recorded after it
			l.strikes.Add(1)
			t.decided = l.state(t.orderID).Decision
			return t
		}
	}
	return nil
}

// lag is how long a call hangs whose answer is lost.
const lag = 100 * time.Millisecond

// strike does the harm. A kill or a pause is noticed by the calls that follow.
func (h harm) strike(l *lane, inc *incarnation, t *trap) error {
	defer l.strikes.Done()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if t.meanwhile != nil {
		t.meanwhile(ctx)
	}
	switch h {
	case harmError:
		return fault.New(fault.Unavailable, "planted")
	case harmTimeout:
		<-time.After(lag)
		return fault.New(fault.OutcomeUnknown, "planted")
	case harmKill:
		l.replace(inc, dead, func() {})
	case harmPause:
		l.replace(inc, frozen, func() {})
	case harmCancel:
		l.cancel(ctx, t.orderID)
	case harmSignal:
		l.early(ctx, t.orderID)
	case harmResetFirst, harmResetLast:
		l.reset(ctx, t.orderID, h == harmResetLast)
	case harmTerminate:
		l.terminate(ctx, t.orderID)
	case harmEnd:
		if err := l.control.TerminateWorkflow(ctx, order.Flow.WorkflowID(t.orderID), "", "planted"); err != nil {
			l.fail(err)
		}
		l.replace(inc, dead, func() {})
	case harmErrorCancel:
		l.cancel(ctx, t.orderID)
		return fault.New(fault.Unavailable, "planted")
	case harmKillCancel:
		l.replace(inc, dead, func() { l.cancel(ctx, t.orderID) })
	case harmPauseCancel:
		l.replace(inc, frozen, func() { l.cancel(ctx, t.orderID) })
	case harmResetCancel:
		l.cancel(ctx, t.orderID)
		l.reset(ctx, t.orderID, true)
	case harmTerminateCancel:
		l.terminate(ctx, t.orderID)
		l.cancel(ctx, t.orderID)
	}
	return nil
}

// reset resets the order's workflow to where its first or its last task began.
func (l *lane) reset(ctx context.Context, orderID string, last bool) {
	id := order.Flow.WorkflowID(orderID)
	current, err := l.control.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		l.fail(fmt.Errorf("describe before a reset: %w", err))
		return
	}
	runID := current.GetWorkflowExecutionInfo().GetExecution().GetRunId()
	started, at := int64(0), int64(0)
	for history := l.control.GetWorkflowHistory(ctx, id, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); history.HasNext(); {
		e, err := history.Next()
		if err != nil {
			l.fail(fmt.Errorf("read the history before a reset: %w", err))
			return
		}
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED, enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
			if at == 0 || last {
				at = e.GetEventId()
			}
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_STARTED:
			started = e.GetEventId()
		}
	}
	if at == 0 {
		// The first task is running.
		at = started
	}
	if at == 0 {
		l.fail(fmt.Errorf("reset before the first task: %w", errTooLate))
		return
	}
	_, err = l.control.ResetWorkflowExecution(ctx, &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: l.namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: id, RunId: runID},
		Reason: "planted", RequestId: l.unique("reset"), WorkflowTaskFinishEventId: at,
	})
	if err != nil {
		l.fail(fmt.Errorf("reset to event %d: %w", at, err))
	}
}

// errTooLate is returned if there is no run, or none yet, to which a fault could be done. It is an error where the point is
// exact, and may happen where it is random: two faults meet.
var errTooLate = errors.New("no run to strike")

// terminate ends the order's workflow and has another run started, as whoever mentions an order does, or a check.
func (l *lane) terminate(ctx context.Context, orderID string) {
	if err := l.control.TerminateWorkflow(ctx, order.Flow.WorkflowID(orderID), "", "planted"); err != nil {
		l.fail(fmt.Errorf("terminate: %w", errors.Join(err, errTooLate)))
		return
	}
	defer l.moved()
	s, err := l.sagas.Resume(ctx, orderID)
	if err == nil && s.Ended {
		err = l.sagas.Republish(ctx, orderID)
	}
	if err != nil {
		l.fail(fmt.Errorf("start another run: %w", err))
	}
}

// cancel asks to cancel over the bus.
func (l *lane) cancel(ctx context.Context, orderID string) {
	id := l.unique("cancel")
	l.mu.Lock()
	l.cancels[orderID] = append(l.cancels[orderID], id)
	l.mu.Unlock()
	l.say(ctx, event.OrderCancellationRequested, id, orderID)
}

// early says on the bus what comes later in the order's life, or never.
func (l *lane) early(ctx context.Context, orderID string) {
	s := l.state(orderID)
	l.mu.Lock()
	shipment := l.placed[orderID].Fulfillment == order.Shipment
	l.mu.Unlock()
	switch {
	case shipment && !s.ShippedAt.IsZero():
		l.say(ctx, event.ShipmentDelivered, l.unique("early"), orderID)
	case shipment:
		l.say(ctx, event.ShipmentDispatched, l.unique("early"), orderID)
	default:
		l.say(ctx, event.PaymentSucceeded, l.unique("early"), orderID)
	}
}
