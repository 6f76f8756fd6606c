package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestWorkerVersions: two processes are versions of one Worker Deployment. New orders run on the current version, whichever API accepts them; open
// orders move to it with their next workflow task, forward and back.
func TestWorkerVersions(t *testing.T) {
	s := newStack(t)
	namespace := "TEMPORAL_NAMESPACE=" + s.registerNamespace()
	shop := s.temporal.WorkerDeploymentClient().GetHandle("shop")
	a := s.start(namespace, "WORKER_DEPLOYMENT_NAME=shop", "WORKER_BUILD_ID=a")
	sku := s.sku(1000)
	// use makes a version the current one, and returns when new orders run on it: task queues are updated with a delay.
	use := func(build string) {
		t.Helper()
		require.Eventually(t, func() bool {
			_, err := shop.SetCurrentVersion(s.ctx, client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build})
			return err == nil
		}, patience, tick)
		require.Eventually(t, func() bool {
			placed := s.place(harness.NewOrder(sku, 1, "tok_visa"))
			require.Equal(t, "completed", placed.Status)
			return s.builds(placed.ID, 1)[0] == build
		}, patience, tick)
	}
	use("a")
	first := s.parcel(sku)
	require.Equal(t, []string{"a"}, s.builds(first, 1))

	s.start(namespace, "WORKER_DEPLOYMENT_NAME=shop", "WORKER_BUILD_ID=b")
	second := s.parcel(sku) // over the API of b
	require.Equal(t, []string{"a"}, s.builds(second, 1), "b is not current, so it gets no orders of its own either")

	use("b")
	s.carrier("shipment.dispatched", first)
	require.Equal(t, []string{"a", "b"}, s.builds(first, 2))

	use("a")
	s.carrier("shipment.delivered", first)
	s.ends(first, "completed", "")
	require.Equal(t, []string{"a", "b", "a"}, s.builds(first, 3))

	use("b")
	require.NoError(t, a.Stop(patience))
	s.carrier("shipment.delivered", second)
	s.ends(second, "completed", "")
	require.Equal(t, []string{"a", "b"}, s.builds(second, 2))
	s.audit()
}

// builds waits until so many build IDs have completed workflow tasks of an order, and returns them without repetitions. The log has the events of
// a workflow task before Temporal has its completion.
func (s *stack) builds(orderID string, n int) (builds []string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		builds = nil
		events := s.temporal.GetWorkflowHistory(s.ctx, "order-"+orderID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			require.NoError(s.t, err)
			task := e.GetWorkflowTaskCompletedEventAttributes()
			if task == nil {
				continue
			}
			if build := task.GetDeploymentVersion().GetBuildId(); len(builds) == 0 || builds[len(builds)-1] != build {
				builds = append(builds, build)
			}
		}
		return len(builds) >= n
	}, patience, tick)
	return builds
}
