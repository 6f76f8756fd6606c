package saga_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// callbacks are what comes of an Update.
type callbacks struct{ failed error }

func (c *callbacks) Accept()                   {}
func (c *callbacks) Reject(err error)          { c.failed = err }
func (c *callbacks) Complete(_ any, err error) { c.failed = err }

// An Update that waits returns when its run is released, with the error after which its client sends it again.
func TestAnUpdateThatWaitsIsReleased(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment()
	sagatest.ExtendTimeouts(env)
	waits := &callbacks{}
	env.RegisterDelayedCallback(func() { env.UpdateWorkflow("ask", "u1", waits) }, 0)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		var drain saga.Drain
		taken := false
		err := workflow.SetUpdateHandler(ctx, "ask", func(ctx workflow.Context) error {
			taken = true
			drain.Count()
			if err := workflow.Await(ctx, drain.Released); err != nil {
				return err
			}
			return saga.ErrTryAgain()
		})
		if err != nil {
			return err
		}
		if err := workflow.Await(ctx, func() bool { return taken }); err != nil {
			return err
		}
		require.False(t, drain.Due(ctx) || drain.Closed())
		return drain.Release(ctx)
	})
	require.NoError(t, env.GetWorkflowError())
	var failed *temporal.ApplicationError
	require.ErrorAs(t, waits.failed, &failed)
	require.Equal(t, saga.TryAgain, failed.Type())
}

// Temporal refuses all Updates of a run after 2,000.
func TestARunIsDueAfterManyUpdates(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	sagatest.ExtendTimeouts(env)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		var drain saga.Drain
		for n := range 1000 {
			require.False(t, drain.Due(ctx), n)
			drain.Count()
		}
		require.True(t, drain.Due(ctx))
		require.True(t, drain.Closed())
		return nil
	})
	require.NoError(t, env.GetWorkflowError())
}
