package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// unpaid places an order whose payer does not pay in time, and waits for its end.
func (s *stack) unpaid(sku, method string) string {
	s.t.Helper()
	placed, err := s.client.Place(s.ctx, harness.NewOrder(sku, 2, method), 0)
	require.NoError(s.t, err)
	s.ends(placed.ID, "failed", "payment_timeout")
	return placed.ID
}

// pays publishes payment.succeeded: one event, so many times.
func (s *stack) pays(orderID, eventID string, times int) {
	s.t.Helper()
	for range times {
		e := harness.Event(eventID, "payment.succeeded", orderID, map[string]any{"orderId": orderID})
		require.NoError(s.t, s.bus.PublishJSON(s.ctx, harness.Exchange, "payment.succeeded", "application/cloudevents+json", e))
	}
}

// awaitLate waits until the stream of late events of an order has an event.
func (s *stack) awaitLate(orderID, eventType string) []audit.Document {
	s.t.Helper()
	return s.awaitStream("late-"+orderID, eventType)
}

// lateTypes lists the types in the stream of late events of an order.
func lateTypes(stream []audit.Document) []string {
	var types []string
	for _, d := range stream {
		types = append(types, d.Type)
	}
	return types
}

var givenBack = []string{"event.late", "payment.arrived_late", "payment.refunded"}

// TestMoneyThatComesTooLate: late money is refunded once, although its event is repeated and the service is killed.
func TestMoneyThatComesTooLate(t *testing.T) {
	s := newStack(t)
	first := s.start("PAYMENT_PENDING_DEADLINE=1s")
	sku := s.sku(100)
	one, killed := s.unpaid(sku, "tok_pending"), s.unpaid(sku, "tok_pending")

	s.pays(one, "evt-one", 1)
	require.Equal(t, givenBack, lateTypes(s.awaitLate(one, "payment.refunded")))

	s.pays(killed, "evt-killed", 5)
	first.Kill()
	s.start("PAYMENT_PENDING_DEADLINE=1s")
	s.pays(killed, "evt-killed", 2)
	stream := s.awaitLate(killed, "payment.refunded")
	require.Equal(t, givenBack, lateTypes(stream))

	report := s.audit()
	for _, id := range []string{one, killed} {
		require.Equal(t, []string{"event.late", "payment.arrived_late", "payment.refunded"}, lateTypes(report.Streams["late-"+id]))
		require.Zero(t, report.Net[id])
		refunds := 0
		for _, d := range report.Streams["payment-"+id] {
			if d.Type == "charge.refunded" {
				refunds++
			}
		}
		require.Equal(t, 1, refunds)
		s.published(report, id)
	}
	require.Empty(t, report.Late)
}

// TestLateEventsNeedAttention: a stuck refund and dispatched goods need attention, and are resolved over REST and
// from a terminal.
func TestLateEventsNeedAttention(t *testing.T) {
	s := newStack(t)
	s.ownNamespace("PAYMENT_PENDING_DEADLINE=1s", earlyAttention)
	sku := s.sku(100)
	byREST, byCLI := s.unpaid(sku, "tok_late_refund_stuck"), s.unpaid(sku, "tok_late_refund_stuck")
	s.pays(byREST, "evt-rest", 1)
	s.pays(byCLI, "evt-cli", 1)
	goods := s.ship(sku, "tok_visa")
	response, err := s.client.Cancel(s.ctx, goods, "too slow")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.Status)
	s.ends(goods, "cancelled", "requested")
	s.carrier("shipment.dispatched", goods)

	item, err := s.client.AwaitStuck(s.ctx, byREST, "refund")
	require.NoError(t, err)
	require.Equal(t, []string{"retry", "skip", "substitute"}, item.Actions)
	require.Contains(t, item.Error, "does not refund")
	s.refused(byREST, "allowed actions are retry, skip and substitute", harness.Decision{Action: "compensate"})
	d := harness.Decision{Action: "substitute", By: "ada", Reference: "transfer 4711"}
	s.resolve(byREST, d)
	s.resolve(byREST, d)
	require.Equal(t, "failed", must(s.client.Order(s.ctx, byREST)).Status, "the order stays as it ended")

	_, err = s.client.AwaitStuck(s.ctx, byCLI, "refund")
	require.NoError(t, err)
	var out string
	require.Eventually(t, func() bool {
		out, err = s.cli("attention")
		return err == nil && strings.Contains(out, byCLI) && !strings.Contains(out, byREST)
	}, patience, tick, "%s", &out)
	out, err = s.cli("resolve", byCLI, "--action", "skip", "--note", "the customer ordered again")
	require.NoError(t, err, out)
	require.Contains(t, out, "it is failed")

	item, err = s.client.AwaitStuck(s.ctx, goods, "dispatch")
	require.NoError(t, err)
	require.Equal(t, []string{"skip", "substitute"}, item.Actions)
	s.resolve(goods, harness.Decision{Action: "substitute", By: "ada", Reference: "they came back", Attention: item.Attention})
	s.refused(goods, "the order has ended: it is cancelled", harness.Decision{Action: "skip", Note: "again"})

	for _, id := range []string{byREST, byCLI, goods} {
		s.awaitLate(id, "order.attention_resolved")
		s.showsSaga("late-payment", id, "completed")
	}
	report := s.audit()
	require.Empty(t, report.Late)
	require.Len(t, report.Exceptions, 2, "the money is still there")
	s.nothingNeedsAttention()
	out, err = s.cli("rebuild")
	require.NoError(t, err, out)
	require.Contains(t, out, "3 late streams, 3 documents written")
	out, err = s.cli("reconcile")
	require.NoError(t, err, out)
	require.Contains(t, out, "exception_on_record")
}

// showsSaga checks a saga of a flow without an end in /v1/sagas: its list entry, its resource, its events, and that it cannot be cancelled.
func (s *stack) showsSaga(flow, id, status string) {
	s.t.Helper()
	type saga struct {
		Flow, ID, Status string
		Steps            []struct{ Name, State string }
	}
	path := "/v1/sagas/" + flow + "/" + id
	var one saga
	response, err := s.client.Do(s.ctx, http.MethodGet, path, nil)
	require.NoError(s.t, err)
	require.NoError(s.t, response.Into(http.StatusOK, &one))
	require.Equal(s.t, []string{flow, id, status}, []string{one.Flow, one.ID, one.Status})
	require.NotEmpty(s.t, one.Steps)
	require.Eventually(s.t, func() bool {
		response, err := s.client.Do(s.ctx, http.MethodGet, "/v1/sagas?limit=500&flow="+flow+"&status="+status, nil)
		var list struct{ Items []saga }
		return err == nil && response.Into(http.StatusOK, &list) == nil &&
			slices.ContainsFunc(list.Items, func(item saga) bool { return item.ID == id && item.Status == status })
	}, patience, tick)
	var events struct{ Items []struct{ Version int64 } }
	response, err = s.client.Do(s.ctx, http.MethodGet, path+"/events", nil)
	require.NoError(s.t, err)
	require.NoError(s.t, response.Into(http.StatusOK, &events))
	require.NotEmpty(s.t, events.Items)
	response, err = s.client.Do(s.ctx, http.MethodPost, path+"/cancellation", map[string]string{})
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusConflict, response.Status, "%s", response.Body)
	require.Contains(s.t, string(response.Body), "sagas of the flow "+flow+" cannot be cancelled")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestALateSagaThatWasTerminated: reconcile starts the saga again.
func TestALateSagaThatWasTerminated(t *testing.T) {
	s := newStack(t)
	s.ownNamespace("PAYMENT_PENDING_DEADLINE=1s", earlyAttention)
	id := s.unpaid(s.sku(10), "tok_late_refund_stuck")
	s.pays(id, "evt-1", 1)
	_, err := s.client.AwaitStuck(s.ctx, id, "refund")
	require.NoError(t, err)
	require.NoError(t, s.temporal.TerminateWorkflow(s.ctx, "late-"+id, "", "by accident"))
	out, err := s.cli("reconcile")
	require.Error(t, err, out)
	require.Contains(t, out, "late_unsettled")
	require.NotContains(t, out, "money_wrong")
	out, err = s.cli("reconcile", "--repair")
	require.NoError(t, err, out)
	require.Contains(t, out, "started a run that handles it")
	s.resolve(id, harness.Decision{Action: "skip", By: "ada", Note: "kept"})
	s.awaitLate(id, "order.attention_resolved")
	out, err = s.cli("reconcile")
	require.NoError(t, err, out)

	// An intervention for a saga without a run starts one.
	id = s.unpaid(s.sku(10), "tok_late_refund_stuck")
	s.pays(id, "evt-2", 1)
	_, err = s.client.AwaitStuck(s.ctx, id, "refund")
	require.NoError(t, err)
	require.NoError(t, s.temporal.TerminateWorkflow(s.ctx, "late-"+id, "", "by accident"))
	s.resolve(id, harness.Decision{Action: "skip", By: "ada", Note: "kept"})
	s.awaitLate(id, "order.attention_resolved")
	require.Empty(t, s.audit().Late)
}
