package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/auth/authtest"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// guarded is a fixture whose callers are authenticated: by API keys, and by tokens that tokens lists.
type guarded struct {
	*fixture
	store  *authtest.Store
	admin  auth.Admin
	tokens tokens
}

// tokens are callers by token.
type tokens map[string]auth.Caller

func (t tokens) Authenticate(_ context.Context, token string) (auth.Caller, error) {
	if caller, ok := t[token]; ok {
		return caller, nil
	}
	return auth.Caller{}, auth.Refused("the token is not valid")
}

func newGuarded(t *testing.T, change ...func(*api.Config)) *guarded {
	t.Helper()
	g := &guarded{store: new(authtest.Store), tokens: tokens{}}
	g.admin = auth.Admin{Store: g.store, Clock: time.Now}
	g.fixture = newFixture(t, append([]func(*api.Config){func(c *api.Config) {
		c.Auth = auth.Combined{Keys: auth.NewKeyring(g.store, nil), Tokens: g.tokens}
	}}, change...)...)
	return g
}

// key makes a key with scopes, all by default.
func (g *guarded) key(name string, scopes ...auth.Scope) string {
	g.t.Helper()
	if scopes == nil {
		scopes = auth.Scopes
	}
	key, _, err := g.admin.Create(g.t.Context(), name, "", scopes)
	require.NoError(g.t, err)
	return key
}

// as sends a request with a key or a token.
func (g *guarded) as(token, method, target, body string, headers ...string) answer {
	g.t.Helper()
	return g.do(method, target, body, append(headers, "Authorization", "Bearer "+token)...)
}

// with sends a request with any number of Authorization headers.
func (g *guarded) with(method, target string, authorization ...string) answer {
	g.t.Helper()
	r := httptest.NewRequest(method, target, nil)
	r.Header["Authorization"] = authorization
	w := httptest.NewRecorder()
	g.server.ServeHTTP(w, r)
	return answer{status: w.Code, header: w.Header(), body: w.Body.String()}
}

// scopeIn is the scope that the specification says for an operation; empty when it is open to everyone.
func scopeIn(o *openapi3.Operation) auth.Scope {
	if o.Security == nil {
		return "not specified"
	}
	for _, alternative := range *o.Security {
		if scopes := alternative["bearer"]; len(scopes) == 1 {
			return auth.Scope(scopes[0])
		}
	}
	return ""
}

var parameter = regexp.MustCompile(`:\w+`)

// TestEveryRouteNeedsItsScope walks the router: each route is refused without valid credentials and without its scope, which is the one that
// the specification says.
func TestEveryRouteNeedsItsScope(t *testing.T) {
	// In a bubble the pauses between reads of the store take no time.
	synctest.Test(t, walkRoutes)
}

func walkRoutes(t *testing.T) {
	g := newGuarded(t)
	with := make(map[auth.Scope]string)
	for _, scope := range auth.Scopes {
		with[scope] = g.key("only-"+strings.ReplaceAll(string(scope), ":", "-"), scope)
	}
	all, revoked, expired := g.key("all"), g.key("revoked"), g.key("expired")
	_, err := g.admin.Revoke(t.Context(), "revoked")
	require.NoError(t, err)
	_, _, err = g.admin.Rotate(t.Context(), "expired", 0)
	require.NoError(t, err)
	malformed := [][]string{
		{""}, {"Bearer"}, {"Bearer "}, {"Basic " + all}, {all}, {"Bearer " + all + " "}, {"Bearer " + all + "," + all}, {"Bearer " + all, "Bearer " + all},
		{"Bearer " + all, ""}, {"Bearer\t" + all}, {"Bearer " + all[:20]}, {"Bearer " + strings.Repeat("a", 20_000)}, {"Bearer " + strings.ToLower(all)},
	}
	refused := append([][]string{nil, {"Bearer osk_" + strings.Repeat("A", 43)}, {"Bearer a.b.c"}, {"Bearer " + expired}, {"Bearer " + revoked}}, malformed...)

	doc, _ := specified()
	scopes := make(map[auth.Scope]int)
	routes := g.server.RouterRoutes()
	require.NotEmpty(t, routes)
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		item := doc.Paths.Value(parameter.ReplaceAllStringFunc(path, func(name string) string { return "{" + name[1:] + "}" }))
		require.NotNil(t, item, route)
		scope := scopeIn(item.Operations()[method])
		target := parameter.ReplaceAllString(path, "x")
		if scope == "" {
			require.NotContains(t, strings.TrimPrefix(path, "/v1/webhooks/"), "/v1/", "only documents, probes and signed webhooks are open")
			require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, g.with(method, target).status, route)
			continue
		}
		require.Contains(t, auth.Scopes, scope, route)
		scopes[scope]++
		for _, authorization := range refused {
			a := g.with(method, target, authorization...)
			require.Equal(t, http.StatusUnauthorized, a.status, "%s %v", route, authorization)
			require.Equal(t, "unauthenticated", a.problem(t).Code)
			require.Contains(t, a.header.Get("WWW-Authenticate"), `Bearer realm="ordersaga"`)
		}
		for _, other := range auth.Scopes {
			a := g.with(method, target, "bearer  "+with[other])
			if other != scope {
				require.Equal(t, http.StatusForbidden, a.status, "%s with %s", route, other)
				require.Equal(t, "insufficient_scope", a.problem(t).Code)
				require.Equal(t, `Bearer realm="ordersaga", error="insufficient_scope", scope="`+string(scope)+`"`, a.header.Get("WWW-Authenticate"))
				continue
			}
			require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, a.status, "%s with %s", route, other)
		}
	}
	require.Positive(t, scopes[auth.OrdersWrite]*scopes[auth.StockRead]*scopes[auth.Operate])
	for _, key := range append([]string{all, revoked, expired}, with[auth.OrdersRead]) {
		require.NotContains(t, g.output.String(), strings.TrimPrefix(key, "osk_"), "a key in the log")
	}
	require.Contains(t, g.output.String(), `"caller":"only-orders-read"`)
}

// TestPathVariantsNeedAuthentication: path variants that the router accepts for a route require the same credentials.
func TestPathVariantsNeedAuthentication(t *testing.T) {
	g := newGuarded(t)
	for _, target := range []string{
		"/v1/orders", "/v1/orders/", "/v1/orders/x%2Fevents", "/v1/orders/x%2F..%2F..%2Flivez", "/v1/orders/..%2F..%2Flivez", "/v1/orders/livez",
		"/v1%2Forders", "/%76%31/orders", "//v1/orders", "/v1//orders", "/./v1/orders", "/livez/../v1/orders", "/V1/orders", "/v1/orders;x", "/v1/orders/x/events/",
		"/v1/stock/livez", "/v1/sagas/order/x%2f",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, "GET2", http.MethodTrace} {
			a := g.with(method, target)
			require.Contains(t, []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed}, a.status, "%s %s", method, target)
		}
	}
	require.Equal(t, http.StatusUnauthorized, g.with(http.MethodHead, "/v1/orders").status)
	require.Equal(t, http.StatusUnauthorized, g.do(http.MethodPost, "/v1/orders", validOrder, "X-HTTP-Method-Override", "OPTIONS").status)
	require.Equal(t, http.StatusNoContent, g.with(http.MethodOptions, "/v1/orders").status, "a preflight has no credentials")
	require.Empty(t, g.sagas.placed)
}

func TestCredentialsAreCheckedBeforeTheBody(t *testing.T) {
	g := newGuarded(t)
	a := g.do(http.MethodPost, "/v1/orders", `{"nonsense`)
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.Equal(t, `Bearer realm="ordersaga"`, a.header.Get("WWW-Authenticate"), "no error code without credentials (RFC 6750, 3.1)")
	a = g.as("x", http.MethodPost, "/v1/orders", validOrder)
	require.Equal(t, `Bearer realm="ordersaga", error="invalid_token"`, a.header.Get("WWW-Authenticate"))
}

func TestUnavailableKeyStoreIsNot401(t *testing.T) {
	g := newGuarded(t)
	g.store.Break(errors.New("no server"))
	a := g.as("osk_"+strings.Repeat("A", 43), http.MethodGet, "/v1/orders", "")
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Equal(t, "unavailable", a.problem(t).Code)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Empty(t, a.header.Get("WWW-Authenticate"))
	require.Equal(t, http.StatusUnauthorized, g.with(http.MethodGet, "/v1/orders").status)
}

func TestIdempotencyKeysBelongToTheirCaller(t *testing.T) {
	g := newGuarded(t)
	place := func(token string) string {
		a := g.as(token, http.MethodPost, "/v1/orders", validOrder, "Idempotency-Key", "k-1")
		require.Equal(t, http.StatusAccepted, a.status, a.body)
		return a.resource(t).ID
	}
	shop, pos := g.key("shop"), g.key("pos")
	g.tokens["alice"] = auth.Caller{Namespace: "https://idp#alice", Actor: "https://idp#alice", Scopes: auth.Scopes}
	g.tokens["bob"] = auth.Caller{Namespace: "https://idp#bob", Actor: "https://idp#bob", Scopes: auth.Scopes}
	ids := map[string]bool{}
	for _, token := range []string{shop, pos, "alice", "bob"} {
		ids[place(token)] = true
	}
	require.Len(t, ids, 4)

	rotated, _, err := g.admin.Rotate(t.Context(), "shop", time.Hour)
	require.NoError(t, err)
	require.Equal(t, place(shop), place(rotated), "a rotated key is the same caller")

	before := newFixture(t).do(http.MethodPost, "/v1/orders", validOrder, "Idempotency-Key", "k-1").resource(t).ID
	kept, _, err := g.admin.Create(t.Context(), "moved", auth.AnonymousNamespace, auth.Scopes)
	require.NoError(t, err)
	require.Equal(t, before, place(kept), "as before authentication was turned on")
	require.False(t, ids[before])
}

func TestCallerIsTheActor(t *testing.T) {
	dead := &letters{detail: letter(nil)}
	g := newGuarded(t, func(c *api.Config) { c.DeadLetters = dead })
	shop := g.key("ops")
	g.stuck("o-1")
	var decisions []order.Resolution
	var keys []string
	g.sagas.resolve = func(_ context.Context, _ string, d order.Resolution, key string) (order.Resolution, saga.ResolveAnswer, error) {
		decisions, keys = append(decisions, d), append(keys, key)
		return d, saga.ResolveAnswer{Accepted: true, Status: order.StatusSettling}, nil
	}
	for path, body := range map[string]string{
		"/v1/orders/o-1/resolutions":   `{"action":"retry","by":"mallory"}`,
		"/v1/dead-letters/d-1/replay":  `{"by":"mallory"}`,
		"/v1/dead-letters/d-1/discard": `{"by":"mallory","note":"a test"}`,
	} {
		a := g.as(shop, http.MethodPost, path, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, path)
		require.Equal(t, "/by", *a.problem(t).Errors[0].Pointer)
	}
	require.Empty(t, decisions)
	require.Empty(t, dead.did)

	require.Equal(t, http.StatusOK, g.as(shop, http.MethodPost, "/v1/orders/o-1/resolutions", `{"action":"retry"}`, "Idempotency-Key", "k").status)
	require.Equal(t, "ops", decisions[0].By)
	require.Equal(t, "ops k", keys[0])
	require.Equal(t, http.StatusOK, g.as(shop, http.MethodPost, "/v1/dead-letters/d-1/replay", "").status)
	require.Equal(t, "ops", dead.request.Actor)
	require.Equal(t, http.StatusOK, g.as(shop, http.MethodPost, "/v1/dead-letters/d-1/discard", `{"note":"a test"}`).status)
	require.Equal(t, deadletter.Request{ID: dead.request.ID, Actor: "ops", Note: "a test"}, dead.request)

	require.Equal(t, http.StatusCreated, g.as(shop, http.MethodPost, "/v1/stock/tea/adjustments", `{"quantity":5,"note":"found"}`).status)
	require.Equal(t, http.StatusCreated, g.as(shop, http.MethodPost, "/v1/stock/tea/counts", `{"counted":4}`).status)
	records, err := g.log.Read(t.Context(), "sku-tea", 0, 0)
	require.NoError(t, err)
	require.Len(t, records, 2)
	for _, r := range records {
		require.Contains(t, string(r.Data), `"by":"ops"`)
	}
	// The order's other path needs no less than its own.
	writer := g.key("writer", auth.SagasWrite)
	g.sagas.cancel = nil
	require.Equal(t, http.StatusForbidden, newOrderFlow(t, g, writer))
}

// newOrderFlow cancels an order as a saga.
func newOrderFlow(t *testing.T, g *guarded, key string) int {
	t.Helper()
	server := newGuarded(t, func(c *api.Config) {
		c.Auth = auth.NewKeyring(g.store, nil)
		c.Flows = []api.Flow{{Definer: &order.Flow, Sagas: struct{ *flowSagas }{}}}
	})
	return server.as(key, http.MethodPost, "/v1/sagas/order/o-1/cancellation", "").status
}

func TestCustomerTokensSeeTheirOrdersOnly(t *testing.T) {
	g := newGuarded(t)
	for token, customer := range map[string]string{"own": "customer-7", "foreign": "customer-8"} {
		g.tokens[token] = auth.Caller{Namespace: token, Actor: token, Scopes: auth.Scopes, CustomerID: customer}
	}
	cancelled := cancelling(g.fixture)
	for _, request := range []string{
		"GET /v1/orders/o-1", "GET /v1/orders/o-1?at=2026-11-21T18:31:00Z", "GET /v1/orders/o-1?version=1", "GET /v1/orders/o-1/ledger",
		"GET /v1/orders/o-1/events", "POST /v1/orders/o-1/cancellation",
	} {
		method, target, _ := strings.Cut(request, " ")
		require.Equal(t, http.StatusOK, g.as("own", method, target, "").status, request)
		a := g.as("foreign", method, target, "")
		require.Equal(t, http.StatusNotFound, a.status, request)
		none := g.as("foreign", method, strings.Replace(target, "o-1", "o-2", 1), "")
		require.Equal(t, none.status, a.status)
		require.Equal(t, strings.ReplaceAll(none.problem(t).Detail, "o-2", "o-1"), a.problem(t).Detail, "as if it did not exist")
	}
	for _, past := range []string{"?version=99", "?at=2000-01-01T00:00:00Z"} {
		a, none := g.as("foreign", http.MethodGet, "/v1/orders/o-1"+past, ""), g.as("foreign", http.MethodGet, "/v1/orders/o-2"+past, "")
		require.Equal(t, http.StatusNotFound, a.status, past)
		require.Equal(t, strings.ReplaceAll(none.problem(t).Detail, "o-2", "o-1"), a.problem(t).Detail, "as if it did not exist: %s", past)
	}
	require.Equal(t, 1, *cancelled)
	require.Equal(t, http.StatusNotFound, g.as("foreign", http.MethodGet, "/v1/orders/o-1/events", "", "Accept", "text/event-stream").status)

	require.Equal(t, http.StatusOK, g.as("foreign", http.MethodGet, "/v1/orders", "").status)
	require.Equal(t, "customer-8", g.orders.filter.CustomerID, "lists are filtered")
	a := g.as("foreign", http.MethodGet, "/v1/orders?customerId=customer-7", "")
	require.Equal(t, http.StatusForbidden, a.status)
	require.Equal(t, "customer_not_allowed", a.problem(t).Code)
	require.NotContains(t, g.as("foreign", http.MethodGet, "/v1/orders?id=o-1", "").body, "o-1")
	require.Contains(t, g.as("own", http.MethodGet, "/v1/orders?id=o-1", "").body, "o-1")

	a = g.as("foreign", http.MethodPost, "/v1/orders", validOrder)
	require.Equal(t, http.StatusForbidden, a.status)
	require.Equal(t, "customer_not_allowed", a.problem(t).Code)
	require.Empty(t, g.sagas.placed)
	require.Equal(t, http.StatusAccepted, g.as("own", http.MethodPost, "/v1/orders", validOrder).status)
	placed := len(g.sagas.placed)
	var answers []string
	for _, id := range []string{"o-1", "o-none"} {
		a := g.as("foreign", http.MethodPost, "/v1/orders", `{"id":"`+id+`",`+strings.Replace(validOrder, "customer-7", "customer-8", 1)[1:], "Idempotency-Key", "k")
		require.Equal(t, http.StatusUnprocessableEntity, a.status, id)
		require.Equal(t, "/id", *a.problem(t).Errors[0].Pointer)
		answers = append(answers, a.problem(t).Errors[0].Detail)
	}
	require.Equal(t, answers[0], answers[1], "whether an ID is in use is not said")
	require.Len(t, g.sagas.placed, placed)

	// Everything that is not about orders of one customer is out of reach, whatever the scopes.
	for _, route := range g.server.RouterRoutes() {
		method, path, _ := strings.Cut(route, " ")
		if strings.HasPrefix(path, "/v1/") && !strings.HasPrefix(path, "/v1/webhooks/") && (!strings.HasPrefix(path, "/v1/orders") || strings.HasSuffix(path, "/resolutions") || strings.HasSuffix(path, "/receipts")) {
			a := g.as("own", method, parameter.ReplaceAllString(path, "o-1"), "")
			require.Equal(t, http.StatusForbidden, a.status, route)
			require.Equal(t, "insufficient_scope", a.problem(t).Code)
		}
	}
}

func TestRateLimitIsPerCaller(t *testing.T) {
	now := at
	g := newGuarded(t, func(c *api.Config) {
		c.RateLimit = api.RateLimit{Requests: 3, Per: time.Minute}
		c.Clock = func() time.Time { return now }
	})
	shop, other := g.key("shop"), g.key("other", auth.StockRead)
	for i := range 3 {
		a := g.as(shop, http.MethodGet, "/v1/orders", "")
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, `"caller";q=3;w=60`, a.header.Get("RateLimit-Policy"))
		require.Equal(t, `"caller";r=`+string(rune('2'-i))+`;t=`+[]string{"20", "40", "60"}[i], a.header.Get("RateLimit"))
	}
	a := g.as(shop, http.MethodGet, "/v1/orders", "")
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.Equal(t, "rate_limited", a.problem(t).Code)
	require.Equal(t, "20", a.header.Get("Retry-After"))
	require.Equal(t, `"caller";r=0;t=60`, a.header.Get("RateLimit"))

	require.Equal(t, http.StatusForbidden, g.as(other, http.MethodGet, "/v1/orders", "").status, "another caller has a share of its own")
	require.Equal(t, http.StatusUnauthorized, g.with(http.MethodGet, "/v1/orders").status)
	require.Equal(t, http.StatusOK, g.with(http.MethodGet, "/livez").status)
	now = now.Add(20 * time.Second)
	require.Equal(t, http.StatusOK, g.as(shop, http.MethodGet, "/v1/orders", "").status)
	require.Equal(t, http.StatusTooManyRequests, g.as(shop, http.MethodGet, "/v1/orders", "").status)

	f := newFixture(t, func(c *api.Config) { c.RateLimit = api.RateLimit{Requests: 1, Per: time.Second} })
	require.Equal(t, http.StatusOK, f.do(http.MethodGet, "/v1/orders", "").status)
	require.Equal(t, http.StatusTooManyRequests, f.do(http.MethodGet, "/v1/orders", "").status, "without authentication all are one caller")
}

func TestTooManyConcurrentRequestsAreUnavailable(t *testing.T) {
	g := newGuarded(t, func(c *api.Config) { c.MaxRequests = 1 })
	key := g.key("shop")
	entered, leave := make(chan struct{}), make(chan struct{})
	g.sagas.cancel = func(context.Context, string, order.Cancellation) (saga.CancelAnswer, error) {
		close(entered)
		<-leave
		return saga.CancelAnswer{}, fault.New(fault.NotFound, "none")
	}
	var first sync.WaitGroup
	first.Go(func() { g.with(http.MethodPost, "/v1/orders/o-1/cancellation", "Bearer "+key) })
	<-entered
	a := g.as(key, http.MethodGet, "/v1/orders", "")
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.Equal(t, http.StatusOK, g.with(http.MethodGet, "/livez").status)
	close(leave)
	first.Wait()
	require.Equal(t, http.StatusOK, g.as(key, http.MethodGet, "/v1/orders", "").status)
}

func TestMetricsOnOwnAddressAreNotServedByTheAPI(t *testing.T) {
	f := newFixture(t, func(c *api.Config) { c.HideMetrics = true })
	require.Equal(t, "not_found", f.do(http.MethodGet, "/metrics", "").problem(t).Code)
}

func TestBrowsersMaySendCredentialsFromAllowedOrigins(t *testing.T) {
	const shop = "https://shop.example.com"
	g := newGuarded(t, func(c *api.Config) { c.CORSOrigins = []string{shop} })
	a := g.do(http.MethodOptions, "/v1/orders", "", "Origin", shop, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
	require.Equal(t, http.StatusNoContent, a.status)
	require.Contains(t, a.header.Get("Access-Control-Allow-Headers"), "Authorization")
	a = g.do(http.MethodGet, "/v1/orders", "", "Origin", shop)
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.Equal(t, shop, a.header.Get("Access-Control-Allow-Origin"), "a page reads why")
}
