package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// earlyAttention makes stuck steps need attention soon. A slow step must not need attention: the tests count attentions, and the next
// attempt would come after a minute.
const earlyAttention = "ATTENTION_AFTER=8s"

// resolved is the data of an event that records an intervention.
type resolved struct {
	Attention                         int
	Step, Action, By, Note, Reference string
	Undo                              bool
}

// find returns the first event of a type.
func find(t *testing.T, items []harness.Item, eventType string) harness.Item {
	t.Helper()
	i := slices.IndexFunc(items, func(item harness.Item) bool { return item.Type == eventType })
	require.GreaterOrEqual(t, i, 0, "there is no %s", eventType)
	return items[i]
}

// decision returns the data of the first event of a type.
func (s *stack) decision(orderID, eventType string) resolved {
	s.t.Helper()
	items, err := s.client.Timeline(s.ctx, orderID)
	require.NoError(s.t, err)
	var r resolved
	require.NoError(s.t, json.Unmarshal(find(s.t, items, eventType).Data, &r))
	return r
}

// resolve sends an intervention over REST.
func (s *stack) resolve(orderID string, d harness.Decision) {
	s.t.Helper()
	response, err := s.client.Resolve(s.ctx, orderID, d)
	require.NoError(s.t, err)
	require.NoError(s.t, response.Into(http.StatusOK, nil))
}

// settle resolves each stuck step of an order, until it has ended. Two stuck steps need attention in turn.
func (s *stack) settle(orderID string, decisions map[string]harness.Decision) {
	s.t.Helper()
	for {
		r, err := s.client.AwaitStatus(s.ctx, orderID, "needs_attention", "cancelled")
		require.NoError(s.t, err)
		if r.Status == "cancelled" {
			return
		}
		items, err := s.client.Attention(s.ctx)
		require.NoError(s.t, err)
		for _, item := range items {
			if item.ID != orderID {
				continue
			}
			d := decisions[item.Step]
			d.Attention = item.Attention
			response, err := s.client.Resolve(s.ctx, orderID, d)
			require.NoError(s.t, err)
			require.Contains(s.t, []int{http.StatusOK, http.StatusConflict}, response.Status, "it is decided, or something else is stuck by now")
		}
	}
}

// refused sends an intervention over REST and requires that it is refused with a reason.
func (s *stack) refused(orderID, why string, d harness.Decision) {
	s.t.Helper()
	response, err := s.client.Resolve(s.ctx, orderID, d)
	require.NoError(s.t, err)
	var p harness.Problem
	require.NoError(s.t, response.Into(http.StatusConflict, &p))
	require.Equal(s.t, "resolution_refused", p.Code)
	require.Contains(s.t, p.Detail, why)
}

// cli runs a command on the test's database.
func (s *stack) cli(args ...string) (string, error) {
	s.t.Helper()
	return command(s.t, append(environ(), "MONGODB_DATABASE="+s.database, "TEMPORAL_NAMESPACE="+s.namespace, "USER=grace"), args...)
}

// printed runs a command that must succeed and returns its output without log lines.
func (s *stack) printed(args ...string) string {
	s.t.Helper()
	return printed(s.t, append(environ(), "MONGODB_DATABASE="+s.database, "TEMPORAL_NAMESPACE="+s.namespace, "USER=grace"), args...)
}

// ship places a shipment order and waits until it is at the warehouse.
func (s *stack) ship(sku, method string) string {
	s.t.Helper()
	o := harness.NewOrder(sku, 2, method)
	o.Fulfillment = "shipment"
	placed, err := s.client.Place(s.ctx, o, 0)
	require.NoError(s.t, err)
	_, err = s.client.AwaitStatus(s.ctx, placed.ID, "awaiting_shipment")
	require.NoError(s.t, err)
	return placed.ID
}

func (s *stack) carrier(eventType, orderID string) {
	s.t.Helper()
	_, err := s.bus.Publish(s.ctx, eventType, orderID, map[string]any{"orderId": orderID, "carrier": "dhl"})
	require.NoError(s.t, err)
}

func (s *stack) ends(orderID, status, reason string) {
	s.t.Helper()
	end, err := s.client.AwaitEnd(s.ctx, orderID)
	require.NoError(s.t, err)
	require.Equal(s.t, status, end.Status)
	require.Equal(s.t, reason, end.Reason)
}

// nothingNeedsAttention waits until the attention list is empty. It follows the log, and does not wait for it.
func (s *stack) nothingNeedsAttention() {
	s.t.Helper()
	var out string
	require.Eventually(s.t, func() bool {
		var err error
		out, err = s.cli("attention")
		return err == nil && out == "nothing needs attention\n"
	}, patience, tick, "%s", &out)
}

// TestAttentionIsResolved: stuck steps are listed, interventions over REST and from a terminal resolve them, and the events of the order record it.
func TestAttentionIsResolved(t *testing.T) {
	s := newStack(t)
	s.start(earlyAttention)
	sku := s.sku(100)

	voids := s.ship(sku, "tok_void_stuck")
	response, err := s.client.Cancel(s.ctx, voids, "ordered twice")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.Status)
	place := func() string {
		placed, err := s.client.Place(s.ctx, harness.NewOrder(sku, 2, "tok_capture_stuck"), 0)
		require.NoError(t, err)
		return placed.ID
	}
	back, forward := place(), place()
	lost := s.ship(sku, "tok_visa")
	s.carrier("shipment.lost", lost)

	t.Run("a void by REST", func(t *testing.T) {
		item, err := s.client.AwaitStuck(s.ctx, voids, "authorize")
		require.NoError(t, err)
		require.True(t, item.Undo)
		require.NotEmpty(t, item.Error)
		require.Equal(t, []string{"retry", "skip", "substitute"}, item.Actions)
		require.Equal(t, "/v1/orders/"+voids+"/resolutions", item.Links["resolutions"])
		s.refused(voids, "a compensation is stuck: allowed actions are retry, skip and substitute", harness.Decision{Action: "compensate"})
		s.resolve(voids, harness.Decision{Action: "retry", By: "ada"})
		_, err = s.client.AwaitStatus(s.ctx, voids, "needs_attention")
		require.NoError(t, err, "it is as stuck as before")
		d := harness.Decision{Action: "substitute", By: "ada", Reference: "console-4711", Note: "voided in the provider's console"}
		s.resolve(voids, d)
		s.ends(voids, "cancelled", "requested")
		require.Equal(t, resolved{
			Attention: 1, Step: "authorize", Undo: true, Action: "substitute", By: "ada",
			Reference: "console-4711", Note: "voided in the provider's console",
		}, s.decision(voids, "order.step_substituted"))
		require.Equal(t, "ada", s.decision(voids, "order.step_retried").By)
		s.resolve(voids, d)
		s.refused(voids, "the order has ended: it is cancelled", harness.Decision{Action: "retry"})
	})
	t.Run("a capture from a terminal, turned back", func(t *testing.T) {
		_, err := s.client.AwaitStuck(s.ctx, back, "capture")
		require.NoError(t, err)
		out, err := s.cli("attention")
		require.NoError(t, err, out)
		require.Contains(t, out, back)
		require.Contains(t, out, "retry skip substitute compensate")
		out, err = s.cli("resolve", back, "--action", "compensate", "--note", "the customer would not wait", "--by", "linus")
		require.NoError(t, err, out)
		s.ends(back, "failed", "capture_unavailable")
		require.Equal(t, "linus", s.decision(back, "order.compensating").By)
	})
	t.Run("a capture from a terminal, skipped", func(t *testing.T) {
		_, err := s.client.AwaitStuck(s.ctx, forward, "capture")
		require.NoError(t, err)
		out, err := s.cli("resolve", forward, "--action", "skip")
		require.Error(t, err)
		require.Contains(t, out, "say why the step is skipped")
		out, err = s.cli("resolve", forward, "--action", "skip", "--note", "paid in cash", "--attention", "2")
		require.Error(t, err)
		require.Contains(t, out, "attention 2 is not open")
		out, err = s.cli("resolve", forward, "--action", "skip", "--note", "paid in cash")
		require.NoError(t, err, out)
		s.ends(forward, "completed", "")
		require.Equal(t, resolved{Attention: 1, Step: "capture", Action: "skip", By: "grace", Note: "paid in cash"},
			s.decision(forward, "order.step_skipped"))
		out, err = s.cli("resolve", forward, "--action", "retry")
		require.Error(t, err)
		require.Contains(t, out, "refused: the order has ended: it is completed")
		out, err = s.cli("resolve", "unknown", "--action", "retry")
		require.Error(t, err)
		require.Contains(t, out, "order unknown does not exist")
	})
	t.Run("a lost parcel", func(t *testing.T) {
		item, err := s.client.AwaitStuck(s.ctx, lost, "deliver")
		require.NoError(t, err)
		require.Equal(t, []string{"skip", "substitute", "refund", "resend"}, item.Actions)
		s.refused(lost, `allowed actions are skip, substitute, refund and resend, not "retry"`, harness.Decision{Action: "retry"})
		out := s.printed("attention", "--json")
		var lines []struct{ ID, Step string }
		require.NoError(t, json.Unmarshal([]byte(out), &lines), out)
		require.Contains(t, lines, struct{ ID, Step string }{lost, "deliver"})
		s.resolve(lost, harness.Decision{Action: "substitute", By: "ada", Reference: "sent again as shop-1002"})
		s.ends(lost, "completed", "")
	})
	t.Run("goods that left after the cancellation", func(t *testing.T) {
		id := s.ship(sku, "tok_void_stuck")
		_, err := s.client.Cancel(s.ctx, id, "")
		require.NoError(t, err)
		_, err = s.client.AwaitStuck(s.ctx, id, "authorize")
		require.NoError(t, err)
		s.carrier("shipment.dispatched", id)
		_, err = s.tap.Await(s.ctx, id, func(m []harness.Message) bool {
			return slices.ContainsFunc(m, func(m harness.Message) bool { return strings.Contains(string(m.Data), `"step":"dispatch"`) })
		})
		require.NoError(t, err)
		s.settle(id, map[string]harness.Decision{
			"dispatch":  {Action: "skip", By: "ada", Note: "a gift"},
			"authorize": {Action: "substitute", By: "ada", Reference: "console-4712"},
		})
		s.ends(id, "cancelled", "requested")
		require.Equal(t, "console-4712", s.decision(id, "order.step_substituted").Reference)
		require.Equal(t, "a gift", s.decision(id, "order.step_skipped").Note)
	})

	report := s.audit()
	for _, id := range []string{voids, back, forward, lost} {
		s.published(report, id)
	}
	s.nothingNeedsAttention()
	out, err := s.cli("rebuild")
	require.NoError(t, err, out)
	require.False(t, strings.Contains(out, "damaged") && !strings.Contains(out, "0 streams damaged"), out)
	out, err = s.cli("rebuild", "--dry-run")
	require.NoError(t, err, out)
	require.Contains(t, out, " order streams, 0 documents differ, 0 to remove", out)
}

// TestADecisionWithoutAWorkerOrARun: an intervention requires a worker, but not the run that needs attention.
func TestADecisionWithoutAWorkerOrARun(t *testing.T) {
	s := newStack(t)
	first := s.start(earlyAttention)
	sku := s.sku(10)
	placed, err := s.client.Place(s.ctx, harness.NewOrder(sku, 2, "tok_capture_stuck"), 0)
	require.NoError(t, err)
	_, err = s.client.AwaitStuck(s.ctx, placed.ID, "capture")
	require.NoError(t, err)
	require.NoError(t, s.temporal.TerminateWorkflow(s.ctx, "order-"+placed.ID, "", "by accident"))

	// An API process without workers cannot execute a resolution.
	first.Kill()
	api, err := harness.Start(s.ctx, harness.Options{Binary: binary, Role: "api", Env: []string{"MONGODB_DATABASE=" + s.database, "RECONCILE_EVERY=0"}})
	require.NoError(t, err)
	defer api.Kill()
	d := harness.Decision{Action: "skip", By: "ada", Note: "paid in cash"}
	response, err := harness.Client{URL: api.URL}.Resolve(s.ctx, placed.ID, d)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, response.Status, string(response.Body))

	s.start(earlyAttention)
	s.resolve(placed.ID, d)
	s.ends(placed.ID, "completed", "")
	report := s.audit()
	count := 0
	for _, eventType := range report.Timeline(placed.ID) {
		if eventType == "order.step_skipped" {
			count++
		}
	}
	require.Equal(t, 1, count)
}
