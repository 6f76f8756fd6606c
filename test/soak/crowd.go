package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/ordersaga/ordersaga/test/harness"
)

// crowd is everybody around the service: customers, the payment provider, the warehouse.
type crowd struct {
	ctx    context.Context
	client harness.Client
	sender *sender
	run    string
	all    sync.WaitGroup

	mu sync.Mutex
	// busy counts who is about to send something.
	busy int
	// sent counts the orders that are on their way; plans holds those that were accepted, by id.
	sent  int
	plans map[string]plan
	// seen are the events that came before it was known what kind of order they are about.
	seen map[string][]string
	// lost are sentences about what could not be sent.
	lost []string
}

// place sends an order, as often as its plan says, and does not wait for it.
func (c *crowd) place(p plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	c.begin(func() {
		if !p.byEvent {
			c.request(p)
			return
		}
		c.know(p.order.ID, p)
		c.tell(p, p.order.ID, append([]string{"order.created"}, p.early...))
	})
}

// request places an order over REST, again under its key until it is answered.
func (c *crowd) request(p plan) {
	key := fmt.Sprintf("%s-%d", c.run, p.number)
	var id string
	for range p.times {
		for {
			ctx, cancel := context.WithTimeout(c.ctx, 20*time.Second)
			placed, err := c.client.Place(ctx, p.order, 0, "Idempotency-Key", key)
			cancel()
			if err == nil {
				if id != "" && id != placed.ID {
					c.miss("order %s: the same request made %s and %s", key, id, placed.ID)
				}
				id = placed.ID
				break
			}
			if !rest(c.ctx, 200*time.Millisecond) {
				c.miss("order %s was never accepted: %v", key, err)
				return
			}
		}
	}
	c.know(id, p)
}

// tell sends events about an order, each as often as the plan says, all of them in any order.
func (c *crowd) tell(p plan, orderID string, types []string) {
	var ways []string
	for range p.times {
		ways = append(ways, types...)
	}
	rand.New(rand.NewPCG(uint64(p.number), uint64(len(types)))).Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
	for _, eventType := range ways {
		var data any = map[string]any{"orderId": orderID}
		if eventType == "order.created" {
			data = p.order
		}
		// The same event every time: its id is that of what happened.
		id := fmt.Sprintf("%s/%s/%d", c.run, eventType, p.number)
		if err := c.sender.send(c.ctx, id, eventType, orderID, data); err != nil {
			c.miss("%s about order %s was never confirmed: %v", eventType, orderID, err)
		}
	}
}

// hear is called for each new event of an order.
func (c *crowd) hear(orderID, eventType string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, known := c.plans[orderID]
	if !known {
		c.seen[orderID] = append(c.seen[orderID], eventType)
		return
	}
	c.react(p, orderID, eventType)
}

// know notes what kind of order an id is, and catches up on what was heard of it.
func (c *crowd) know(orderID string, p plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plans[orderID] = p
	for _, eventType := range c.seen[orderID] {
		c.react(p, orderID, eventType)
	}
	delete(c.seen, orderID)
}

// react does what the neighbours do at an event.
func (c *crowd) react(p plan, orderID, eventType string) {
	if types := p.reply[eventType]; len(types) > 0 {
		c.begin(func() { c.tell(p, orderID, types) })
	}
	if p.cancel == eventType {
		c.begin(func() { c.cancelOrder(orderID) })
	}
}

// begin has somebody send something. The caller holds the lock.
func (c *crowd) begin(do func()) {
	c.busy++
	c.all.Go(func() {
		do()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.busy--
	})
}

// cancelOrder asks until there is an answer.
func (c *crowd) cancelOrder(orderID string) {
	for {
		ctx, cancel := context.WithTimeout(c.ctx, 20*time.Second)
		response, err := c.client.Cancel(ctx, orderID, "changed my mind")
		cancel()
		if err == nil && (response.Status == http.StatusOK || response.Status == http.StatusConflict) {
			return
		}
		if !rest(c.ctx, 200*time.Millisecond) {
			c.miss("order %s: nobody answers the cancellation: %v %s", orderID, err, response.Body)
			return
		}
	}
}

func (c *crowd) miss(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = append(c.lost, fmt.Sprintf(format, args...))
}

// counts returns how many orders were sent, how many of them were accepted, and how many have something left to send: who
// sends everything twice may still do so when the order has ended.
func (c *crowd) counts() (sent, accepted, busy int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent, len(c.plans), c.busy
}
