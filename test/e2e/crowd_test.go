package e2e

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/ordersaga/ordersaga/test/harness"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// crowd is how many callers there are: some by default, thousands with ORDERSAGA_LONG.
func crowd(some, thousands int) int {
	if os.Getenv("ORDERSAGA_LONG") != "" {
		return thousands
	}
	return some
}

// each does something n times, inFlight at a time.
func each(n, inFlight int, do func(i int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range inFlight {
		workers.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}

// longReason is as long as a reason may be.
var longReason = strings.Repeat("too slow ", 500/9)

// documents counts the events of a stream, of a type if one is given.
func (s *stack) documents(stream, eventType string) int64 {
	s.t.Helper()
	filter := bson.D{{Key: "stream", Value: stream}}
	if eventType != "" {
		filter = append(filter, bson.E{Key: "type", Value: eventType})
	}
	n, err := s.db.Collection("events").CountDocuments(s.ctx, filter)
	require.NoError(s.t, err)
	return n
}

// shipped places an order and has its goods dispatched: it waits for its delivery then.
func (s *stack) shipped(sku string) string {
	s.t.Helper()
	id := s.ship(sku, "tok_visa")
	s.carrier("shipment.dispatched", id)
	require.Eventually(s.t, func() bool { return s.documents("order-"+id, "inventory.committed") == 1 }, patience, tick)
	return id
}

// oneRefusal delivers the goods and requires that the order completes with one refusal, and that every event is on the bus.
func (s *stack) oneRefusal(id string) {
	s.t.Helper()
	s.carrier("shipment.delivered", id)
	s.ends(id, "completed", "")
	report := s.audit()
	var types []string
	for _, d := range report.Streams["order-"+id] {
		types = append(types, d.Type)
	}
	require.Equal(s.t, []string{
		"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.shipped", "order.settling",
		"payment.captured", "inventory.committed", "order.cancellation_refused", "order.delivered", "order.completed",
	}, types)
	s.published(report, id)
}

// history is the number of events and bytes of the newest run of an order.
func (s *stack) history(id string) (events, bytes int64) {
	s.t.Helper()
	d, err := s.temporal.DescribeWorkflowExecution(s.ctx, "order-"+id, "")
	require.NoError(s.t, err)
	return d.GetWorkflowExecutionInfo().GetHistoryLength(), d.GetWorkflowExecutionInfo().GetHistorySizeBytes()
}

// TestACrowdCancelsAShippedOrder: many callers cancel a shipped order over REST, each with its own key. Each request is refused, the log has one
// refusal, the run stays small, and this order and others complete.
func TestACrowdCancelsAShippedOrder(t *testing.T) {
	s := newStack(t)
	s.ownNamespace()
	sku := s.sku(1000)
	id := s.shipped(sku)
	n := crowd(300, 5000)
	statuses := make([]int, n)
	began := time.Now()
	var others sync.WaitGroup
	done := make(chan struct{})
	var placed []time.Duration
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			at := time.Now()
			if o, err := s.client.Place(s.ctx, harness.NewOrder(sku, 1, "tok_visa"), longestWait); err != nil || o.Status != "completed" {
				t.Errorf("another order is %s: %v", o.Status, err)
				return
			}
			placed = append(placed, time.Since(at))
		}
	})
	// A machine that does not respond for some seconds causes some 503s: each request is repeated with its key.
	client := harness.Client{URL: s.client.URL, Patient: true}
	var again atomic.Int64
	each(n, 50, func(i int) {
		r, err := client.Do(s.ctx, http.MethodPost, "/v1/orders/"+id+"/cancellation", map[string]string{"reason": longReason}, "Idempotency-Key", uuid.NewString())
		if err != nil {
			t.Errorf("request %d: %v", i, err)
			return
		}
		statuses[i] = r.Status
		again.Add(int64(r.Tries - 1))
	})
	took := time.Since(began)
	close(done)
	others.Wait()
	for _, status := range statuses {
		require.Equal(t, http.StatusConflict, status)
	}
	events, bytes := s.history(id)
	t.Logf("%d cancellations in %s, %d of them sent again; history of %d events and %d bytes; %d other orders meanwhile, median %s", n,
		took.Round(time.Millisecond), again.Load(), events, bytes, len(placed), median(placed))
	require.Less(t, events, int64(1000))
	s.oneRefusal(id)
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2].Round(time.Millisecond)
}

// TestCancellationsAtOnce: many callers cancel a waiting order at once. One request cancels it, and every answer says that it is cancelled.
func TestCancellationsAtOnce(t *testing.T) {
	s := newStack(t)
	s.ownNamespace()
	sku := s.sku(1000)
	client := harness.Client{URL: s.client.URL, Patient: true}
	for range crowd(2, 20) {
		var again atomic.Int64
		id := s.ship(sku, "tok_visa")
		each(30, 30, func(i int) {
			r, err := client.Do(s.ctx, http.MethodPost, "/v1/orders/"+id+"/cancellation", map[string]string{"reason": longReason}, "Idempotency-Key", uuid.NewString())
			if err != nil || r.Status != http.StatusOK {
				t.Errorf("request %d: status %d, %v", i, r.Status, err)
			}
			again.Add(int64(max(r.Tries-1, 0)))
		})
		s.ends(id, "cancelled", "requested")
		report := s.audit()
		s.published(report, id)
		stream, messages := len(report.Streams["order-"+id]), s.tap.Count(id)
		t.Logf("%d events, %d messages, %d requests sent again", stream, messages, again.Load())
	}
}

// TestACrowdOfCancellationEvents: many cancellation events are acknowledged, recorded as one refusal, and leave no dead letter.
func TestACrowdOfCancellationEvents(t *testing.T) {
	s := newStack(t)
	s.ownNamespace()
	id := s.shipped(s.sku(10))
	n := crowd(300, 5000)
	began := time.Now()
	each(n, 50, func(i int) {
		_, err := s.bus.Publish(s.ctx, "order.cancellation_requested", id, map[string]any{"orderId": id, "reason": longReason + strconv.Itoa(i)})
		if err != nil {
			t.Errorf("event %d: %v", i, err)
		}
	})
	t.Logf("published in %s", time.Since(began).Round(time.Millisecond))
	s.consumed(n)
	events, bytes := s.history(id)
	t.Logf("%d cancellation events in %s; history of %d events and %d bytes", n, time.Since(began).Round(time.Millisecond), events, bytes)
	s.oneRefusal(id)
	letters, err := s.client.DeadLetters(s.ctx, "")
	require.NoError(t, err)
	require.Empty(t, letters)
}

// settledDelivery matches the metric that counts the messages of the inbox that were acknowledged or dead-lettered.
var settledDelivery = regexp.MustCompile(`(?m)^ordersaga_broker_deliveries_total\{outcome="(?:acknowledged|dead_lettered)",role="consumer"\} (\S+)$`)

// consumed waits until the inbox is empty and the service has handled at least n messages: unacknowledged messages are in no queue.
func (s *stack) consumed(n int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		r, err := s.client.Do(s.ctx, http.MethodGet, "/metrics", nil)
		if err != nil {
			return false
		}
		var done float64
		for _, found := range settledDelivery.FindAllStringSubmatch(string(r.Body), -1) {
			count, _ := strconv.ParseFloat(found[1], 64)
			done += count
		}
		if done < float64(n) {
			return false
		}
		for _, queue := range []string{"", ".wait.5s", ".wait.30s", ".wait.5m"} {
			if n, err := s.bus.Depth(harness.Inbox + queue); err != nil || n > 0 {
				return false
			}
		}
		return true
	}, testTimeout(), tick)
}

// TestACrowdOfLateEvents: each late event has an outcome, and late money is refunded once.
func TestACrowdOfLateEvents(t *testing.T) {
	s := newStack(t)
	s.ownNamespace("PAYMENT_PENDING_DEADLINE=1s")
	sku := s.sku(10)
	id := s.unpaid(sku, "tok_pending")
	// An event that arrives before the run has closed is a fact of the run, and facts are merged.
	require.NoError(t, s.temporal.GetWorkflow(s.ctx, "order-"+id, "").Get(s.ctx, nil))
	n := crowd(150, 5000)
	began := time.Now()
	each(n, 50, func(i int) {
		eventType := []string{"payment.failed", "shipment.lost", "order.cancellation_requested"}[i%3]
		if i%10 == 0 {
			eventType = "payment.succeeded"
		}
		e := harness.Event(fmt.Sprintf("late-%d", i), eventType, id, map[string]any{"orderId": id})
		if err := s.bus.PublishJSON(s.ctx, harness.Exchange, eventType, "application/cloudevents+json", e); err != nil {
			t.Errorf("event %d: %v", i, err)
		}
	})
	t.Logf("published in %s", time.Since(began).Round(time.Millisecond))
	require.Eventually(t, func() bool { return s.documents("late-"+id, "event.late") == int64(n) }, testTimeout(), tick)
	took := time.Since(began)
	paid := int64((n + 9) / 10)
	require.Eventually(t, func() bool {
		return s.documents("late-"+id, "payment.arrived_late")+s.documents("late-"+id, "payment.nothing_arrived") == paid
	}, testTimeout(), tick, "every payment is judged")
	t.Logf("%d late events in %s, %d payments judged in %s", n, took.Round(time.Millisecond), paid, time.Since(began).Round(time.Millisecond))
	require.EqualValues(t, 1, s.documents("late-"+id, "payment.refunded"))
}

// TestSignalsOutliveTheirRun: the acknowledged signals are larger than one payload, and the run is terminated before it has seen any of them.
// The new run has all of them.
func TestSignalsOutliveTheirRun(t *testing.T) {
	s := newStack(t)
	s.ownNamespace()
	id := s.ship(s.sku(10), "tok_visa")
	s.service.Kill()
	n := crowd(900, 3000)
	each(n, 16, func(i int) {
		hint := order.PaymentHint{ID: fmt.Sprintf("h-%d", i), Cause: fmt.Sprintf("h-%d", i), Code: strings.Repeat("x", 1500)}
		if err := s.temporal.SignalWorkflow(s.ctx, "order-"+id, "", order.SignalPayment, hint); err != nil {
			t.Errorf("signal %d: %v", i, err)
		}
	})
	delivered := order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "d-1", Cause: "d-1"}}
	require.NoError(t, s.temporal.SignalWorkflow(s.ctx, "order-"+id, "", order.SignalShipment, delivered))
	require.NoError(t, s.temporal.TerminateWorkflow(s.ctx, "order-"+id, "", "by accident"))
	began := time.Now()
	s.start("TEMPORAL_NAMESPACE=" + s.namespace)
	_, err := s.bus.Publish(s.ctx, "payment.failed", id, map[string]any{"orderId": id})
	require.NoError(t, err)
	s.ends(id, "completed", "")
	t.Logf("%d signals taken over, and the order completed, in %s", n, time.Since(began).Round(time.Millisecond))
	s.published(s.audit(), id)
}

// TestASignalThatNoRunTookOverIsFound: reconcile finds the signal and sends it again. The run that received it was terminated, and the next run
// was started without sagaclient.
func TestASignalThatNoRunTookOverIsFound(t *testing.T) {
	s := newStack(t)
	s.ownNamespace()
	id := s.ship(s.sku(10), "tok_visa")
	s.service.Kill()
	history := s.temporal.GetWorkflowHistory(s.ctx, "order-"+id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	first, err := history.Next()
	require.NoError(t, err)
	var in saga.Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in))
	delivered := order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "d-1", Cause: "d-1"}}
	require.NoError(t, s.temporal.SignalWorkflow(s.ctx, "order-"+id, "", order.SignalShipment, delivered))
	s.terminate(id)
	_, err = s.temporal.ExecuteWorkflow(s.ctx, client.StartWorkflowOptions{ID: "order-" + id, TaskQueue: saga.QueueOrders}, order.Flow.WorkflowType(), in)
	require.NoError(t, err)
	s.start("TEMPORAL_NAMESPACE=" + s.namespace)
	require.Eventually(t, func() bool {
		found, _ := s.reconcile()
		return slices.Contains(found, "signal_lost "+id)
	}, patience, time.Second)
	_, content := s.reconcileOnce("--repair")
	require.True(t, content)
	s.ends(id, "completed", "")
	require.Eventually(t, func() bool {
		_, content := s.reconcile()
		return content
	}, patience, time.Second)
}
