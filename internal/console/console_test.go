package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// sagaJSON is an order in the API, with IDs and texts of a sender.
func sagaJSON(id, status, attention string, steps ...string) string {
	return `{"flow":"order","id":` + quoted(id) + `,"status":"` + status + `","reason":null,"needsAttention":` + map[bool]string{true: "false", false: "true"}[attention == "null"] +
		`,"version":3,"createdAt":"2026-11-21T18:29:00.000Z","updatedAt":"2026-11-21T18:29:30.000Z","correlationId":"c-1",
		"links":{"self":"/x","events":"/y","saga":"http://127.0.0.1:8233/namespaces/default/workflows/order-1"},"attention":` + attention +
		`,"steps":[` + strings.Join(steps, ",") + `]}`
}

func step(name, kind, state string) string {
	started, ended := `"2026-11-21T18:29:00.000Z"`, `"2026-11-21T18:29:00.012Z"`
	switch state {
	case "pending", "skipped":
		started, ended = "null", "null"
	case "running", "compensating":
		ended = "null"
	}
	return `{"name":"` + name + `","kind":"` + kind + `","state":"` + state + `","attempts":0,"startedAt":` + started + `,"endedAt":` + ended + `,"error":null}`
}

const voidStuck = `{"attention":1,"step":"authorize","undo":true,"error":"the provider does not answer","attempts":4,"nextTry":"2026-11-21T18:31:00.000Z",
	"since":"2026-11-21T18:25:00.000Z","actions":["retry","skip","substitute"]}`

// world is an API with one of everything, all of it hostile.
func world() map[string]any {
	id := url.PathEscape(hostile)
	saga := sagaJSON(hostile, "needs_attention", strings.Replace(voidStuck, "the provider does not answer", "x\\\"><script>alert(2)</script>", 1),
		step("reserve", "compensable", "done"), step("authorize", "compensable", "compensating"), step("decide", "pivot", "skipped"))
	item := saga[:strings.LastIndex(saga, `,"attention"`)] + `,"customerId":` + quoted(hostile) + `,"currency":"EUR","totalAmount":123456}`
	events := `{"items":[{"version":1,"type":"order.accepted","key":"accept","id":"e-1","time":"2026-11-21T18:29:00.000Z","data":{"customerId":` + quoted(hostile) +
		`},"hash":"h1","prevHash":""},{"version":2,"type":"payment.authorized","key":"authorize","id":"e-2","causationId":"e-1","time":"2026-11-21T18:29:01.000Z",
		"data":{"amount":123456,"currency":"EUR"},"hash":"h2","prevHash":"h1"}],"nextCursor":null}`
	letter := `{"id":"letter-1","status":"open","reason":"invalid","detail":"event is invalid; /data/lines/0/quantity: is missing","type":"<script>x</script>",
		"subject":` + quoted(hostile) + `,"eventId":"evt-1","originExchange":"domain_events","attempts":1,"failedAt":"2026-11-21T18:29:00.000Z",
		"payload":"{\"id\":\"evt-1\",\"data\":{\"orderId\":\"</textarea><script>\",\"lines\":[{\"sku\":\"tea\",\"unitAmount\":450}]}}","payloadEncoding":"text","history":[]}`
	balance := `{"sku":` + quoted(hostile) + `,"onHand":100,"reserved":4,"available":96,"version":2}`
	return map[string]any{
		"GET /v1/sagas":                         text(`{"items":[` + item + `],"nextCursor":"next-1","counts":{"needs_attention":1,"completed":1000}}`),
		"GET /v1/sagas/order/" + id:             text(saga),
		"GET /v1/sagas/order/" + id + "/events": text(events),
		"GET /v1/orders/" + id: text(`{"customerId":` + quoted(hostile) + `,"currency":"EUR","totalAmount":123456,"fulfillment":"immediate",
			"payment":{"method":"tok_visa"},"metadata":{"<script>":"</dd><script>"},"lines":[{"line":1,"sku":` + quoted(hostile) + `,"quantity":2,"unitAmount":61728,"stocked":true}]}`),
		"GET /v1/orders/" + id + "/ledger":                text(`{"items":[{"key":` + quoted(hostile) + `,"flow":"dispute","id":` + quoted(hostile) + `,"status":"reserved","amount":1,"currency":"EUR"}],"refundable":123456}`),
		"GET /v1/orders/" + id + "/returns/r-1":           text(`{"id":"r-1","status":"announced","refund":true,"restock":true,"lines":[{"line":1,"sku":` + quoted(hostile) + `,"quantity":2,"received":0}]}`),
		"POST /v1/orders/" + id + "/refunds":              text(`{"amount":61728,"currency":"EUR","lines":[{"line":1,"quantity":1,"amount":61728}]}`),
		"POST /v1/orders/" + id + "/returns":              text(`{}`),
		"POST /v1/orders/" + id + "/returns/r-1/receipts": text(`{}`),
		"POST /v1/sagas/order/" + id + "/cancellation":    text(saga),
		"POST /v1/sagas/order/" + id + "/resolutions":     text(`{}`),
		"GET /v1/attention": text(`{"items":[
			{"id":"late-1","status":"completed","attention":1,"step":"refund","error":"no answer","since":"2026-11-21T18:26:00.000Z","actions":["retry","skip"]},
			{"id":` + quoted(hostile) + `,"status":"needs_attention","attention":1,"step":"authorize","undo":true,"error":"<script>","attempts":4,"since":"2026-11-21T18:25:00.000Z","actions":["retry","skip","substitute"]}
			],"nextCursor":null}`),
		"GET /v1/dead-letters":                   text(`{"items":[` + letter + `],"nextCursor":null}`),
		"GET /v1/dead-letters/letter-1":          text(letter),
		"POST /v1/dead-letters/letter-1/replay":  text(`{"outcome":"start","would":"would start order <script>","orderId":null,"refusal":null}`),
		"POST /v1/dead-letters/letter-1/discard": text(letter),
		"GET /v1/stock":                          text(`{"items":[` + balance + `],"nextCursor":null}`),
		"GET /v1/stock/" + id:                    text(balance),
		"GET /v1/stock/" + id + "/events": text(`{"items":[{"version":1,"type":"stock.added","time":"2026-11-21T18:00:00.000Z","data":{"quantity":100,"onHand":100,"reserved":0}},
			{"version":2,"type":"stock.reserved","time":"2026-11-21T18:01:00.000Z","data":{"orderId":` + quoted(hostile) + `,"quantity":4,"onHand":100,"reserved":4}}],"nextCursor":null}`),
		"POST /v1/stock/" + id + "/receipts": text(balance),
		"POST /v1/stock/" + id + "/counts":   text(balance),
		"GET /readyz":                        text(`{"status":"ready","checks":[{"name":"mongodb","status":"ok","connection":{"note":"<script>"}}]}`),
		"GET /v1/reconcile":                  text(`{"status":"completed","violations":1,"findings":[{"kind":"stock_differs","subject":` + quoted(hostile) + `,"detail":"<script>"}]}`),
	}
}

var pages = []string{
	"/console/sagas", "/console/sagas/order/" + url.PathEscape(hostile), "/console/sagas/order/" + url.PathEscape(hostile) + "/cancel",
	"/console/sagas/order/" + url.PathEscape(hostile) + "/resolve?action=skip", "/console/sagas/order/" + url.PathEscape(hostile) + "/refund",
	"/console/sagas/order/" + url.PathEscape(hostile) + "/return", "/console/sagas/order/" + url.PathEscape(hostile) + "/receive?return=r-1", "/console/attention", "/console/dead-letters", "/console/dead-letters/letter-1",
	"/console/dead-letters/letter-1/discard", "/console/stock", "/console/stock/" + url.PathEscape(hostile), "/console/health",
}

func TestPagesEscapeWhatOthersHaveWritten(t *testing.T) {
	b := newVisitor(t, nil, world())
	all := append(slices.Clone(pages), "/console/sagas?customerId="+url.QueryEscape(hostile)+"&flow="+url.QueryEscape(hostile), "/console/"+url.PathEscape(hostile))
	for _, target := range all {
		page := b.get(target)
		body := page.Body.String()
		require.Contains(t, body, "</html>", target)
		require.NotContains(t, body, "<script>", target)
		require.NotContains(t, body, "</textarea><script", target)
		require.Equal(t, 2, strings.Count(body, "<script"), "%s has a script that is not the console's", target)
	}
}

func TestEveryAnswerHasTheSecurityPolicy(t *testing.T) {
	b := newVisitor(t, nil, world())
	for _, target := range append(pages, "/console", "/console/nothing", "/console/assets/console.js") {
		h := b.get(target).Header()
		csp := h.Get("Content-Security-Policy")
		require.Contains(t, csp, "default-src 'none'; script-src 'self'; style-src 'self'", target)
		require.NotContains(t, csp, "unsafe", target)
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), target)
	}
	for _, target := range pages {
		body := b.get(target).Body.String()
		require.NotRegexp(t, `(?i)<[^>]+\s(style|on[a-z]+)=`, body, "%s has inline styles or handlers", target)
		require.NotRegexp(t, `(src|href|action)="(https?:)?//[^1]`, body, "%s loads from another host", target)
	}
}

func TestPageOfASagaShowsStepsMoneyAndDecisions(t *testing.T) {
	b := newVisitor(t, nil, world())
	page := b.get("/console/sagas/order/" + url.PathEscape(hostile)).Body.String()
	for _, wanted := range []string{
		`aria-label="Steps: reserve done, authorize compensating, decide skipped."`, "The compensation of authorize is stuck", "1\u202f234.56 EUR",
		`id="resolve-skip"`, "The authorization may remain until it expires", `<a href="#event-1">event 1</a>`, "Temporal Web UI", "/live?cursor=3",
	} {
		require.Contains(t, page, wanted)
	}
}

func TestStateOfASagaAfterAnEarlierEvent(t *testing.T) {
	b := newVisitor(t, nil, world())
	path, target := "/console/sagas/order/"+url.PathEscape(hostile), "GET /v1/sagas/order/"+url.PathEscape(hostile)+"?version="
	before := strings.Replace(sagaJSON(hostile, "accepted", "null", step("reserve", "compensable", "running"), step("authorize", "compensable", "pending"), step("decide", "pivot", "pending")),
		`"version":3`, `"version":1`, 1)
	b.rest.set(target+"1", text(before))
	b.rest.set(target+"9", fault.New(fault.NotFound, "the stream has no version 9"))
	page := b.get(path + "?version=1").Body.String()
	for _, wanted := range []string{`aria-label="Steps: reserve running, authorize pending, decide pending."`, "1 of 3", `id="event-1"`, `id="latest"`} {
		require.Contains(t, page, wanted)
	}
	for _, unwanted := range []string{`id="event-2"`, `id="cancel"`, `id="resolve-skip"`, "data-stream", "Stock now", "Refund ledger"} {
		require.NotContains(t, page, unwanted)
	}
	require.Equal(t, http.StatusNotFound, b.get(path+"?version=9").Code)
	require.Contains(t, b.get(path+"?version=3").Body.String(), `id="resolve-skip"`, "the newest event is now")
}

func TestAttentionIsOldestFirst(t *testing.T) {
	b := newVisitor(t, nil, world())
	page := b.get("/console/attention").Body.String()
	require.Less(t, strings.Index(page, "waits for 5 min"), strings.Index(page, "waits for 4 min"))
	require.Contains(t, page, `href="/console/sagas/late-payment/late-1/resolve?action=skip"`, "what came after the end of an order is decided about in its own saga")
}

func TestFiltersReachTheAPI(t *testing.T) {
	b := newVisitor(t, nil, world())
	page := b.get("/console/sagas?flow=order&status=completed&reason=x&customerId=c&from=2026-11-20T10:00&minAmount=5&cursor=abc").Body.String()
	asked, err := url.Parse(b.rest.calls[0].target)
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"flow": {"order"}, "status": {"completed"}, "reason": {"x"}, "customerId": {"c"}, "from": {"2026-11-20T10:00:00Z"}, "minAmount": {"5"}, "cursor": {"abc"},
		"limit": {"50"}, "counts": {"status"},
	}, asked.Query())
	require.Contains(t, page, "999&#43;")
	require.Contains(t, page, "cursor=next-1")
	require.NotContains(t, page, `data-live="poll"`, "a page of older sagas does not change")
}

func TestFormsNeedTheirToken(t *testing.T) {
	b := newVisitor(t, nil, world())
	cancel := "/console/sagas/order/" + url.PathEscape(hostile) + "/cancel"
	posts := func() (n int) {
		for _, c := range b.rest.calls {
			if c.method == http.MethodPost {
				n++
			}
		}
		return n
	}
	refused := b.post(cancel, url.Values{"reason": {"x"}})
	require.Equal(t, http.StatusForbidden, refused.Code, "without cookie and token")
	for _, token := range []string{"", "made-up", strings.Repeat("A", 26)} {
		require.Equal(t, http.StatusForbidden, b.post(cancel, url.Values{"csrf": {token}}).Code)
	}
	require.Zero(t, posts())
	token := form.FindStringSubmatch(b.get(cancel).Body.String())
	require.Len(t, token, 2)
	done := b.post(cancel, url.Values{"csrf": {token[1]}, "reason": {"enough"}, "key": {"key-1"}})
	require.Equal(t, http.StatusSeeOther, done.Code)
	require.Equal(t, 1, posts())
	last := b.rest.calls[len(b.rest.calls)-1]
	assert.Equal(t, "key-1", last.key, "a form that is sent twice is one request")
	assert.Equal(t, map[string]any{"reason": "enough"}, last.body)
}

func TestRefusedFormsSayWhy(t *testing.T) {
	answers := world()
	answers["POST /v1/sagas/order/"+url.PathEscape(hostile)+"/resolutions"] = fault.New(fault.ResolutionRefused, "another decision came first")
	b := newVisitor(t, nil, answers)
	target := "/console/sagas/order/" + url.PathEscape(hostile) + "/resolve"
	b.get(target + "?action=skip")
	page := b.post(target, url.Values{"action": {"skip"}, "attention": {"1"}, "note": {"kept <text>"}})
	require.Equal(t, http.StatusConflict, page.Code)
	require.Contains(t, page.Body.String(), "another decision came first")
	require.Contains(t, page.Body.String(), "kept &lt;text&gt;", "what was entered is still there")
}

func TestDeadLetterIsReplayedAfterADryRun(t *testing.T) {
	b := newVisitor(t, nil, world())
	page := b.get("/console/dead-letters/letter-1").Body.String()
	require.Contains(t, page, "the error is in line 6", "the line of the element that lacks the field")
	require.NotContains(t, page, `value="replay"`, "there is no replay before a dry run")
	tried := b.post("/console/dead-letters/letter-1", url.Values{"do": {"dry-run"}, "payload": {`{"id": "evt-1"}`}, "note": {"repaired"}}).Body.String()
	require.Contains(t, tried, "would start order &lt;script&gt;")
	require.Contains(t, tried, `value="replay"`)
	last := b.rest.calls[len(b.rest.calls)-1]
	require.Equal(t, "/v1/dead-letters/letter-1/replay?dryRun=true", last.target)
	require.Equal(t, map[string]any{"body": `{"id":"evt-1"}`, "note": "repaired"}, last.body)
	require.Equal(t, http.StatusSeeOther, b.post("/console/dead-letters/letter-1", url.Values{"do": {"replay"}, "payload": {`{"id": "evt-1"}`}}).Code)
}

func TestCountsThatTakeGoodsFromOrdersAreConfirmed(t *testing.T) {
	b := newVisitor(t, nil, world())
	path := "/console/stock/" + url.PathEscape(hostile)
	b.get(path)
	page := b.post(path, url.Values{"do": {"count"}, "quantity": {"1"}}).Body.String()
	require.Contains(t, page, "3 of the 4 reserved goods are missing")
	require.Equal(t, http.StatusSeeOther, b.post(path, url.Values{"do": {"count"}, "quantity": {"1"}, "confirmed": {"yes"}}).Code)
	require.Equal(t, map[string]any{"counted": 1.0}, b.rest.calls[len(b.rest.calls)-1].body)
}

func TestLogin(t *testing.T) {
	callers := keys{
		"osk_all":  {Namespace: "ada", Actor: "ada", Scopes: auth.Scopes},
		"osk_read": {Namespace: "bob", Actor: "bob", Scopes: []auth.Scope{auth.OrdersRead}},
	}
	b := newVisitor(t, callers, world())
	for _, target := range pages {
		w := b.get(target)
		require.Equal(t, http.StatusSeeOther, w.Code, target)
		require.Equal(t, "/console/login?next="+url.QueryEscape(target), w.Header().Get("Location"))
	}
	require.Empty(t, b.rest.calls, "no request without credentials")

	b.get("/console/login")
	wrong := b.post("/console/login", url.Values{"key": {"osk_none"}})
	require.Equal(t, http.StatusUnauthorized, wrong.Code)
	require.NotContains(t, b.cookies, "ordersaga_session")
	away := b.post("/console/login", url.Values{"key": {"osk_all"}, "next": {"//evil.example/console/"}})
	require.Equal(t, "/console/sagas", away.Header().Get("Location"), "a login leads to no other site")
	session := b.cookies["ordersaga_session"]
	require.True(t, session.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, session.SameSite)
	require.NotContains(t, session.Value, "osk_all")

	page := b.get("/console/sagas").Body.String()
	require.Contains(t, page, "ada")
	require.Equal(t, "Bearer osk_all", b.rest.calls[len(b.rest.calls)-1].authorization)

	delete(callers, "osk_all")
	require.Equal(t, http.StatusSeeOther, b.get("/console/sagas").Code, "a revoked key is none")
	b.post("/console/logout", url.Values{})
	require.NotContains(t, b.cookies, "ordersaga_session")

	b.post("/console/login", url.Values{"key": {"osk_read"}})
	page = b.get("/console/sagas").Body.String()
	require.Contains(t, page, `href="/console/sagas"`)
	for _, other := range []string{"attention", "dead-letters", "stock", "health"} {
		require.NotContains(t, page, `href="/console/`+other, "a page that the caller may not see has no link")
	}
	require.NotContains(t, b.get("/console/sagas/order/"+url.PathEscape(hostile)).Body.String(), `id="cancel"`)
}

func TestChangedSessionIsRefused(t *testing.T) {
	b := newVisitor(t, keys{"osk_all": {Actor: "ada", Scopes: auth.Scopes}}, world())
	b.get("/console/login")
	b.post("/console/login", url.Values{"key": {"osk_all"}})
	good := b.cookies["ordersaga_session"].Value
	require.Equal(t, http.StatusOK, b.get("/console/sagas").Code)
	for _, value := range []string{"", ".", good[:len(good)-2], "other." + good, strings.ToUpper(good)} {
		b.cookies["ordersaga_session"].Value = value
		require.Equal(t, http.StatusSeeOther, b.get("/console/sagas").Code, value)
	}
	other := newVisitor(t, keys{"osk_all": {Actor: "ada", Scopes: auth.Scopes}}, world())
	other.cookies["ordersaga_session"] = &http.Cookie{Name: "ordersaga_session", Value: good}
	require.Equal(t, http.StatusSeeOther, other.get("/console/sagas").Code, "another process has another key")
}

// A link on another site brings no cookie: the page loads itself again, from this site.
func TestLinkFromAnotherSiteKeepsTheLogin(t *testing.T) {
	b := newVisitor(t, keys{}, world())
	r := httptest.NewRequest(http.MethodGet, "/console/sagas", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := b.send(r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), `http-equiv="refresh"`)
}

func TestMissingScopeIsNamed(t *testing.T) {
	answers := world()
	answers["GET /v1/attention"] = fault.New(fault.InsufficientScope, "the scope operate is required")
	w := newVisitor(t, nil, answers).get("/console/attention")
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Contains(t, w.Body.String(), "the scope operate is required")
}
