package e2e

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// ownNamespace creates a Temporal namespace for the test, without sagas of other tests, and runs the service in it.
func (s *stack) ownNamespace(env ...string) {
	s.t.Helper()
	s.start(append([]string{"TEMPORAL_NAMESPACE=" + s.registerNamespace()}, env...)...)
}

// registerNamespace makes a Temporal namespace that no other test works in.
func (s *stack) registerNamespace() string {
	s.t.Helper()
	s.namespace = testenv.Unique("reconcile")
	_, err := s.temporal.WorkflowService().RegisterNamespace(s.ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: s.namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	require.NoError(s.t, err)
	own := s.dialTemporal(testenv.Temporal(s.t), s.namespace)
	shared := s.temporal
	s.t.Cleanup(func() {
		own.Close()
		s.temporal, s.namespace = shared, "default"
	})
	s.temporal = own
	require.Eventually(s.t, func() bool {
		_, err := own.ListWorkflow(s.ctx, &workflowservice.ListWorkflowExecutionsRequest{})
		return err == nil
	}, patience, 100*time.Millisecond, "the namespace is known everywhere")
	return s.namespace
}

// finding is a finding of the command's report.
type finding struct {
	Kind     string `json:"kind"`
	Subject  string `json:"subject"`
	Detail   string `json:"detail"`
	Repair   string `json:"repair"`
	Repaired bool   `json:"repaired"`
}

// reconcile runs the command and returns its findings, "kind subject", and whether it found no violation. A command without an answer of a
// server has no report: the result is false, and a caller that polls runs it again.
func (s *stack) reconcile(flags ...string) (found []string, content bool) {
	s.t.Helper()
	found, content, _ = s.tryReconcile(flags...)
	return found, content
}

// reconcileOnce is reconcile for a caller that needs the report: the command runs again only if it has printed none.
func (s *stack) reconcileOnce(flags ...string) (found []string, content bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Second) {
		found, content, printed := s.tryReconcile(flags...)
		if printed {
			return found, content
		}
		require.True(s.t, time.Now().Before(deadline), "the command prints no report")
	}
}

// tryReconcile also reports whether the command has printed a report.
func (s *stack) tryReconcile(flags ...string) (found []string, content, printed bool) {
	s.t.Helper()
	cmd := exec.CommandContext(s.ctx, binary, append([]string{"reconcile", "--json"}, flags...)...)
	cmd.Env = append(environ(), "MONGODB_DATABASE="+s.database, "TEMPORAL_NAMESPACE="+s.namespace)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(out) == 0 {
		s.t.Logf("reconcile printed nothing: %v: %s", err, exit.Stderr)
		return nil, false, false
	}
	var report struct {
		Findings []finding `json:"findings"`
	}
	require.NoError(s.t, json.Unmarshal(out, &report), "%s", out)
	for _, f := range report.Findings {
		s.t.Logf("%s %s: %s; %s", f.Kind, f.Subject, f.Detail, f.Repair)
		require.NotContains(s.t, f.Repair, "failed", "%+v", f)
		found = append(found, f.Kind+" "+f.Subject)
	}
	slices.Sort(found)
	if exit != nil {
		require.Equal(s.t, 1, exit.ExitCode())
		return found, false, true
	}
	require.NoError(s.t, err)
	return found, true, true
}

// parcel places a shipment and waits for order.confirmed.
func (s *stack) parcel(sku string) string {
	s.t.Helper()
	o := harness.NewOrder(sku, 1, "tok_visa")
	o.Fulfillment = "shipment"
	placed, err := s.client.Place(s.ctx, o, 0)
	require.NoError(s.t, err)
	_, err = s.client.AwaitStatus(s.ctx, placed.ID, "awaiting_shipment")
	require.NoError(s.t, err)
	return placed.ID
}

func (s *stack) terminate(orderID string) {
	s.t.Helper()
	require.NoError(s.t, s.temporal.TerminateWorkflow(s.ctx, "order-"+orderID, "", "terminated by the test"))
}

// TestReconcile causes every violation that can be caused from outside. All are found, and those with a repair are repaired: first by the
// command, then by the schedule in Temporal.
func TestReconcile(t *testing.T) {
	s := newStack(t)
	s.ownNamespace("RECONCILE_EVERY=1h")
	s.pauseSchedule("ordersaga-reconcile")
	sku := s.sku(100)
	keep := testenv.Unique("keep")
	require.NoError(t, s.bus.Keep(keep, "#"))
	require.Equal(t, "completed", s.place(harness.NewOrder(sku, 1, "tok_visa")).Status)

	unpublished := s.terminatedAfterTheEnd(sku)
	terminated, deleted, failing := s.parcel(sku), s.parcel(sku), s.parcel(sku)
	altered := s.place(harness.NewOrder(sku, 1, "tok_visa")).ID
	missing := s.place(harness.NewOrder(sku, 1, "tok_declined")).ID
	s.settled(altered, missing)
	found, content := s.reconcileOnce()
	require.Equal(t, []string{"end_unpublished " + unpublished}, found)
	require.False(t, content)
	table, err := command(t, append(environ(), "MONGODB_DATABASE="+s.database, "TEMPORAL_NAMESPACE="+s.namespace), "reconcile")
	require.Error(t, err)
	t.Log(table)
	require.Regexp(t, `(?m)^KIND +SUBJECT +DETAIL +REPAIR\n^end_unpublished +`+unpublished+` `, table)
	require.Regexp(t, `(?m)^7 orders, \d+ streams, 1 SKUs, 7 payments checked; 1 violations, 0 repaired, 0 notes; in `, table)

	s.terminate(terminated)
	s.drop(deleted)
	s.fails(failing)
	early := s.acceptedByTemporalAlone(sku)
	_, err = s.db.Collection("orders").UpdateByID(s.ctx, altered, bson.D{{Key: "$set", Value: bson.D{{Key: "status", Value: "failed"}}}})
	require.NoError(t, err)
	_, err = s.db.Collection("orders").DeleteOne(s.ctx, bson.D{{Key: "_id", Value: missing}})
	require.NoError(t, err)
	_, err = s.db.Collection("orders").InsertOne(s.ctx, bson.D{{Key: "_id", Value: "ghost"}, {Key: "version", Value: "?"}})
	require.NoError(t, err)
	damaged := s.damagedStock()

	people := sortedOf("stock_balance "+damaged, "stream_hash sku-"+damaged, "workflow_failing "+failing)
	everything := sortedOf(append(people, "workflow_closed "+terminated, "workflow_gone "+deleted, "order_unrecorded "+early,
		"end_unpublished "+unpublished, "list_different "+altered, "list_missing "+missing, "list_orphan ghost")...)
	// Temporal lists workflows with a delay.
	require.Eventually(t, func() bool {
		found, content = s.reconcile()
		return slices.Equal(everything, found)
	}, patience, 100*time.Millisecond, "everything is found, and nothing else")
	require.False(t, content)

	found, content = s.reconcileOnce("--repair")
	require.Equal(t, everything, found)
	require.False(t, content, "some violations need an operator")
	s.deliver(terminated, deleted)
	_, err = s.client.AwaitEnd(s.ctx, early)
	require.NoError(t, err)
	s.settled(unpublished, terminated, deleted, early)
	found, _ = s.reconcileOnce("--repair")
	require.Equal(t, people, found, "repairable violations are repaired")

	// An operator terminates the failing workflow; the schedule repairs the order.
	s.terminate(failing)
	var result struct{ Violations, Repaired int }
	details := s.trigger("ordersaga-reconcile", &result)
	require.Equal(t, 3, result.Violations)
	require.Equal(t, 1, result.Repaired)
	require.Contains(t, details, "**3 violations**", "the Web UI shows it")
	s.deliver(failing)
	s.settled(failing)
	found, content = s.reconcileOnce()
	require.Equal(t, sortedOf("stock_balance "+damaged, "stream_hash sku-"+damaged), found)
	require.False(t, content)

	s.tap, err = s.bus.Drain(keep)
	require.NoError(t, err)
	report, err := audit.RunAll(s.ctx, s.db)
	require.NoError(t, err)
	require.Empty(t, report.Open(), "every order has ended")
	for _, v := range report.Violations {
		require.Contains(t, v, damaged)
	}
	require.Len(t, report.Orders, 8)
	for id := range report.Orders {
		s.published(report, id)
	}
	require.Len(t, report.Streams["reconcile-sku-"+damaged], 2, "a violation that needs an operator is recorded once")

	// Without the setting there is no schedule.
	require.NoError(t, s.service.Stop(patience))
	s.start("TEMPORAL_NAMESPACE=" + s.namespace)
	_, err = s.temporal.ScheduleClient().GetHandle(s.ctx, "ordersaga-reconcile").Describe(s.ctx)
	var gone *serviceerror.NotFound
	require.True(t, isA(err, &gone), "%v", err)
}

func sortedOf(list ...string) []string {
	slices.Sort(list)
	return list
}

// settled waits until the runs of orders have closed: then all of their events are published.
func (s *stack) settled(orderIDs ...string) {
	s.t.Helper()
	for _, id := range orderIDs {
		require.NoError(s.t, s.temporal.GetWorkflow(s.ctx, "order-"+id, "").Get(s.ctx, nil), "the run of order %s closes", id)
	}
}

// deliver reports the delivery of parcels and waits for the end of their orders.
func (s *stack) deliver(orderIDs ...string) {
	s.t.Helper()
	for _, id := range orderIDs {
		for _, step := range []string{"shipment.dispatched", "shipment.delivered"} {
			_, err := s.bus.Publish(s.ctx, step, id, map[string]any{"orderId": id})
			require.NoError(s.t, err)
		}
		_, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(s.t, err)
	}
}

// terminatedAfterTheEnd terminates a run between its order's terminal event and the publication.
func (s *stack) terminatedAfterTheEnd(sku string) string {
	s.t.Helper()
	s.devstack("stop", "rabbitmq")
	end := s.place(harness.NewOrder(sku, 1, "tok_visa"))
	require.Equal(s.t, "completed", end.Status)
	s.terminate(end.ID)
	s.devstack("start", "rabbitmq")
	s.bus.Close()
	bus, err := harness.Dial(amqpURL())
	require.NoError(s.t, err)
	s.bus = bus
	s.t.Cleanup(bus.Close)
	require.Eventually(s.t, func() bool { return s.service.Ready(s.ctx) == nil }, patience, 50*time.Millisecond)
	return end.ID
}

// drop deletes an order's running workflow.
func (s *stack) drop(orderID string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		var gone *serviceerror.NotFound
		_, err := s.temporal.WorkflowService().DeleteWorkflowExecution(s.ctx, &workflowservice.DeleteWorkflowExecutionRequest{
			Namespace: s.namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: "order-" + orderID},
		})
		return isA(err, &gone)
	}, patience, 500*time.Millisecond, "the workflow is deleted")
}

// fails replaces the workflow of an order by one whose tasks fail.
func (s *stack) fails(orderID string) {
	s.t.Helper()
	s.terminate(orderID)
	_, err := s.temporal.ExecuteWorkflow(s.ctx, client.StartWorkflowOptions{ID: "order-" + orderID, TaskQueue: "orders"}, "UnknownFlow")
	require.NoError(s.t, err)
	require.Eventually(s.t, func() bool {
		d, err := s.temporal.DescribeWorkflowExecution(s.ctx, "order-"+orderID, "")
		return err == nil && d.GetPendingWorkflowTask().GetAttempt() >= 5
	}, patience, 200*time.Millisecond, "its workflow task fails again and again")
}

// acceptedByTemporalAlone returns an order whose workflow was terminated before its first event.
func (s *stack) acceptedByTemporalAlone(sku string) string {
	s.t.Helper()
	o := harness.NewOrder(sku, 1, "tok_visa")
	o.ID, o.Fulfillment = "early-"+uuid.NewString()[:8], "immediate"
	raw, err := json.Marshal(o)
	require.NoError(s.t, err)
	var order map[string]any
	require.NoError(s.t, json.Unmarshal(raw, &order))
	order["totalAmount"] = 1000
	_, err = s.temporal.ExecuteWorkflow(s.ctx, client.StartWorkflowOptions{ID: "order-" + o.ID, TaskQueue: "without-workers"}, "OrderSaga",
		map[string]any{"id": o.ID, "data": order})
	require.NoError(s.t, err)
	s.terminate(o.ID)
	return o.ID
}

// damagedStock is a SKU with an event that was written by hand.
func (s *stack) damagedStock() string {
	s.t.Helper()
	sku := s.sku(7)
	stream := "sku-" + sku
	var stored bson.M
	require.NoError(s.t, s.db.Collection("events").FindOne(s.ctx, bson.D{{Key: "_id", Value: stream + "@0000000001"}}).Decode(&stored))
	forged := bson.M{}
	for name, v := range stored {
		forged[name] = v
	}
	forged["_id"], forged["version"], forged["key"], forged["id"] = stream+"@0000000002", int64(2), "more/receipt", uuid.NewString()
	forged["prevHash"], forged["hash"] = stored["hash"], strings.Repeat("0", 64)
	_, err := s.db.Collection("events").InsertOne(s.ctx, forged)
	require.NoError(s.t, err)
	return sku
}

// pauseSchedule pauses a schedule: it runs at the full hour, and would repair a violation that the test has just caused.
func (s *stack) pauseSchedule(id string) {
	s.t.Helper()
	handle := s.temporal.ScheduleClient().GetHandle(s.ctx, id)
	require.Eventually(s.t, func() bool {
		return handle.Pause(s.ctx, client.SchedulePauseOptions{Note: "the test triggers it itself"}) == nil
	}, patience, 100*time.Millisecond, "the service has made its schedule")
	require.Eventually(s.t, func() bool {
		described, err := handle.Describe(s.ctx)
		return err == nil && described.Schedule.State.Paused && len(described.Info.RunningWorkflows) == 0
	}, patience, 100*time.Millisecond, "the schedule rests")
}

// trigger runs the action of a schedule now, and returns its result and its details in the Web UI; this works while the schedule is paused, too.
func (s *stack) trigger(id string, result any) (details string) {
	s.t.Helper()
	handle := s.temporal.ScheduleClient().GetHandle(s.ctx, id)
	described, err := handle.Describe(s.ctx)
	require.NoError(s.t, err)
	require.Equal(s.t, time.Hour, described.Schedule.Spec.Intervals[0].Every)
	require.Equal(s.t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, described.Schedule.Policy.Overlap)
	before := described.Info.NumActions
	require.NoError(s.t, handle.Trigger(s.ctx, client.ScheduleTriggerOptions{}))
	var workflowID string
	require.Eventually(s.t, func() bool {
		described, err := handle.Describe(s.ctx)
		if err != nil || described.Info.NumActions <= before {
			return false
		}
		workflowID = described.Info.RecentActions[len(described.Info.RecentActions)-1].StartWorkflowResult.WorkflowID
		return true
	}, patience, 100*time.Millisecond, "the schedule runs its action")
	require.True(s.t, strings.HasPrefix(workflowID, id), workflowID)
	require.NoError(s.t, s.temporal.GetWorkflow(s.ctx, workflowID, "").Get(s.ctx, result))
	metadata, err := s.temporal.QueryWorkflow(s.ctx, workflowID, "", "__temporal_workflow_metadata")
	require.NoError(s.t, err)
	var shown sdk.WorkflowMetadata
	require.NoError(s.t, metadata.Get(&shown))
	return shown.GetCurrentDetails()
}

// TestReconcileReportsNoFalseViolations: orders of all kinds run, and there is no violation.
func TestReconcileReportsNoFalseViolations(t *testing.T) {
	s := newStack(t)
	s.ownNamespace()
	skus := s.skus()
	require.Equal(t, "completed", s.place(harness.NewOrder(skus[0], 1, "tok_visa")).Status)
	for round := range 3 {
		burst := s.underway(skus, rand.New(rand.NewPCG(5, uint64(round))), inFlight)
		found, content := s.reconcileOnce("--repair")
		require.Empty(t, found)
		require.True(t, content)
		for _, id := range burst.placed() {
			_, err := s.client.AwaitEnd(s.ctx, id)
			require.NoError(t, err)
		}
	}
	s.audit()
}
