package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// inspector answers a check, after some that fail.
type inspector struct {
	asked  []activities.ReconcileInput
	result activities.ReconcileResult
	fails  []error
}

func (i *inspector) Reconcile(_ context.Context, in activities.ReconcileInput, progress func(int)) (activities.ReconcileResult, error) {
	i.asked = append(i.asked, in)
	for n := range 10 {
		progress(n)
	}
	if len(i.fails) > 0 {
		err := i.fails[0]
		i.fails = i.fails[1:]
		return activities.ReconcileResult{}, err
	}
	return i.result, nil
}

// started is when the check's workflow begins.
var started = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// reconcile runs the check's workflow.
func reconcile(t *testing.T, i *inspector) (activities.ReconcileResult, *testsuite.TestWorkflowEnvironment, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartTime(started)
	sagatest.ExtendTimeouts(env)
	workers.RegisterReconcile(env, env, &activities.Reconciliation{Reconciler: i})
	env.ExecuteWorkflow(workflows.NameReconcile, activities.ReconcileInput{Repair: true, Since: 5})
	require.True(t, env.IsWorkflowCompleted())
	var result activities.ReconcileResult
	err := env.GetWorkflowError()
	if err == nil {
		require.NoError(t, env.GetWorkflowResult(&result))
	}
	return result, env, err
}

func TestACheckAnswersWhatItFound(t *testing.T) {
	i := &inspector{result: activities.ReconcileResult{
		Violations: 2, Repaired: 1, Orders: 7, Findings: []activities.ReconcileFinding{
			{Kind: "stock_balance", Subject: "tea", Detail: "a | b\nc", Repair: "recorded"},
		},
	}}
	result, _, err := reconcile(t, i)
	require.NoError(t, err)
	require.Equal(t, i.result, result)
	require.Len(t, i.asked, 1)
	require.Equal(t, started, i.asked[0].Now, "deadlines are compared with workflow time")
	i.asked[0].Now = time.Time{}
	require.Equal(t, []activities.ReconcileInput{{Repair: true, Since: 5}}, i.asked)
}

func TestACheckIsTriedAgainWhenAServerIsAway(t *testing.T) {
	i := &inspector{fails: []error{fault.New(fault.Unavailable, "no log"), fault.New(fault.Unavailable, "no log")}}
	_, _, err := reconcile(t, i)
	require.NoError(t, err)
	require.Len(t, i.asked, 3)

	i = &inspector{fails: make([]error, 50)}
	for n := range i.fails {
		i.fails[n] = fault.New(fault.Unavailable, "no log")
	}
	_, _, err = reconcile(t, i)
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application)
	require.Equal(t, string(fault.Unavailable), application.Type(), "not for ever: the next check comes by itself")
	require.Len(t, i.asked, 5)
}

// TestARunOfAnEndedOrderPublishesEverything is what an end that may not have been published is mended with.
func TestARunOfAnEndedOrderPublishesEverything(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	again := newWorld(t)
	again.log, again.stock, again.gateway = w.log, w.stock, w.gateway
	again.bus.down = 3
	require.Equal(t, order.StatusCompleted, again.run(tea(order.Immediate)).Status)
	require.Equal(t, happyImmediate, again.bus.types(), "from version 1, in order, however long the broker is away")
}
