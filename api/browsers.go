package api

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Headers that browsers set and web pages cannot (W3C Fetch Metadata).
const (
	headerFetchSite = "Sec-Fetch-Site"
	headerFetchMode = "Sec-Fetch-Mode"
	headerFetchDest = "Sec-Fetch-Dest"
)

// What a web page of an allowed origin may send and read besides what CORS always permits.
const (
	corsRequestHeaders  = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Prefer, Traceparent, X-Correlation-Id"
	corsResponseHeaders = "Idempotent-Replayed, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Correlation-Id"
	// corsMaxAge is for how many seconds a browser may remember a preflight.
	corsMaxAge = "600"
)

// probePaths are requested by orchestrators under any name. They change nothing and show no data of orders.
var probePaths = []string{"/livez", "/readyz", "/metrics"}

// formTypes are the content types that a web page may send to another site without permission (Fetch, CORS-safelisted
// request headers).
var formTypes = []string{"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}

// protectBrowsers refuses what web pages of other sites make a browser send. Without it every web page that is open in a
// browser has the access to this service that the browser's machine has:
//   - A Host that is not allowed: a page may let its own name resolve to this address (DNS rebinding), and then has the
//     same origin. DNS decides neither what localhost means nor where an IP address leads.
//   - Requests of other origins than this one and CORSOrigins, except links: the page that links does not see the answer.
//   - Form content types, which need no permission of this server, with any method that may change something.
//
// Clients that are no browsers send neither Origin nor Sec-Fetch-Site.
func (s *Server) protectBrowsers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if slices.Contains(probePaths, r.URL.Path) {
			return next(c)
		}
		if !allowedHost(r.Host, s.cfg.Hosts) {
			return fault.New(fault.HostNotAllowed, "host %q is not allowed: add it to HTTP_HOSTS", shortened(r.Host))
		}
		// The console is for its own pages. Its forms have tokens.
		own := isConsole(c)
		if allowed := !own && s.allowCORS(c); !allowed && isCrossSite(r) {
			return fault.New(fault.CrossSite, "requests from web pages of other origins are refused: add the origin to HTTP_CORS_ORIGINS")
		}
		if !own && !isSafe(r.Method) && hasFormType(r) {
			return fault.New(fault.UnsupportedMediaType, "forms are not accepted: send application/json")
		}
		return next(c)
	}
}

// allowedHost reports whether a Host header names this service. Names are compared without port and case; *.example.com
// allows every name below example.com, and * every name.
func allowedHost(host string, allowed []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	// Clients of HTTP/1.0 may send no Host; browsers always do.
	if name == "" || name == "localhost" {
		return true
	}
	if _, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")); err == nil {
		return true
	}
	return slices.ContainsFunc(allowed, func(pattern string) bool {
		if suffix, isWildcard := strings.CutPrefix(pattern, "*"); isWildcard {
			return len(name) > len(suffix) && strings.HasSuffix(name, strings.ToLower(suffix))
		}
		return strings.EqualFold(name, pattern)
	})
}

// allowCORS reports whether the request comes from a web page of an allowed origin, and gives the answer the headers that
// let the page read it. A preflight is answered by the router's handler of OPTIONS.
func (s *Server) allowCORS(c echo.Context) bool {
	if len(s.cfg.CORSOrigins) == 0 {
		return false
	}
	r, h := c.Request(), c.Response().Header()
	h.Add(echo.HeaderVary, echo.HeaderOrigin)
	origin := r.Header.Get(echo.HeaderOrigin)
	if !slices.Contains(s.cfg.CORSOrigins, origin) {
		return false
	}
	h.Set(echo.HeaderAccessControlAllowOrigin, origin)
	h.Set(echo.HeaderAccessControlExposeHeaders, corsResponseHeaders)
	if r.Method == http.MethodOptions && r.Header.Get(echo.HeaderAccessControlRequestMethod) != "" {
		if methods, ok := c.Get(echo.ContextKeyHeaderAllow).(string); ok {
			h.Set(echo.HeaderAccessControlAllowMethods, methods)
		}
		h.Set(echo.HeaderAccessControlAllowHeaders, s.corsHeaders)
		h.Set(echo.HeaderAccessControlMaxAge, corsMaxAge)
	}
	return true
}

// crossOrigin compares Origin and Host without the scheme, which a proxy that ends TLS changes.
var crossOrigin = http.NewCrossOriginProtection()

// isCrossSite reports whether a web page of another origin has made a browser send the request, other than by a link.
func isCrossSite(r *http.Request) bool {
	dest := r.Header.Get(headerFetchDest) // other than a document is a frame
	if isSafe(r.Method) && r.Header.Get(headerFetchMode) == "navigate" && (dest == "" || dest == "document") && r.Header.Get(headerFetchSite) != "" {
		return false
	}
	checked := r.WithContext(r.Context())
	checked.Method = http.MethodPost // what only reads is refused as well
	return crossOrigin.Check(checked) != nil
}

// isSafe reports whether requests of the method change nothing (RFC 9110, 9.2.1).
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

func hasFormType(r *http.Request) bool {
	return slices.ContainsFunc(r.Header.Values(echo.HeaderContentType), func(value string) bool {
		media, _ := mediaType(value)
		return slices.Contains(formTypes, media)
	})
}
