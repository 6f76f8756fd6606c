// Package browser drives a headless Chromium in tests of pages: it opens and clicks, waits for what pages come to show, checks rules of
// accessibility with axe-core, and takes pictures.
//
// It imports chromedp and testify. axe-core is a file of its project (MPL 2.0), for tests only.
package browser

import (
	"bytes"
	"context"
	_ "embed" // axe-core
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

//go:embed axe/axe.min.js
var axe string

const (
	// patience is how long a page may take to show something.
	patience = 6 * time.Minute
	tick     = 50 * time.Millisecond
	// maxPicture bounds a picture in bytes.
	maxPicture = 150_000
)

// Browser is a headless browser.
type Browser struct {
	// Context is that of its tab, for chromedp.
	Context context.Context
	t       *testing.T
	url     string
}

// Start starts a browser, which ends with the test. Where there is none, the test is skipped, or fails if ORDERSAGA_REQUIRE_BROWSER is set.
func Start(ctx context.Context, t *testing.T, width, height int) *Browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("ORDERSAGA_REQUIRE_BROWSER") != "" {
			t.Fatal("no Chromium is here; on Debian: apt-get install chromium")
		}
		t.Skip("no Chromium is here; on Debian: apt-get install chromium")
	}
	allocator, cancel := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.WSURLReadTimeout(patience), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(width, height),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))...)
	t.Cleanup(cancel)
	tab, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &Browser{Context: tab, t: t}
	// The first call starts the browser, which ends with the context of that call.
	require.NoError(t, chromedp.Do(tab, chromedp.Navigate("about:blank"), recordViolations))
	return b
}

// At makes the addresses of Open relative to an origin.
func (b *Browser) At(url string) *Browser {
	b.url = url
	return b
}

// Do runs actions.
func (b *Browser) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, action := range actions {
		ctx, cancel := context.WithTimeout(b.Context, patience)
		err := chromedp.Do(ctx, action)
		cancel()
		require.NoError(b.t, err)
	}
}

// Open opens a page and checks it.
func (b *Browser) Open(path string) {
	b.t.Helper()
	b.Do(chromedp.Navigate(b.url + path))
	b.Shows("main")
	b.Check()
}

// Click clicks an element when it is shown, and checks the page that then shows another element.
func (b *Browser) Click(element, then string) {
	b.t.Helper()
	b.await(fmt.Sprintf(shown+" && (document.querySelector(%[1]q).click(), true)", element), element)
	b.Shows(then)
	b.Check()
}

// Enter enters a text into a field.
func (b *Browser) Enter(field, text string) {
	b.t.Helper()
	b.Shows(field)
	b.Do(chromedp.SendKeys(field, text))
}

// Run evaluates an expression in the page.
func (b *Browser) Run(expression string) string {
	b.t.Helper()
	result, err := chromedp.Run(b.Context, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	return result
}

// shown is an expression that is true when the page is loaded and shows an element.
const shown = `document.readyState === "complete" && !!document.querySelector(%[1]q)?.checkVisibility()`

// Shows waits until the page shows an element.
func (b *Browser) Shows(element string) {
	b.t.Helper()
	b.await(fmt.Sprintf(shown, element), element)
}

// Says waits until the page says some texts.
func (b *Browser) Says(texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		b.await(fmt.Sprintf(`(%s).includes(%q)`, visible, text), text)
	}
}

// visible is the text of a page and of the frames in it: markdown is drawn in frames.
const visible = `[document, ...[...document.querySelectorAll("iframe")].map(f => f.contentDocument)].
	map(d => d && d.body ? d.body.innerText : "").join("\n")`

// await waits until an expression is true. Nodes that chromedp has seen are gone when a script replaces them: the page itself is asked.
func (b *Browser) await(expression, wanted string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.Context, patience)
	defer cancel()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		// An error is one of a page that is being left.
		if found, err := chromedp.Run(b.Context, chromedp.Evaluate[bool](expression)); err == nil && found {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			body, _ := chromedp.Run(b.Context, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
			require.Fail(b.t, "the page does not show "+wanted, body)
		}
	}
}

// Check fails for a serious violation of a rule of accessibility, and for one of the content security policy.
func (b *Browser) Check() {
	b.t.Helper()
	require.Empty(b.t, b.Violations(), b.Run("location.href"))
	require.Empty(b.t, b.Run(`sessionStorage.getItem("violation") || ""`), "the content security policy is broken")
}

// Violations are the serious violations of rules of accessibility on the page, one a line.
func (b *Browser) Violations() string {
	b.t.Helper()
	b.Run(axe + `;""`)
	return b.Run(`axe.run({resultTypes: ["violations"]}).then(r => r.violations
		.filter(v => v.impact === "serious" || v.impact === "critical")
		.map(v => v.id + ": " + v.help + " " + v.nodes.slice(0, 3).map(n => n.html + " " + n.failureSummary).join(" | ")).join("\n"))`)
}

// recordViolations keeps the violations of the content security policy of all pages that follow.
func recordViolations(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
	_, err = cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `addEventListener("securitypolicyviolation", e => sessionStorage.setItem("violation", e.violatedDirective + " " + e.blockedURI + " " + e.sample))`,
	})
	return none, err
}

// Scheme sets what the browser prefers: light or dark.
func (b *Browser) Scheme(name string) {
	b.t.Helper()
	b.Do(func(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
		_, err = cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return none, err
	})
}

// Size sets the size of the window.
func (b *Browser) Size(width, height int64) {
	b.t.Helper()
	b.Do(chromedp.EmulateViewport(width, height))
}

// Fits checks that a page is not wider than the window.
func (b *Browser) Fits(width int) {
	b.t.Helper()
	wide, err := chromedp.Run(b.Context, chromedp.Evaluate[int](`document.documentElement.scrollWidth`))
	require.NoError(b.t, err)
	require.LessOrEqual(b.t, wide, width, b.Run("location.href"))
}

// Picture writes a picture of the window.
func (b *Browser) Picture(file string) {
	b.t.Helper()
	shot, err := chromedp.Run(b.Context, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	picture, err := png.Decode(bytes.NewReader(shot))
	require.NoError(b.t, err)
	var small bytes.Buffer
	require.NoError(b.t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, paletted(picture)))
	require.Less(b.t, small.Len(), maxPicture)
	require.NoError(b.t, os.WriteFile(file, small.Bytes(), 0o644))
}

// paletted is a picture in its 256 most frequent colours, which makes its file a third as large.
func paletted(picture image.Image) image.Image {
	counts := make(map[color.RGBA]int)
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int { return counts[b] - counts[a] })
	var colours color.Palette
	for _, c := range frequent[:min(len(frequent), 256)] {
		colours = append(colours, c)
	}
	small := image.NewPaletted(bounds, colours)
	draw.Draw(small, bounds, picture, bounds.Min, draw.Src)
	return small
}

// Await waits until an expression of JavaScript is true.
func (b *Browser) Await(expression string) {
	b.t.Helper()
	b.await(expression, expression)
}
