package matrix

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// calm is the timeout of workflow tasks on which the budget of inline steps is put to the test: a half of what production
// has, so that what fits here fits there.
const calm = 5 * time.Second

// TestSlowStoresTimeOutNoWorkflowTask: a step may take nearly all of its budget inside the workflow task, and each step
// after it may do so too. The worker keeps the task, because it reports in before the task's time is over; what hangs is
// given up within the budget.
func TestSlowStoresTimeOutNoWorkflowTask(t *testing.T) {
	lanes := newPool(t, 2, 0, 1000)
	for name, c := range map[string]struct {
		lane *lane
		// drag is how the calls of local activities are slow; regular says whether regular ones must take over.
		drag    func(context.Context) error
		regular bool
	}{
		"slow": {<-lanes.fast, func(ctx context.Context) error { return wait(ctx, calm/4) }, false},
		"hung": {<-lanes.fast, func(ctx context.Context) error { return wait(ctx, patience) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.lane.set(detour{mode: inline})
			c.lane.slowDown(calm, func(ctx context.Context, what op) error {
				if !local(ctx) || !slices.Contains(tardy, what) {
					return nil
				}
				return c.drag(ctx)
			})
			var wrong []string
			for range undisturbed {
				if wrong = c.lane.slowOrder(t, c.regular); len(wrong) == 0 {
					return
				}
				t.Log(wrong)
			}
			require.Empty(t, wrong, "none of the orders came through undisturbed")
		})
	}
}

// undisturbed is how many orders may try: the machine may be suspended while one runs, and then steps do not fit.
const undisturbed = 5

// slowOrder runs an order whose steps are slow, and returns what is wrong with its history. Regular reports that regular activities must
// take over.
func (l *lane) slowOrder(t *testing.T, regular bool) (wrong []string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o := l.tea(ctx, order.Immediate)
	require.NoError(t, l.place(ctx, o))
	require.NoError(t, l.drive(ctx, o.ID, nil))
	require.Equal(t, order.StatusCompleted, l.state(o.ID).Status)
	require.Empty(t, l.examine([]order.Order{o}))

	history := l.history(ctx, t, o.ID)
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	timedOut, tasksFailed := count(history, enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT), count(history, enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED)
	expect(timedOut+tasksFailed == 0, "%d workflow tasks timed out, %d failed", timedOut, tasksFailed)
	failed, over := takeOvers(t, history)
	if !regular {
		expect(len(over) == 0, "taken over by regular activities: %v", over)
		expect(count(history, enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED) > 1, "together the steps took no longer than one task may")
		return wrong
	}
	expect(len(failed) == len(tardy), "%v failed, not all that hang", failed)
	over = slices.DeleteFunc(over, func(name string) bool { return !slices.Contains(failed, name) })
	expect(len(over) == len(failed), "%v failed, and %v were taken over", failed, over)
	return wrong
}

// tardy are the calls that are slow: one in each step of an immediate order.
var tardy = []op{record(order.SlotAccept), opReserve, opAuthorize, opCapture, opCommit}

// slowDown sets the timeout of the next sagas' workflow tasks, and what delays their calls.
func (l *lane) slowDown(taskTimeout time.Duration, drag func(context.Context, op) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taskTimeout, l.drag = taskTimeout, drag
}

// delay delays a call, when the lane is slow.
func (l *lane) delay(ctx context.Context, what op) error {
	l.mu.Lock()
	drag := l.drag
	l.mu.Unlock()
	if drag == nil {
		return nil
	}
	return drag(ctx, what)
}

// wait waits as long as a slow server does, or until its caller has given up.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Unavailable, "no answer")
	}
}

func count(history *historypb.History, kind enumspb.EventType) (n int) {
	for _, e := range history.Events {
		if e.GetEventType() == kind {
			n++
		}
	}
	return n
}
