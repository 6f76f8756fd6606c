package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// serviceURL is the URL of the balancer's client. The address is not used: the balancer selects one.
const serviceURL = "http://127.0.0.1"

// balancer distributes new connections to the API processes that are ready, as a Service of Kubernetes does. It repeats no request.
type balancer struct {
	mu    sync.Mutex
	ready map[string]bool // by address
	turn  int
	// changed is closed when ready changes.
	changed chan struct{}
}

// set records whether a process is ready.
func (b *balancer) set(addr string, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ready[addr] != ready {
		b.ready[addr] = ready
		close(b.changed)
		b.changed = make(chan struct{})
	}
}

// pick returns the address of the next process that is ready, if there is one.
func (b *balancer) pick() (addr string, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ready []string
	for addr, is := range b.ready {
		if is {
			ready = append(ready, addr)
		}
	}
	if len(ready) == 0 {
		return "", b.changed
	}
	b.turn++
	return ready[b.turn%len(ready)], b.changed
}

func (b *balancer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	for {
		addr, changed := b.pick()
		if addr != "" {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
		select {
		case <-changed: // a slow machine: no process has responded to the last probe in time
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// probe requests /readyz of a process until the context ends.
func (b *balancer) probe(ctx context.Context, api *harness.Service) {
	addr := api.URL[len("http://"):]
	_ = harness.Poll(ctx, 50*time.Millisecond, func() bool {
		b.set(addr, api.Ready(ctx) == nil)
		return false
	})
	b.set(addr, false)
}

// load sends orders until it is stopped.
type load struct {
	client harness.Client
	// repeated counts the requests that the HTTP client sent again on another connection.
	repeated atomic.Int64
	stopped  chan struct{}
	senders  sync.WaitGroup

	mu  sync.Mutex
	ids []string
}

func (l *load) accept(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = append(l.ids, id)
}

// run sends one order after the other.
func (l *load) run(send func(n int)) {
	l.senders.Go(func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for n := 0; ; n++ {
			send(n)
			select {
			case <-ticker.C:
			case <-l.stopped:
				return
			}
		}
	})
}

// slowServer is less than the 10 s for which the API waits for a server. A 503 after that time means that a server was slow, which happens on an
// overloaded machine without a restart, too.
const slowServer = 7 * time.Second

// do sends a request. Its answer must have one of the statuses. The request is sent again only if a server was slow.
func (l *load) do(ctx context.Context, t *testing.T, method, path string, body any, statuses []int, headers ...string) (placed harness.Resource) {
	headers = append(headers, "Idempotency-Key", uuid.NewString())
	var response harness.Response
	var err error
	for {
		connections, began := 0, time.Now()
		traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connections++ }})
		response, err = l.client.Do(traced, method, path, body, headers...)
		if connections > 1 {
			l.repeated.Add(1)
		}
		if err != nil || response.Status != http.StatusServiceUnavailable || time.Since(began) < slowServer {
			break
		}
	}
	if assert.NoError(t, err) && assert.Contains(t, statuses, response.Status, "%s %s: %s", method, path, response.Body) {
		assert.NoError(t, response.Into(response.Status, &placed))
	}
	return placed
}

// TestRollingRestart replaces two processes of each role, one after the other, under load over REST and by events. No request is refused or cut,
// although nothing is repeated, and no order is lost.
func TestRollingRestart(t *testing.T) {
	s := newStack(t)
	s.registerNamespace()
	b := &balancer{ready: make(map[string]bool), changed: make(chan struct{})}
	transport := &http.Transport{
		DialContext: b.dial, MaxIdleConnsPerHost: 16,
		// A client must not reuse a connection that was idle longer than SHUTDOWN_DELAY.
		IdleConnTimeout: time.Second,
	}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = harness.Client{URL: serviceURL, HTTP: &http.Client{Transport: contract.transport(transport)}}

	type process struct {
		*harness.Service
		role   string
		retire func()
	}
	launch := func(role string) *process {
		options := harness.Options{Role: role, Env: []string{"SHUTDOWN_DELAY=5s"}, NoWait: true}
		p := &process{Service: s.startRole(options), role: role, retire: func() {}}
		if role == "api" {
			ctx, cancel := context.WithCancel(s.ctx)
			probed := make(chan struct{})
			go func() {
				defer close(probed)
				b.probe(ctx, p.Service)
			}()
			p.retire = func() { cancel(); <-probed }
			t.Cleanup(p.retire)
		}
		return p
	}
	awaitReady := func(p *process) {
		require.NoError(t, harness.Poll(s.ctx, 50*time.Millisecond, func() bool { return p.Ready(s.ctx) == nil }), "%s is ready", p.role)
	}
	var processes []*process
	for _, role := range []string{"api", "worker", "consumer", "api", "worker", "consumer"} {
		processes = append(processes, launch(role))
	}
	for _, p := range processes {
		awaitReady(p)
	}

	sku := s.sku(1_000_000)
	l := &load{client: s.client, stopped: make(chan struct{})}
	for sender := range 2 {
		l.run(func(n int) {
			var headers []string
			if n%2 == 0 {
				headers = []string{"Prefer", "wait=10"}
			}
			placed := l.do(s.ctx, t, http.MethodPost, "/v1/orders", harness.NewOrder(sku, 1, "tok_visa"), []int{http.StatusCreated, http.StatusAccepted}, headers...)
			if placed.ID != "" {
				l.accept(placed.ID)
				l.do(s.ctx, t, http.MethodGet, "/v1/orders/"+placed.ID, nil, []int{http.StatusOK})
			}
		})
		l.run(func(n int) {
			o := harness.NewOrder(sku, 1, "tok_visa")
			o.ID = fmt.Sprintf("rolling-%s-%d-%d", sku, sender, n)
			_, err := s.bus.Publish(s.ctx, "order.created", o.ID, o)
			assert.NoError(t, err)
			l.accept(o.ID)
		})
	}
	for _, old := range processes {
		require.NoError(t, old.Stop(patience), "%s drains and ends without an error", old.role)
		require.NotContains(t, old.Log(), "not everything drained in time")
		old.retire()
		awaitReady(launch(old.role))
	}
	close(l.stopped)
	l.senders.Wait()
	require.Zero(t, l.repeated.Load(), "the HTTP client had to repeat requests")

	s.client.Patient = true
	for _, id := range l.ids {
		end, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
		require.Equal(t, "completed", end.Status, "order %s", id)
	}
	s.settled(l.ids...)
	report := s.audit()
	require.Len(t, report.Orders, len(l.ids))
	for _, id := range l.ids {
		s.published(report, id)
	}
	found, content := s.reconcileOnce()
	require.True(t, content, "%v", found)
	t.Logf("%d orders", len(l.ids))
}
