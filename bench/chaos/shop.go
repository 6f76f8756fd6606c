package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ordersaga/ordersaga/test/harness"
)

const (
	// requestTimeout bounds a request; after it the outcome is unknown.
	requestTimeout = 8 * time.Second
	// waitSeconds is how long a request waits for the end of its order.
	waitSeconds = 5
	// retryPause is before a request is sent again.
	retryPause = 500 * time.Millisecond
	// endTimeout is how long a client of the closed loop waits for the end of its order before it places the next one.
	endTimeout = 5 * time.Second
	// operators is how many interventions are under way at most.
	operators = 6
	// restockEvery is after how many orders a scarce SKU gets more stock, and how much.
	restockEvery, restocked = 25, 5
)

type counter struct{ n atomic.Int64 }

func (c *counter) add(n int64) { c.n.Add(n) }

func (c *counter) get() int { return int(c.n.Load()) }

// ledger is what clients know: what was acknowledged to them.
type ledger struct {
	mu sync.Mutex
	// accepted has the orders by ID, keys the IDs by the index of the order.
	accepted map[string]placement
	ids      map[int]string
	// added is the stock that was acknowledged, by SKU.
	added map[string]int64
	// cancelled are the orders whose cancellation was acknowledged; resolved counts the interventions that were, by order.
	cancelled map[string]bool
	resolved  map[string]int
	// contradictions are sentences about answers that must not be.
	contradictions []string
}

func newLedger() *ledger {
	return &ledger{accepted: map[string]placement{}, ids: map[int]string{}, added: map[string]int64{}, cancelled: map[string]bool{}, resolved: map[string]int{}}
}

func (l *ledger) contradict(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.contradictions = append(l.contradictions, fmt.Sprintf(format, args...))
}

// accept notes that an order was acknowledged.
func (l *ledger) accept(p placement, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, again := l.ids[p.index]; again && before != id {
		l.contradictions = append(l.contradictions, fmt.Sprintf("order %d was acknowledged as %s and as %s", p.index, before, id))
	}
	if p.id != "" && p.id != id {
		l.contradictions = append(l.contradictions, fmt.Sprintf("order %s was acknowledged as %s", p.id, id))
	}
	l.accepted[id], l.ids[p.index] = p, id
}

func (l *ledger) orders() map[string]placement {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.accepted)
}

// shop places orders and does what payer, warehouse, carrier and customers do about them.
type shop struct {
	seed   uint64
	urls   []string
	tokens map[string]string
	bus    *publisher
	record *recorder
	ledger *ledger
	http   *http.Client
	// next counts the orders over REST and by event, turn is the process for the next request.
	next [2]atomic.Int64
	turn atomic.Int64

	requests, retries, published, duplicates, refusals counter
}

// Callers with API keys.
const (
	shopKey      = "shop"
	warehouseKey = "warehouse"
	operatorKey  = "operator"
)

// scopes are what each caller may do.
var scopes = map[string]string{
	shopKey: "orders:write,orders:read", warehouseKey: "stock:read,stock:write", operatorKey: "operate,orders:read",
}

// send sends a request until it is answered by something else than that it may be repeated: each time to another process.
func (s *shop) send(ctx context.Context, caller, method, path string, body any, headers ...string) (harness.Response, error) {
	for {
		client := harness.Client{URL: s.urls[int(s.turn.Add(1))%len(s.urls)], HTTP: s.http, Token: s.tokens[caller]}
		attempt, cancel := context.WithTimeout(ctx, requestTimeout)
		response, err := client.Do(attempt, method, path, body, headers...)
		cancel()
		s.requests.add(1)
		if err == nil && response.Status < http.StatusInternalServerError && response.Status != http.StatusTooManyRequests {
			return response, nil
		}
		if err == nil && response.Status != http.StatusServiceUnavailable && response.Status != http.StatusTooManyRequests {
			s.ledger.contradict("%s %s is answered with %d: %s", method, path, response.Status, response.Body)
		}
		s.retries.add(1)
		pause := retryPause
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
			pause = min(time.Duration(seconds)*time.Second, 2*time.Second)
		}
		if sleepErr := sleep(ctx, pause); sleepErr != nil {
			return response, fmt.Errorf("%s %s was not answered: %w", method, path, sleepErr)
		}
	}
}

// placed places an order until it is acknowledged, and returns its ID.
func (s *shop) placed(ctx context.Context, p placement) (string, error) {
	if p.byEvent {
		return p.id, s.placeByEvent(ctx, p)
	}
	headers := []string{"Idempotency-Key", fmt.Sprintf("key-%d", p.index)}
	if p.wait {
		headers = append(headers, "Prefer", fmt.Sprintf("wait=%d", waitSeconds))
	}
	body := struct {
		ID string `json:"id,omitempty"`
		harness.Order
	}{p.id, p.order}
	once := func() (string, error) {
		response, err := s.send(ctx, shopKey, http.MethodPost, "/v1/orders", body, headers...)
		if err != nil {
			return "", err
		}
		var r harness.Resource
		if response.Status != http.StatusAccepted && response.Status != http.StatusCreated {
			err = fmt.Errorf("order %d is refused with %d: %s", p.index, response.Status, response.Body)
		} else if err = json.Unmarshal(response.Body, &r); err == nil {
			s.ledger.accept(p, r.ID)
			return r.ID, nil
		}
		s.ledger.contradict("%v", err)
		return "", err
	}
	if !p.twice {
		return once()
	}
	s.duplicates.add(1)
	var other sync.WaitGroup
	other.Go(func() { _, _ = once() })
	id, err := once()
	other.Wait()
	return id, err
}

// placeByEvent publishes an order, twice if the placement says so.
func (s *shop) placeByEvent(ctx context.Context, p placement) error {
	o := p.order
	o.ID = p.id
	times := 1
	if p.twice {
		s.duplicates.add(1)
		times = 2
	}
	for range times {
		if err := s.bus.publish(ctx, p.id+"/created", "order.created", p.id, o); err != nil {
			return err
		}
		s.published.add(1)
		s.ledger.accept(p, p.id)
	}
	return nil
}

// client is one client of the closed loop, who places all orders over REST, or all by event: while the broker is away, orders over REST go on.
func (s *shop) client(ctx, placing context.Context, client int, o options, began time.Time) {
	way := client % len(s.next)
	for placing.Err() == nil {
		if s.open() >= o.backlog {
			_ = sleep(placing, retryPause)
			continue
		}
		i := int(s.next[way].Add(1)-1)*len(s.next) + way
		if o.orders > 0 && i >= o.orders {
			return
		}
		if o.orders > 0 && sleep(placing, time.Until(began.Add(time.Duration(i)*o.duration/time.Duration(o.orders+1)))) != nil {
			return
		}
		if i%restockEvery == restockEvery-1 {
			s.restock(ctx, i)
		}
		// What was begun is repeated until it is acknowledged, also when no new order is placed anymore.
		if id, err := s.placed(ctx, place(s.seed, i)); err == nil {
			s.record.await(placing, id, endTimeout)
		}
	}
}

// open is how many orders have not ended, as far as the bus knows.
func (s *shop) open() int {
	ended, _, _ := s.record.counts()
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return len(s.ledger.accepted) - ended
}

// receive adds stock until that is acknowledged.
func (s *shop) receive(ctx context.Context, sku string, quantity int64, key string) error {
	response, err := s.send(ctx, warehouseKey, http.MethodPost, "/v1/stock/"+sku+"/receipts", map[string]int64{"quantity": quantity}, "Idempotency-Key", key)
	if err == nil && response.Status/100 != 2 {
		err = fmt.Errorf("receipt of %s is refused with %d: %s", sku, response.Status, response.Body)
	}
	if err == nil {
		s.add(sku, quantity)
	}
	return err
}

func (s *shop) add(sku string, quantity int64) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.ledger.added[sku] += quantity
}

// restock adds stock of a scarce SKU, half of the times by an event that is sent twice.
func (s *shop) restock(ctx context.Context, i int) {
	sku, key := fmt.Sprintf("chaos-scarce-%d", i/restockEvery%scarceSKUs+1), fmt.Sprintf("receipt-%d", i)
	if i/restockEvery%2 == 0 {
		if err := s.receive(ctx, sku, restocked, key); err != nil && ctx.Err() == nil {
			s.ledger.contradict("%v", err)
		}
		return
	}
	for range 2 {
		if s.bus.publish(ctx, key, "stock.received", sku, map[string]any{"sku": sku, "quantity": restocked}) != nil {
			return
		}
		s.published.add(1)
	}
	s.duplicates.add(1)
	s.add(sku, restocked)
}

// react is a handler of consume: it does what the kind of an order says about its event.
func (s *shop) react(m message) func(context.Context) error {
	if m.Sequence == "" {
		return nil // published by a client
	}
	i, err := strconv.Atoi(strings.TrimPrefix(m.Subject, ownID))
	if err != nil || !strings.HasPrefix(m.Subject, ownID) {
		return nil
	}
	p := place(s.seed, i)
	acts := p.kind.on[m.Type]
	if len(acts) == 0 {
		return nil
	}
	return func(ctx context.Context) error {
		for n, a := range acts {
			if err := s.do(ctx, p, a, fmt.Sprintf("%s/%s/%d", p.id, m.Type, n), (i+n)%5 == 0); err != nil {
				return err
			}
		}
		return nil
	}
}

// do does an act until it is acknowledged.
func (s *shop) do(ctx context.Context, p placement, a act, eventID string, twice bool) error {
	switch a.event {
	case placeAgain:
		p.twice = true
		_, err := s.placed(ctx, p)
		return err
	case cancelREST:
		return s.cancel(ctx, p.id, eventID)
	}
	data := map[string]any{"orderId": p.id}
	maps.Copy(data, a.data)
	times := 1
	if twice {
		s.duplicates.add(1)
		times = 2
	}
	for range times {
		if err := s.bus.publish(ctx, eventID, a.event, p.id, data); err != nil {
			return err
		}
		s.published.add(1)
	}
	return nil
}

func (s *shop) cancel(ctx context.Context, id, key string) error {
	response, err := s.send(ctx, shopKey, http.MethodPost, "/v1/orders/"+url.PathEscape(id)+"/cancellation", map[string]string{"reason": "chaos"}, "Idempotency-Key", key)
	if err != nil {
		return err
	}
	switch response.Status {
	case http.StatusOK, http.StatusAccepted:
		s.ledger.mu.Lock()
		defer s.ledger.mu.Unlock()
		s.ledger.cancelled[id] = true
	case http.StatusConflict:
		s.refusals.add(1)
	default:
		s.ledger.contradict("the cancellation of %s is answered with %d: %s", id, response.Status, response.Body)
	}
	return nil
}

// operate decides about orders that need attention until the context ends: what is stuck for good is decided, what an outage has stopped
// is retried.
func (s *shop) operate(ctx context.Context, every time.Duration) {
	decided := map[string]time.Time{}
	var resolving sync.WaitGroup
	defer resolving.Wait()
	places := make(chan struct{}, operators)
	for sleep(ctx, every) == nil {
		items, err := s.attention(ctx)
		if err != nil {
			continue
		}
		for _, item := range items {
			key := fmt.Sprintf("%s %d %s %v", item.ID, item.Attention, item.Step, item.Undo)
			if time.Since(decided[key]) < 10*time.Second {
				continue
			}
			decided[key] = time.Now()
			places <- struct{}{}
			resolving.Go(func() {
				defer func() { <-places }()
				s.resolve(ctx, item)
			})
		}
	}
}

func (s *shop) attention(ctx context.Context) ([]harness.AttentionItem, error) {
	response, err := s.send(ctx, operatorKey, http.MethodGet, "/v1/attention?limit=500", nil)
	if err != nil {
		return nil, err
	}
	var list struct{ Items []harness.AttentionItem }
	if err := response.Into(http.StatusOK, &list); err != nil {
		s.ledger.contradict("the list of orders that need attention: %v", err)
		return nil, err
	}
	return list.Items, nil
}

func (s *shop) resolve(ctx context.Context, item harness.AttentionItem) {
	p, known := s.ledger.orders()[item.ID]
	if !known {
		return // the acknowledgement of its placement is still on its way
	}
	response, err := s.send(ctx, operatorKey, http.MethodPost, "/v1/orders/"+url.PathEscape(item.ID)+"/resolutions", decision(p, item))
	switch {
	case err != nil:
	case response.Status == http.StatusOK:
		s.ledger.mu.Lock()
		defer s.ledger.mu.Unlock()
		s.ledger.resolved[item.ID]++
	case response.Status != http.StatusConflict:
		s.ledger.contradict("an intervention for %s is answered with %d: %s", item.ID, response.Status, response.Body)
	}
}

// decision is what the operator decides.
func decision(p placement, item harness.AttentionItem) harness.Decision {
	stuck := slices.Contains(p.kind.stuck, item.Step)
	actions := slices.DeleteFunc(slices.Clone(item.Actions), func(a string) bool { return a == "retry" })
	if !stuck && slices.Contains(item.Actions, "retry") || len(actions) == 0 {
		return harness.Decision{Action: "retry", Attention: item.Attention}
	}
	return harness.Decision{
		Action: actions[p.index%len(actions)], Attention: item.Attention, Note: "decided by the chaos run", Reference: fmt.Sprintf("chaos-%d", p.index),
	}
}
