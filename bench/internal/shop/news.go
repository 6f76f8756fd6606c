package shop

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// news collects what the bus says about orders, and lets others wait for it.
type news struct {
	mu      sync.Mutex
	heard   map[string]map[string]string // order id -> type -> event id
	waiting map[string]chan struct{}
	doubled []string
	closed  error
}

func newNews() *news {
	return &news{heard: map[string]map[string]string{}, waiting: map[string]chan struct{}{}}
}

// tell adds an event. The same event may be delivered again; another one of the same type is an error.
func (n *news) tell(orderID, eventType, eventID string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	types := n.heard[orderID]
	if types == nil {
		types = map[string]string{}
		n.heard[orderID] = types
	}
	if known, again := types[eventType]; again {
		if known != eventID {
			n.doubled = append(n.doubled, fmt.Sprintf("order %s has two events of type %s: %s and %s", orderID, eventType, known, eventID))
		}
		return
	}
	types[eventType] = eventID
	if waiting, ok := n.waiting[orderID]; ok {
		close(waiting)
		delete(n.waiting, orderID)
	}
}

// end wakes all listeners with an error: no more events will arrive.
func (n *news) end(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = err
	for id, waiting := range n.waiting {
		close(waiting)
		delete(n.waiting, id)
	}
}

// look reports whether an event of the type about an order has arrived, why it never will, or where to wait for news.
func (n *news) look(orderID, eventType string) (heard bool, wait <-chan struct{}, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	types := n.heard[orderID]
	if _, heard := types[eventType]; heard {
		return true, nil, nil
	}
	for _, terminal := range terminals {
		if _, ended := types[terminal]; ended {
			return false, nil, fmt.Errorf("order %s ended with %s; %s was expected", orderID, terminal, eventType)
		}
	}
	if n.closed != nil {
		return false, nil, n.closed
	}
	waiting, ok := n.waiting[orderID]
	if !ok {
		waiting = make(chan struct{})
		n.waiting[orderID] = waiting
	}
	return false, waiting, nil
}

// await waits until an event of the type about an order has arrived.
func (n *news) await(ctx context.Context, orderID, eventType string) error {
	for {
		heard, wait, err := n.look(orderID, eventType)
		if heard || err != nil {
			return err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return fmt.Errorf("no %s of order %s: %w", eventType, orderID, ctx.Err())
		}
	}
}

// doubles returns the events that arrived twice with different content.
func (n *news) doubles() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.doubled)
}
