package e2e

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/ordersaga/ordersaga/test/browser"
	"github.com/ordersaga/ordersaga/test/harness"
)

// TestTheWebUIShowsEveryStep opens the pages of a completed and of a compensated order in the Temporal Web UI, in a headless browser, and looks for
// the name and the result of every step.
func TestTheWebUIShowsEveryStep(t *testing.T) {
	s := newStack(t)
	b := browser.Start(s.ctx, t, 1400, 3000)
	s.start()
	for name, c := range map[string]struct {
		method, status string
		// history and details are what a reader must find in the two views.
		history, details []string
	}{
		"completed": {"tok_visa", "completed", []string{
			"open the order's stream", "reserve every line", "authorize the payment", "capture the payment", "commit the stock",
		}, []string{
			"✓ accept: done", "✓ reserve: done", "✓ authorize: done", "✓ decide: done", "✓ capture: done", "✓ commit: done", "✓ complete: done",
		}},
		"undone": {"tok_capture_refused", "rejected", []string{
			"reserve every line", "authorize the payment", "capture the payment", "undo: void the payment", "undo: release the stock",
		}, []string{
			"↩ reserve: undone", "↩ authorize: undone", "✗ capture: refused", "capture_refused",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			// Every step ran inside the workflow task: the page shows the summary of a marker.
			id := s.undisturbed(c.method, c.status)
			s.says(b, id, c.history, c.details)
		})
	}
}

// TestTheWebUIShowsWhatGoesRegular opens the page of an order while a step that failed inside its workflow task is retried as a regular activity,
// and after its end; and the page of an order whose gateway is only called with regular activities.
func TestTheWebUIShowsWhatGoesRegular(t *testing.T) {
	s := newStack(t)
	b := browser.Start(s.ctx, t, 1400, 3000)
	service := s.start("SIMULATOR_OUTAGE=10m", "AUTHORIZE_DEADLINE=10m")
	down, err := s.client.Place(s.ctx, harness.NewOrder(s.sku(5), 2, "tok_unavailable"), 0)
	require.NoError(t, err)
	s.awaitRetries(down.ID)
	s.says(b, down.ID, []string{"reserve every line", "authorize the payment"}, []string{
		"retrying: authorize the payment", "✓ reserve: done", "▶ authorize: now", "○ capture: to do",
	})
	answer, err := s.client.Cancel(s.ctx, down.ID, "enough")
	require.NoError(t, err)
	require.NoError(t, answer.Into(200, nil))
	s.ends(down.ID, "cancelled", "requested")
	require.NoError(t, s.temporal.GetWorkflow(s.ctx, "order-"+down.ID, "").Get(s.ctx, nil))
	s.says(b, down.ID, []string{"authorize the payment", "undo: void the payment", "undo: release the stock"},
		[]string{"↩ reserve: undone", "requested"})

	service.Kill()
	s.start("SIMULATOR_FAST=false")
	// These steps have no markers: the page shows the summaries of regular activities.
	regular := []string{"authorize the payment", "capture the payment"}
	away := s.undisturbed("tok_visa", "completed", regular...)
	s.says(b, away, append(regular, "reserve every line", "commit the stock"), []string{
		"✓ authorize: done", "✓ capture: done", "✓ complete: done",
	})
}

// mostOrders bounds the orders that are placed until one has exactly the expected regular activities.
const mostOrders = 10

// undisturbed places an order that ends in a status, with exactly these steps as regular activities. On a busy machine, a step that takes longer
// than three seconds becomes a regular activity, too: then another order is placed.
func (s *stack) undisturbed(method, status string, regular ...string) (orderID string) {
	s.t.Helper()
	var went []string
	for range mostOrders {
		end := s.place(harness.NewOrder(s.sku(5), 2, method))
		require.Equal(s.t, status, end.Status)
		require.NoError(s.t, s.temporal.GetWorkflow(s.ctx, "order-"+end.ID, "").Get(s.ctx, nil))
		if went = s.regular(end.ID); slices.Equal(regular, went) {
			return end.ID
		}
		s.t.Logf("order %s: %v went regular", end.ID, went)
	}
	require.Equal(s.t, regular, went, "none of %d orders had exactly the expected regular activities", mostOrders)
	return ""
}

// says opens the page of an order's saga, and wants both views to come to say all of it.
func (s *stack) says(b *browser.Browser, orderID string, history, details []string) {
	s.t.Helper()
	run := s.temporal.GetWorkflow(s.ctx, "order-"+orderID, "")
	page := fmt.Sprintf("%s/namespaces/default/workflows/%s/%s", os.Getenv("TEMPORAL_UI_URL"), run.GetID(), run.GetRunID())
	for view, texts := range map[string][]string{"/history": history, "/user-metadata": details} {
		b.Do(chromedp.Navigate(page + view))
		b.Says(texts...)
	}
}

// regular returns the summaries of the regular activities of an order's saga, except those that publish.
func (s *stack) regular(orderID string) (summaries []string) {
	s.t.Helper()
	for events := s.temporal.GetWorkflowHistory(s.ctx, "order-"+orderID, "", false, 0); events.HasNext(); {
		e, err := events.Next()
		require.NoError(s.t, err)
		if e.GetActivityTaskScheduledEventAttributes() == nil {
			continue
		}
		var summary string
		require.NoError(s.t, converter.GetDefaultDataConverter().FromPayload(e.GetUserMetadata().GetSummary(), &summary))
		if summary != "publish when the broker is back" {
			summaries = append(summaries, summary)
		}
	}
	return summaries
}
