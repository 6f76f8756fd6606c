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

// TestTheWebUITellsTheStory opens the pages of an order that completed and of one that was undone in the Temporal Web
// UI, in a headless browser, and looks for every step: what it is called, and what was done.
func TestTheWebUITellsTheStory(t *testing.T) {
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
			// Every step ran inside the workflow task: what the page calls it is the summary of a marker.
			id := s.undisturbed(c.method, c.status)
			s.says(b, id, c.history, c.details)
		})
	}
}

// TestTheWebUIShowsWhatGoesRegular opens the page of an order while a step that failed inside its workflow task is being
// retried, and when the order has ended; and that of an order whose gateway is never called inside workflow tasks.
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
	// There are no markers of these: what the page calls them is the summary of the regular activities.
	regular := []string{"authorize the payment", "capture the payment"}
	away := s.undisturbed("tok_visa", "completed", regular...)
	s.says(b, away, append(regular, "reserve every line", "commit the stock"), []string{
		"✓ authorize: done", "✓ capture: done", "✓ complete: done",
	})
}

// mostOrders bounds how many orders are placed until one comes through undisturbed.
const mostOrders = 10

// undisturbed places an order that ends in a status, and of whose steps just these go regular. A step for which a busy machine
// takes longer than three seconds does so, too: then another order is placed.
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
	require.Equal(s.t, regular, went, "of %d orders none came through as it should", mostOrders)
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

// regular returns the summaries of the regular activities of an order's saga, but those that publish.
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
