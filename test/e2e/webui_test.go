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

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestTheWebUITellsTheStory opens the pages of an order that completed and of one that was undone in the Temporal Web
// UI, in a headless browser, and looks for every step: what it is called, and what was done.
func TestTheWebUITellsTheStory(t *testing.T) {
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
			end := s.place(harness.NewOrder(s.sku(5), 2, c.method))
			require.Equal(t, c.status, end.Status)
			run := s.temporal.GetWorkflow(s.ctx, "order-"+end.ID, "")
			require.NoError(t, run.Get(s.ctx, nil))
			page := fmt.Sprintf("%s/namespaces/default/workflows/%s/%s", os.Getenv("TEMPORAL_UI_URL"), run.GetID(), run.GetRunID())
			for view, texts := range map[string][]string{"/history": c.history, "/user-metadata": c.details} {
				require.NoError(t, chromedp.Do(browser, chromedp.Navigate(page+view)))
				missing, err := look(browser, texts)
				require.NoError(t, err)
				require.Empty(t, missing, "%s does not say this", page+view)
			}
		})
	}
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
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1400, 3000),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))...)
	s.t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	s.t.Cleanup(cancel)
	require.NoError(s.t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	return ctx
}

// viewTimeout bounds how long a view of a page is looked at.
const viewTimeout = 30 * time.Second

// visible is the text of a page and of the frames in it: markdown is drawn in frames.
const visible = `[document, ...[...document.querySelectorAll("iframe")].map(f => f.contentDocument)].
	map(d => d && d.body ? d.body.innerText : "").join("\n")`

// look returns the texts that the page in the browser does not come to have. It is drawn by scripts, and nobody hears
// of it when they are done: it is looked at until everything is there, or the time is over.
func look(browser context.Context, texts []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(browser, viewTimeout)
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
