package browser_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/browser"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// A check that finds nothing on any page would be none.
func TestViolationsAreFound(t *testing.T) {
	b := browser.Start(t.Context(), t, 800, 600)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		_, _ = io.WriteString(w, `<!doctype html><html lang="en"><title>t</title><main><h1>t</h1><img src="/x.png"><p style="color: red">x</p></main>`)
	}))
	defer server.Close()
	b.Do(chromedp.Navigate(server.URL))
	b.Says("x")
	require.Contains(t, b.Violations(), "image-alt")
	require.Contains(t, b.Run(`sessionStorage.getItem("violation")`), "src")
}
