package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestTheWebUIShowsEveryStep opens the pages of a completed and of a compensated order in the Temporal Web UI, in a headless browser, and looks for
// the name and the result of every step.
func TestTheWebUIShowsEveryStep(t *testing.T) {
	s := newStack(t)
	browser := s.browser()
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
			s.showsTexts(browser, id, c.history, c.details)
		})
	}
}

// TestTheWebUIShowsWhatGoesRegular opens the page of an order while a step that failed inside its workflow task is retried as a regular activity,
// and after its end; and the page of an order whose gateway is only called with regular activities.
func TestTheWebUIShowsWhatGoesRegular(t *testing.T) {
	s := newStack(t)
	browser := s.browser()
	service := s.start("SIMULATOR_OUTAGE=10m", "AUTHORIZE_DEADLINE=10m")
	down, err := s.client.Place(s.ctx, harness.NewOrder(s.sku(5), 2, "tok_unavailable"), 0)
	require.NoError(t, err)
	s.awaitRetries(down.ID)
	s.showsTexts(browser, down.ID, []string{"reserve every line", "authorize the payment"}, []string{
		"retrying: authorize the payment", "✓ reserve: done", "▶ authorize: now", "○ capture: to do",
	})
	answer, err := s.client.Cancel(s.ctx, down.ID, "enough")
	require.NoError(t, err)
	require.NoError(t, answer.Into(200, nil))
	s.ends(down.ID, "cancelled", "requested")
	require.NoError(t, s.temporal.GetWorkflow(s.ctx, "order-"+down.ID, "").Get(s.ctx, nil))
	s.showsTexts(browser, down.ID, []string{"authorize the payment", "undo: void the payment", "undo: release the stock"},
		[]string{"↩ reserve: undone", "requested"})

	service.Kill()
	s.start("SIMULATOR_FAST=false")
	// These steps have no markers: the page shows the summaries of regular activities.
	regular := []string{"authorize the payment", "capture the payment"}
	away := s.undisturbed("tok_visa", "completed", regular...)
	s.showsTexts(browser, away, append(regular, "reserve every line", "commit the stock"), []string{
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

// showsTexts opens the page of an order's saga and waits until both views show all of the texts.
func (s *stack) showsTexts(browser context.Context, orderID string, history, details []string) {
	s.t.Helper()
	run := s.temporal.GetWorkflow(s.ctx, "order-"+orderID, "")
	page := fmt.Sprintf("%s/namespaces/default/workflows/%s/%s", os.Getenv("TEMPORAL_UI_URL"), run.GetID(), run.GetRunID())
	for view, texts := range map[string][]string{"/history": history, "/user-metadata": details} {
		require.NoError(s.t, chromedp.Do(browser, chromedp.Navigate(page+view)))
		missing, err := look(browser, texts)
		require.NoError(s.t, err)
		require.Empty(s.t, missing, "%s does not say this", page+view)
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

// browser starts a headless browser.
func (s *stack) browser() context.Context {
	s.t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("ORDERSAGA_REQUIRE_BROWSER") != "" {
			s.t.Fatal("no Chromium is here; on Debian: apt-get install chromium")
		}
		s.t.Skip("no Chromium is here; on Debian: apt-get install chromium")
	}
	allocator, cancel := chromedp.NewExecAllocator(s.ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.WSURLReadTimeout(patience), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1400, 3000),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))...)
	s.t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	s.t.Cleanup(cancel)
	require.NoError(s.t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	return ctx
}

// visible is the text of a page and of its frames: Markdown is rendered in frames.
const visible = `[document, ...[...document.querySelectorAll("iframe")].map(f => f.contentDocument)].
	map(d => d && d.body ? d.body.innerText : "").join("\n")`

// look returns the texts that do not appear on the page in the browser. Scripts render the page and do not report when they have finished: look
// polls until all texts are there, or until a timeout.
func look(browser context.Context, texts []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(browser, patience)
	defer cancel()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for len(texts) > 0 {
		body, err := chromedp.Run(browser, chromedp.Evaluate[string](visible))
		if err != nil {
			return nil, err
		}
		texts = slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return strings.Contains(body, text) })
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return texts, nil
		}
	}
	return nil, nil
}
