package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// The log of an older version, with orders over REST, with idempotency keys, and by events whose lines were merged.
const (
	placedFile = "testdata/upgrade/placed.json.gz"
	placedBy   = "testdata/upgrade/placed.json"
)

// recordedOrder has how an order of that log was placed: over REST with a key, or by an event.
type recordedOrder struct {
	ID      string        `json:"id"`
	Key     string        `json:"key,omitempty"`
	EventID string        `json:"eventId,omitempty"`
	Body    harness.Order `json:"body"`
	// Status is that of the order when it was recorded.
	Status string `json:"status"`
}

// other is the order with other content.
func (o recordedOrder) other() harness.Order {
	other := o.Body
	other.Lines = append([]harness.Line{{SKU: "another", Quantity: 1, UnitAmount: 1}}, o.Body.Lines...)
	return other
}

// TestRecordPlaced records a log for TestOrdersPlacedBeforeAnUpgrade. It is run by hand; see TestRecordUpgrade.
func TestRecordPlaced(t *testing.T) {
	useOldBinary(t)
	s := newStack(t)
	s.start(append([]string{"TEMPORAL_NAMESPACE=" + s.registerNamespace()}, neverLate...)...)
	var orders []recordedOrder
	for name, shape := range map[string]func(*harness.Order){
		"completed": func(*harness.Order) {},
		"declined":  func(o *harness.Order) { o.Payment.Method = "tok_declined" },
		"merged": func(o *harness.Order) {
			o.Lines = append(o.Lines, harness.Line{SKU: "other", Quantity: 1, UnitAmount: 5}, o.Lines[0])
		},
		"shipment": func(o *harness.Order) { o.Fulfillment = "shipment" },
	} {
		for _, byEvent := range []bool{false, true} {
			o := harness.NewOrder("sku-"+name, 2, "tok_visa")
			shape(&o)
			for _, l := range o.Lines {
				require.NoError(t, s.client.Receive(s.ctx, l.SKU, 10))
			}
			r := recordedOrder{Key: "checkout/" + name, Body: o}
			if byEvent {
				r.Key, r.ID = "", "placed-"+name
				r.Body.ID = r.ID
				var err error
				r.EventID, err = s.bus.Publish(s.ctx, "order.created", r.ID, r.Body)
				require.NoError(t, err)
			} else {
				placed, err := s.client.Place(s.ctx, r.Body, 0, "Idempotency-Key", r.Key)
				require.NoError(t, err)
				r.ID = placed.ID
			}
			end, err := s.client.AwaitStatus(s.ctx, r.ID, "completed", "rejected", "awaiting_shipment")
			require.NoError(t, err)
			r.Status = end.Status
			orders = append(orders, r)
		}
	}
	s.service.Kill()
	s.writeDump(placedFile, s.readDatabase())
	raw, err := json.MarshalIndent(orders, "", " ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(placedBy, append(raw, '\n'), 0o644))
}

// TestOrdersPlacedBeforeAnUpgrade: orders of an older version are placed again, as by clients without an answer and brokers without an
// acknowledgement. Each request returns the existing order and has no further effect; other content is refused. Open orders continue.
func TestOrdersPlacedBeforeAnUpgrade(t *testing.T) {
	s := newStack(t)
	recorded := s.restoreDump(placedFile)
	var orders []recordedOrder
	raw, err := os.ReadFile(placedBy)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &orders))
	s.ownNamespace("SHIPMENT_DEADLINE=6d")

	before, err := audit.Run(s.ctx, s.db)
	require.NoError(t, err)
	require.Empty(t, before.Violations)
	for _, o := range orders {
		s.placedAgain(o)
		s.placedOtherwise(o)
	}
	// A run that continues an open order repeats no step.
	for _, o := range orders {
		if isEnd(o.Status) {
			continue
		}
		s.carrier("shipment.dispatched", o.ID)
		_, err := s.client.AwaitStatus(s.ctx, o.ID, "shipped")
		require.NoError(t, err)
		s.carrier("shipment.delivered", o.ID)
		_, err = s.client.AwaitStatus(s.ctx, o.ID, "completed")
		require.NoError(t, err)
	}
	var found []string
	require.Eventually(t, func() bool {
		var content bool
		found, content = s.reconcile("--stale", "1s")
		return content
	}, patience, 10*tick, "everything holds: %v", &found)
	after := s.audit()
	require.Len(t, after.Orders, len(orders))
	for _, o := range orders {
		if !isEnd(o.Status) {
			require.Equal(t, 1, after.Authorizations[o.ID])
			require.Equal(t, "order.completed", after.Orders[o.ID])
			continue
		}
		require.Equal(t, before.Streams["order-"+o.ID], after.Streams["order-"+o.ID])
		require.Equal(t, before.Streams["payment-"+o.ID], after.Streams["payment-"+o.ID])
	}
	s.unchanged(recorded)
}

// placedAgain places an order again with the same content and requires that it is the same order.
func (s *stack) placedAgain(o recordedOrder) {
	s.t.Helper()
	if o.Key == "" {
		require.NoError(s.t, s.bus.PublishJSON(s.ctx, harness.Exchange, "order.created", "application/cloudevents+json",
			harness.Event(o.EventID, "order.created", o.ID, o.Body)))
		return
	}
	response, err := s.client.Do(s.ctx, http.MethodPost, "/v1/orders", o.Body, "Idempotency-Key", o.Key)
	require.NoError(s.t, err)
	var again harness.Resource
	require.NoError(s.t, response.Into(http.StatusAccepted, &again))
	require.Equal(s.t, o.ID, again.ID, o.Key)
	require.Equal(s.t, o.Status, again.Status, o.Key)
	require.Equal(s.t, "true", response.Header.Get("Idempotent-Replayed"), o.Key)
	s.replayedByID(o)
}

// replayedByID places an order again over REST by its ID.
func (s *stack) replayedByID(o recordedOrder) {
	s.t.Helper()
	o.Body.ID = "" // order.created has it as orderId, REST as id
	response, err := s.client.Do(s.ctx, http.MethodPost, "/v1/orders", withID{o.ID, o.Body})
	require.NoError(s.t, err)
	var again harness.Resource
	require.NoError(s.t, response.Into(http.StatusAccepted, &again), o.ID)
	require.Equal(s.t, o.ID, again.ID)
	require.Equal(s.t, "true", response.Header.Get("Idempotent-Replayed"), o.ID)
}

// withID is the body of an order whose ID the client chooses.
type withID struct {
	ID string `json:"id"`
	harness.Order
}

// placedOtherwise places other content with the identity of an order and requires that it is refused.
func (s *stack) placedOtherwise(o recordedOrder) {
	s.t.Helper()
	other := o.other()
	if o.Key == "" {
		id := uuid.NewString()
		require.NoError(s.t, s.bus.PublishJSON(s.ctx, harness.Exchange, "order.created", "application/cloudevents+json",
			harness.Event(id, "order.created", o.ID, other)))
		dead, err := s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.EventID == id })
		require.NoError(s.t, err)
		require.Equal(s.t, "conflict", dead.Reason)
		return
	}
	response, err := s.client.Do(s.ctx, http.MethodPost, "/v1/orders", other, "Idempotency-Key", o.Key)
	require.NoError(s.t, err)
	var problem harness.Problem
	require.NoError(s.t, response.Into(http.StatusUnprocessableEntity, &problem))
	require.Equal(s.t, "idempotency_conflict", problem.Code)
	response, err = s.client.Do(s.ctx, http.MethodPost, "/v1/orders", withID{o.ID, other})
	require.NoError(s.t, err)
	require.NoError(s.t, response.Into(http.StatusConflict, &problem))
	require.Equal(s.t, "conflict", problem.Code)
}
