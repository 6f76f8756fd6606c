package shop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/ordersaga/ordersaga/test/harness"
)

const (
	// patience bounds what the shop waits for: an order's end, or an event about it. Longer than a busy machine may not respond.
	patience = 5 * time.Minute
	// wait is the longest that a POST may wait.
	wait = time.Minute
)

// Shop places orders with a running service.
type Shop struct {
	// clients are those of the processes that take orders, in turn, as a load balancer does.
	clients []harness.Client
	turn    atomic.Uint64
	http    *http.Client
	bus     *bus

	mu     sync.Mutex
	placed map[string]string // order id -> terminal event
}

// Open opens a shop before the processes of a service that take orders.
func Open(services []string, amqpURL, exchange string, inFlight int) (*Shop, error) {
	b, err := dial(amqpURL, exchange)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{MaxIdleConns: 4 * inFlight, MaxIdleConnsPerHost: 4 * inFlight, DisableCompression: true}
	s := &Shop{http: &http.Client{Transport: transport, Timeout: patience}, bus: b, placed: map[string]string{}}
	for _, url := range services {
		s.clients = append(s.clients, harness.Client{URL: url, HTTP: s.http})
	}
	return s, nil
}

// client is whose turn it is.
func (s *Shop) client() harness.Client {
	return s.clients[s.turn.Add(1)%uint64(len(s.clients))]
}

// Close ends the connections. It may be called again.
func (s *Shop) Close() {
	s.http.CloseIdleConnections()
	s.bus.close()
}

// Placed are the orders that were placed so far, with the terminal event that each must have.
func (s *Shop) Placed() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.placed)
}

// Doubled is an error if the bus has delivered two different events of one type about an order.
func (s *Shop) Doubled() error {
	if doubled := s.bus.news.doubles(); len(doubled) > 0 {
		return errors.New(strings.Join(doubled, "\n"))
	}
	return nil
}

// Stock adds received stock.
func (s *Shop) Stock(ctx context.Context) error {
	for _, sku := range SKUs() {
		if err := s.client().Receive(ctx, sku, Pieces); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shop) note(id, end string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.placed[id] = end
}

// Settled waits until the bus has told the end of every order that was placed: with it, everything about them was
// published.
func (s *Shop) Settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for id, end := range s.Placed() {
		if err := s.bus.news.await(ctx, id, end); err != nil {
			return err
		}
	}
	return nil
}

// Begin places an order with each process; it must work sooner or later: right after its start, a service may have to wait for
// what its servers tell each other.
func (s *Shop) Begin(ctx context.Context, o Order) error {
	for _, c := range s.clients {
		if err := s.begin(ctx, c, o); err != nil {
			return err
		}
	}
	return nil
}

// begin is Begin with one of them. The key makes it one order, however often it is sent.
func (s *Shop) begin(ctx context.Context, c harness.Client, o Order) error {
	key := uuid.NewString()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticks := time.NewTicker(100 * time.Millisecond)
	defer ticks.Stop()
	for {
		id, err := s.post(ctx, c, o, "Idempotency-Key", key)
		if err == nil {
			return s.bus.news.await(ctx, id, o.End)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return fmt.Errorf("the service does not take orders: %w", err)
		}
	}
}

// ByREST places an order with a POST that waits for the end.
func (s *Shop) ByREST(ctx context.Context, o Order) (id string, err error) {
	return s.post(ctx, s.client(), o)
}

// ByRESTWithKey does the same with an Idempotency-Key.
func (s *Shop) ByRESTWithKey(ctx context.Context, o Order) (id string, err error) {
	return s.post(ctx, s.client(), o, "Idempotency-Key", uuid.NewString())
}

// statusOf is the status that a terminal event leads to.
func statusOf(end string) string { return strings.TrimPrefix(end, "order.") }

func (s *Shop) post(ctx context.Context, c harness.Client, o Order, headers ...string) (id string, err error) {
	body := o.Order
	body.ID = ""
	response, err := c.Do(ctx, http.MethodPost, "/v1/orders", body, append(headers, "Prefer", fmt.Sprintf("wait=%d", int(wait.Seconds())))...)
	if err != nil {
		return "", err
	}
	want := http.StatusCreated
	if response.Status == http.StatusAccepted { // the wait was over before the order
		want = http.StatusAccepted
	}
	var placed harness.Resource
	if err := response.Into(want, &placed); err != nil {
		return "", err
	}
	s.note(placed.ID, o.End)
	switch {
	case placed.Status == statusOf(o.End):
		return placed.ID, nil
	case slices.Contains(terminals, "order."+placed.Status):
		return placed.ID, fmt.Errorf("order %s is %s (%s), not %s", placed.ID, placed.Status, placed.Reason, statusOf(o.End))
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return placed.ID, s.bus.news.await(ctx, placed.ID, o.End)
}

// ByEvent places an order with order.created and waits until the bus says how it ended.
func (s *Shop) ByEvent(ctx context.Context, o Order) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.note(o.ID, o.End)
	if err := s.bus.publish(ctx, "order.created", o.ID, o.Order); err != nil {
		return o.ID, err
	}
	return o.ID, s.bus.news.await(ctx, o.ID, o.End)
}

// Park places a shipment order and waits for order.confirmed.
func (s *Shop) Park(ctx context.Context, o Order) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body := o.Order
	body.ID = ""
	placed, err := s.client().Place(ctx, body, 0)
	if err != nil {
		return "", err
	}
	s.note(placed.ID, o.End)
	return placed.ID, s.bus.news.await(ctx, placed.ID, confirmed)
}

// ByShipment places a shipment order, plays the warehouse and the carrier, and waits for the end.
func (s *Shop) ByShipment(ctx context.Context, o Order) (id string, err error) {
	id, err = s.Park(ctx, o)
	if err != nil {
		return id, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	parcel := map[string]string{"orderId": id, "carrier": "bench", "trackingNumber": "t-1"}
	if err := s.bus.publish(ctx, "shipment.dispatched", id, parcel); err != nil {
		return id, err
	}
	if err := s.bus.news.await(ctx, id, shipped); err != nil {
		return id, err
	}
	if err := s.bus.publish(ctx, "shipment.delivered", id, map[string]string{"orderId": id}); err != nil {
		return id, err
	}
	return id, s.bus.news.await(ctx, id, o.End)
}

// Cancel cancels a parked order and waits until everything is undone.
func (s *Shop) Cancel(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.note(id, Cancelled)
	response, err := s.client().Cancel(ctx, id, "the benchmark changed its mind")
	if err != nil {
		return err
	}
	if err := response.Into(http.StatusOK, nil); err != nil {
		return err
	}
	return s.bus.news.await(ctx, id, Cancelled)
}
