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

// faultKind is a kind of fault.
type faultKind string

// The faults. Those with + cancel a step's order while the step's attempt is running: its effect, also a later one,
// must be found and undone although no outcome is recorded.
const (
	faultError      faultKind = "error"
	faultTimeout    faultKind = "timeout"
	faultKill       faultKind = "kill"
	faultStop       faultKind = "stop"
	faultPause      faultKind = "pause"
	faultCancel     faultKind = "cancel"
	faultSignal     faultKind = "signal"
	faultResetFirst faultKind = "reset to the first task"
	faultResetLast  faultKind = "reset to the last task"
	faultTerminate  faultKind = "terminate"

	// faultEnd terminates the workflow and kills the process, and no other run is started.
	faultEnd faultKind = "end"

	faultErrorCancel     faultKind = "error+cancel"
	faultKillCancel      faultKind = "kill+cancel"
	faultPauseCancel     faultKind = "pause+cancel"
	faultResetCancel     faultKind = "reset+cancel"
	faultTerminateCancel faultKind = "terminate+cancel"
)

// faultKinds are injected into every step at every point, cancellingFaults into steps that can still be undone.
var (
	faultKinds = []faultKind{
		faultError, faultTimeout, faultKill, faultPause, faultCancel, faultSignal, faultResetFirst, faultResetLast, faultTerminate,
	}
	cancellingFaults = []faultKind{faultErrorCancel, faultKillCancel, faultPauseCancel, faultResetCancel, faultTerminateCancel}
)

// injection is a fault that waits for its point.
type injection struct {
	orderID string
	// what and after are the call of the fault. If there are wires, the fault happens at the last of these completions after
	// that call.
	what      op
	after     bool
	wires     []op
	faultKind faultKind
	// meanwhile is called before the fault; optional.
	meanwhile func(context.Context)

	// The other fields are guarded by the environment's mutex.
	armed, fired bool
	// token is the task token of the regular activity that made the call, "" for a local activity.
	token string
	// passed counts the completed wires.
	passed int
	// decided is the order's decision when the fault was injected.
	decided order.Decision
}

// inject performs the injection that waits for a call.
func (l *environment) inject(ctx context.Context, proc *process, orderID string, what op, after bool) error {
	t := l.fire(proc, func(t *injection) bool {
		if t.orderID != orderID || t.what != what || t.after != after || t.passed > 0 {
			return false
		}
		t.armed, t.token = true, tokenOf(ctx)
		return len(t.wires) == 0
	})
	if t == nil {
		return nil
	}
	return t.faultKind.inject(l, proc, t)
}

// triggered returns the injection that waits for the completion of a task. The completion of an activity is that of the one
// in which the injection was armed, if it was one: other activities may be running.
func (l *environment) triggered(proc *process, orderID string, what op, token []byte) *injection {
	return l.fire(proc, func(t *injection) bool {
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

func (l *environment) fire(proc *process, fits func(*injection) bool) *injection {
	proc.mu.Lock()
	hit := proc.over || proc.state != alive
	proc.mu.Unlock()
	if hit {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.injections {
		if !t.fired && fits(t) {
			t.fired = true
			l.notifyLocked() // nothing may be recorded after it
			l.injecting.Add(1)
			t.decided = l.state(t.orderID).Decision
			return t
		}
	}
	return nil
}

// lostAnswerDelay is how long a call with a lost answer hangs.
const lostAnswerDelay = 100 * time.Millisecond

// inject performs the fault. The calls that follow notice a kill or a pause.
func (h faultKind) inject(l *environment, proc *process, t *injection) error {
	defer l.injecting.Done()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if t.meanwhile != nil {
		t.meanwhile(ctx)
	}
	switch h {
	case faultError:
		return fault.New(fault.Unavailable, "injected")
	case faultTimeout:
		<-time.After(lostAnswerDelay)
		return fault.New(fault.OutcomeUnknown, "injected")
	case faultKill:
		l.replace(proc, dead, func() {})
	case faultStop:
		l.replace(proc, stopping, func() {})
	case faultPause:
		l.replace(proc, paused, func() {})
	case faultCancel:
		l.cancel(ctx, t.orderID)
	case faultSignal:
		l.publishEarly(ctx, t.orderID)
	case faultResetFirst, faultResetLast:
		l.reset(ctx, t.orderID, h == faultResetLast)
	case faultTerminate:
		l.terminate(ctx, t.orderID)
	case faultEnd:
		if err := l.control.TerminateWorkflow(ctx, order.Flow.WorkflowID(t.orderID), "", "injected"); err != nil {
			l.fail(err)
		}
		l.replace(proc, dead, func() {})
	case faultErrorCancel:
		l.cancel(ctx, t.orderID)
		return fault.New(fault.Unavailable, "injected")
	case faultKillCancel:
		l.replace(proc, dead, func() { l.cancel(ctx, t.orderID) })
	case faultPauseCancel:
		l.replace(proc, paused, func() { l.cancel(ctx, t.orderID) })
	case faultResetCancel:
		l.cancel(ctx, t.orderID)
		l.reset(ctx, t.orderID, true)
	case faultTerminateCancel:
		l.terminate(ctx, t.orderID)
		l.cancel(ctx, t.orderID)
	}
	return nil
}

// reset resets the order's workflow to the start of its first or its last task.
func (l *environment) reset(ctx context.Context, orderID string, last bool) {
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
		Reason: "injected", RequestId: l.unique("reset"), WorkflowTaskFinishEventId: at,
	})
	if err != nil {
		l.fail(fmt.Errorf("reset to event %d: %w", at, err))
	}
}

// errTooLate is returned if there is no run, or none yet, for the fault. It is an error if the point is
// exact, and may happen if the point is random: two faults meet.
var errTooLate = errors.New("no run for the fault")

// terminate ends the order's workflow and starts another run, as an event about the order or a reconciliation does.
func (l *environment) terminate(ctx context.Context, orderID string) {
	if err := l.control.TerminateWorkflow(ctx, order.Flow.WorkflowID(orderID), "", "injected"); err != nil {
		l.fail(fmt.Errorf("terminate: %w", errors.Join(err, errTooLate)))
		return
	}
	defer l.notify()
	s, err := l.sagas.Resume(ctx, orderID)
	if err == nil && s.Ended {
		err = l.sagas.Republish(ctx, orderID)
	}
	if err != nil {
		l.fail(fmt.Errorf("start another run: %w", err))
	}
}

// cancel publishes a cancellation request.
func (l *environment) cancel(ctx context.Context, orderID string) {
	id := l.unique("cancel")
	l.mu.Lock()
	l.cancels[orderID] = append(l.cancels[orderID], id)
	l.mu.Unlock()
	l.publish(ctx, event.OrderCancellationRequested, id, orderID)
}

// publishEarly publishes an event that the order expects later or never.
func (l *environment) publishEarly(ctx context.Context, orderID string) {
	s := l.state(orderID)
	l.mu.Lock()
	shipment := l.placed[orderID].Fulfillment == order.Shipment
	l.mu.Unlock()
	switch {
	case shipment && !s.ShippedAt.IsZero():
		l.publish(ctx, event.ShipmentDelivered, l.unique("early"), orderID)
	case shipment:
		l.publish(ctx, event.ShipmentDispatched, l.unique("early"), orderID)
	default:
		l.publish(ctx, event.PaymentSucceeded, l.unique("early"), orderID)
	}
}
