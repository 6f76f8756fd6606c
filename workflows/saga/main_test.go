package saga_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

// TestMain looks for leaked goroutines. The test environment leaks those of an activity that a workflow stops
// waiting for: they are its own, a worker has none of them.
func TestMain(m *testing.M) {
	const env = "go.temporal.io/sdk/internal.(*testWorkflowEnvironmentImpl)."
	testenv.Main(m,
		goleak.IgnoreAnyFunction(env+"ExecuteActivity.func2"),
		goleak.IgnoreAnyFunction(env+"executeActivityWithRetryForTest"))
}
