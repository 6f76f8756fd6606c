package api

import (
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Headers of draft-ietf-httpapi-ratelimit-headers.
const (
	headerRateLimit       = "RateLimit"
	headerRateLimitPolicy = "RateLimit-Policy"
)

// maxCallers is how many callers are remembered. One that is forgotten begins with a full share.
const maxCallers = 10_000

// RateLimit is how many requests a caller may send in a time. The zero value is no limit.
type RateLimit struct {
	Requests int
	Per      time.Duration
}

// limits bound what one caller, and all of them, take of the server.
type limits struct {
	rate                               RateLimit
	maxRunning, maxStreams, maxWaiting int64
	running                            atomic.Int64
	shares                             *lru.Cache[string, *share]
}

// share is what a caller takes. A bucket has as many requests as the limit, and is refilled all the time.
type share struct {
	bucket           *rate.Limiter
	streams, waiting atomic.Int64
}

func newLimits(c Config) *limits {
	shares, err := lru.New[string, *share](maxCallers)
	if err != nil {
		panic(err) // the size is a constant above 0
	}
	return &limits{
		rate: c.RateLimit, maxRunning: int64(c.MaxRequests), maxStreams: int64(c.MaxCallerStreams), maxWaiting: int64(c.MaxCallerWaits), shares: shares,
	}
}

// enter counts a request until leave is called. The error is Unavailable when too many are in progress.
func (l *limits) enter() (leave func(), err error) {
	if l.running.Add(1) > l.maxRunning {
		l.running.Add(-1)
		return nil, fault.New(fault.Unavailable, "too many requests are in progress")
	}
	return func() { l.running.Add(-1) }, nil
}

func (l *limits) share(caller auth.Caller) *share {
	if s, ok := l.shares.Get(caller.Actor); ok {
		return s
	}
	s := new(share)
	if l.rate.Requests > 0 {
		s.bucket = rate.NewLimiter(rate.Limit(float64(l.rate.Requests)/l.rate.Per.Seconds()), l.rate.Requests)
	}
	if before, found, _ := l.shares.PeekOrAdd(caller.Actor, s); found {
		return before // of a request at the same time
	}
	return s
}

// take takes a request of the caller's share, and says what is left. The error is RateLimited.
func (l *limits) take(caller auth.Caller, now time.Time, h http.Header) error {
	if l.rate.Requests == 0 {
		return nil
	}
	bucket := l.share(caller).bucket
	allowed := bucket.AllowN(now, 1)
	left := max(0, bucket.TokensAt(now))
	until := func(tokens float64) string {
		return strconv.Itoa(max(1, int(math.Ceil((tokens-left)/float64(bucket.Limit())))))
	}
	h.Set(headerRateLimitPolicy, `"caller";q=`+strconv.Itoa(l.rate.Requests)+`;w=`+strconv.Itoa(int(l.rate.Per/time.Second)))
	h.Set(headerRateLimit, `"caller";r=`+strconv.Itoa(int(left))+`;t=`+until(float64(l.rate.Requests)))
	if allowed {
		return nil
	}
	h.Set(echo.HeaderRetryAfter, until(1))
	return fault.New(fault.RateLimited, "at most %d requests in %d seconds are allowed: retry after %s seconds",
		l.rate.Requests, int(l.rate.Per/time.Second), until(1))
}

// stream counts an open event stream of an authenticated caller until leave is called. The error is RateLimited.
func (l *limits) stream(c echo.Context) (leave func(), err error) {
	caller := callerOf(c)
	if !caller.Authenticated() {
		return func() {}, nil // all are one caller, and bounded together
	}
	s := l.share(caller)
	if s.streams.Add(1) > l.maxStreams {
		s.streams.Add(-1)
		c.Response().Header().Set(echo.HeaderRetryAfter, "1")
		return nil, fault.New(fault.RateLimited, "at most %d event streams may be open", l.maxStreams)
	}
	return func() { s.streams.Add(-1) }, nil
}

// wait returns how long a request may wait: as long as it prefers, or not at all when the caller has too many requests that wait. A preference
// need not be honoured (RFC 7240), and an order is better answered at once than refused.
func (l *limits) wait(c echo.Context, preferred time.Duration) (wait time.Duration, leave func()) {
	caller := callerOf(c)
	if preferred == 0 || !caller.Authenticated() {
		return preferred, func() {}
	}
	s := l.share(caller)
	if s.waiting.Add(1) > l.maxWaiting {
		s.waiting.Add(-1)
		return 0, func() {}
	}
	return preferred, func() { s.waiting.Add(-1) }
}
