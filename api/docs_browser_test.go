package api_test

import (
	"net/http/httptest"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/browser"
)

// TestDocsInABrowser: the page of /docs shows every operation, sends a request, and keeps to its content security policy.
func TestDocsInABrowser(t *testing.T) {
	b := browser.Start(t.Context(), t, 1280, 900)
	f := newFixture(t)
	f.do("POST", "/v1/stock/tea/receipts", `{"quantity":7}`)
	server := httptest.NewServer(f.server)
	defer server.Close()
	b.Do(chromedp.Navigate(server.URL + "/docs"))
	b.Await(`document.querySelector("rapi-doc").shadowRoot?.querySelectorAll(".endpoint-head .path").length > 0`)
	doc, _ := specified()
	shown := b.Run(`[...document.querySelector("rapi-doc").shadowRoot.querySelectorAll(".endpoint-head .path")].map(e => e.textContent.trim()).join("\n")`)
	for path := range doc.Paths.Map() {
		require.Contains(t, shown, path)
	}

	// Open GET /v1/stock/{sku}, enter a SKU, and try it.
	b.Run(`[...document.querySelector("rapi-doc").shadowRoot.querySelectorAll(".endpoint-head")].find(e =>
		e.classList.contains("get") && e.querySelector(".path").textContent.trim() === "/v1/stock/{sku}").click(); ""`)
	const request = `document.querySelector("rapi-doc").shadowRoot.querySelector("[id='get-/v1/stock/-sku-'] api-request")?.shadowRoot`
	b.Await(request + `?.querySelector("[data-pname=sku]") != null`)
	b.Run(`(r => { r.querySelector("[data-pname=sku]").value = "tea"; r.querySelector("[part~=btn-try]").click(); return "" })(` + request + `)`)
	b.Await(`(r => /available\D*7/.test(r.textContent + [...r.querySelectorAll("*")].map(e => e.shadowRoot?.textContent ?? "").join()))(` + request + `)`)
	require.Empty(t, b.Run(`sessionStorage.getItem("violation") || ""`), "the content security policy is broken")
	if file := os.Getenv("ORDERSAGA_DOCS_PICTURE"); file != "" {
		b.Picture(file)
	}
}
