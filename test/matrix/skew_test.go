package matrix

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// TestWorkerClockSkewHasNoEffect: a worker whose clock is 45 minutes wrong neither shortens nor extends a wait, also when it is
// replaced by a worker with the opposite error. All events are timed by Temporal's clock, which is this machine's.
func TestWorkerClockSkewHasNoEffect(t *testing.T) {
	environments := newPool(t, 1, 1, 1000)
	// No wait ends by itself while the test runs.
	const wait = 20 * time.Minute
	for _, l := range []*environment{<-environments.fast, <-environments.slow} {
		l.timing.PaymentPending, l.timing.Shipment, l.timing.Delivery = wait, wait, wait
		// Runs take the settings of the process that opens them: this one has to be a new one.
		old := l.current
		l.replace(old, dead, func() {})
		l.resume()
		for name, wrong := range map[string]time.Duration{"slow": -45 * time.Minute, "fast": 45 * time.Minute} {
			for _, j := range []journey{
				{name: "pending", fulfillment: order.Immediate, method: "tok_pending", script: []scriptEvent{pay}},
				{name: "shipment", fulfillment: order.Shipment, method: "tok_visa", script: []scriptEvent{dispatch, deliver}},
			} {
				kind := "slow gateway"
				if l.fast {
					kind = "fast gateway"
				}
				t.Run(kind+"/"+name+"/"+j.name, func(t *testing.T) { l.runSkewed(t, j, wrong, wait) })
			}
		}
	}
}

// runSkewed runs an order while clocks are wrong, and with the opposite error after the first event that starts a wait.
func (l *environment) runSkewed(t *testing.T, j journey, wrong, wait time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	id := l.unique("o")
	o := order.Order{
		ID: id, CustomerID: "c-1", Currency: "EUR", Fulfillment: j.fulfillment,
		Payment: order.PaymentMethod{Method: j.method}, Lines: []order.Line{{SKU: "tea-" + id, Quantity: 2, UnitAmount: 450}},
	}.Normalize()
	l.receive(ctx, "tea-"+id, 5)
	l.set(detour{mode: inline})
	l.skew.Store(int64(wrong))
	defer l.skew.Store(0)
	began := time.Now()
	require.NoError(t, l.place(ctx, o))
	flip := scriptEvent{j.script[0].when, func(ctx context.Context, l *environment, orderID string) {
		l.skew.Store(-int64(wrong))
		j.script[0].do(ctx, l, orderID)
	}}
	require.NoError(t, l.drive(ctx, id, append([]scriptEvent{flip}, j.script[1:]...)))
	ended := time.Now()
	assert.Equal(t, order.StatusCompleted, l.state(id).Status)
	assert.Empty(t, l.violations([]order.Order{o}))

	// The times of a stream have milliseconds, and on a busy machine the time of a task may be late.
	const slack = time.Minute
	for _, r := range l.records(event.OrderStream(id)) {
		assert.WithinRange(t, r.Time, began.Add(-slack), ended.Add(slack), "%s", r.Type)
	}
	s := l.state(id)
	payment, dispatch, delivery := s.Slot(order.SlotPending).ExpiresAt, s.Slot(order.SlotConfirm).ExpiresAt, s.Slot(order.SlotShip).ExpiresAt
	for name, at := range map[string]time.Time{"payment": payment, "dispatch": dispatch, "delivery": delivery} {
		if !at.IsZero() {
			assert.WithinRange(t, at, began.Add(wait-slack), ended.Add(wait+slack), "%s", name)
		}
	}
	assert.Equal(t, j.fulfillment == order.Shipment, !dispatch.IsZero() && !delivery.IsZero())
	assert.Equal(t, j.method == "tok_pending", !payment.IsZero())
	if t.Failed() {
		t.Log(l.story(o))
	}
}
