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

// slowTaskTimeout is the workflow task timeout of this test: half of the production value, so that steps that are fast enough
// here are fast enough in production.
const slowTaskTimeout = 5 * time.Second

// TestSlowStoresTimeOutNoWorkflowTask: a step may take nearly all of its budget inside the workflow task, and so may each step
// after it. The worker keeps the task, because it sends a heartbeat before the timeout; a hanging call is abandoned within
// the budget.
func TestSlowStoresTimeOutNoWorkflowTask(t *testing.T) {
	environments := newPool(t, 2, 0, 1000)
	for name, c := range map[string]struct {
		environment *environment
		// callDelay delays the calls of local activities; regular reports whether regular activities must take over.
		callDelay func(context.Context) error
		regular   bool
	}{
		"slow": {<-environments.fast, func(ctx context.Context) error { return wait(ctx, slowTaskTimeout/4) }, false},
		"hung": {<-environments.fast, func(ctx context.Context) error { return wait(ctx, timeout) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.environment.set(detour{mode: inline})
			c.environment.slowDown(slowTaskTimeout, func(ctx context.Context, what op) error {
				if !local(ctx) || !slices.Contains(slowCalls, what) {
					return nil
				}
				return c.callDelay(ctx)
			})
			var wrong []string
			for range maxSlowOrders {
				if wrong = c.environment.slowOrder(t, c.regular); len(wrong) == 0 {
					return
				}
				t.Log(wrong)
			}
			require.Empty(t, wrong, "no order ran without a disturbance")
		})
	}
}

// maxSlowOrders is the number of attempts: the machine may be suspended while an order runs, and then steps are too slow.
const maxSlowOrders = 5

// slowOrder runs an order with slow steps, and returns what is wrong with its history. Regular reports whether regular activities
// must take over.
func (l *environment) slowOrder(t *testing.T, regular bool) (wrong []string) {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	o := l.tea(ctx, order.Immediate)
	require.NoError(t, l.place(ctx, o))
	require.NoError(t, l.drive(ctx, o.ID, nil))
	require.Equal(t, order.StatusCompleted, l.state(o.ID).Status)
	require.Empty(t, l.violations([]order.Order{o}))

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
		expect(count(history, enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED) > 1, "all steps together fit into one workflow task")
		return wrong
	}
	expect(len(failed) == len(slowCalls), "%v failed, not all hanging calls", failed)
	over = slices.DeleteFunc(over, func(name string) bool { return !slices.Contains(failed, name) })
	expect(len(over) == len(failed), "%v failed, and %v were taken over", failed, over)
	return wrong
}

// slowCalls are the calls that are slow: one in each step of an immediate order.
var slowCalls = []op{record(order.SlotAccept), opReserve, opAuthorize, opCapture, opCommit}

// slowDown sets the workflow task timeout and the call delay of the sagas that are started next.
func (l *environment) slowDown(taskTimeout time.Duration, callDelay func(context.Context, op) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taskTimeout, l.callDelay = taskTimeout, callDelay
}

// delay delays a call if the environment is slow.
func (l *environment) delay(ctx context.Context, what op) error {
	l.mu.Lock()
	callDelay := l.callDelay
	l.mu.Unlock()
	if callDelay == nil {
		return nil
	}
	return callDelay(ctx, what)
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
