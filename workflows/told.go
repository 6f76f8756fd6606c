package workflows

import (
	"encoding/json"
	"slices"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Told collects what runs of an order were told, for the run that takes over from them. Facts merge as they do in a run, so
// that the result is bounded however many signals there were. Of an order that has ended, every signal is kept, with the
// identity of its event instead of its texts: each one is late, and gets its verdict.
type Told struct {
	orderID       string
	ended         bool
	every         []activities.Signal
	cancellations []order.Cancellation
	hint          *order.PaymentHint
	shipments     map[ShipmentKind]ShipmentSignal
	stockLost     *StockLost
}

// NewTold returns a collection of nothing.
func NewTold(orderID string, ended bool) *Told {
	return &Told{orderID: orderID, ended: ended, shipments: make(map[ShipmentKind]ShipmentSignal)}
}

// Len is how many signals are collected.
func (t *Told) Len() int {
	n := len(t.every) + len(t.cancellations) + len(t.shipments)
	if t.hint != nil {
		n++
	}
	if t.stockLost != nil {
		n++
	}
	return n
}

// Signal adds a signal. Names that no run listens to are passed over. The error says that the payload cannot be read.
func (t *Told) Signal(name string, payload json.RawMessage) error {
	switch name {
	case SignalCancel:
		return decodeTold(payload, t.Cancellation)
	case SignalPayment:
		return decodeTold(payload, t.payment)
	case SignalShipment:
		return decodeTold(payload, t.shipment)
	case SignalStockLost:
		return decodeTold(payload, t.stock)
	}
	return nil
}

// Before adds what a run was handed by the one before it: what others have said, not what it found out itself.
func (t *Told) Before(r Resume) error {
	for _, c := range r.Facts.Cancellations {
		t.Cancellation(c)
	}
	for _, h := range []*order.PaymentHint{r.Unasked, r.Facts.Hint} {
		if h != nil {
			t.payment(*h)
		}
	}
	for n, f := range []*order.ShipmentFact{r.Facts.Dispatched, r.Facts.Delivered, r.Facts.Lost} {
		if f != nil {
			t.shipment(ShipmentSignal{Kind: shipmentKinds[n], ShipmentFact: *f})
		}
	}
	if r.Facts.StockLost != "" {
		t.stock(StockLost{SKU: r.Facts.StockLost})
	}
	for _, e := range r.Late {
		t.late(e)
	}
	for _, s := range r.Missed {
		if err := t.Signal(s.Name, s.Payload); err != nil {
			return err
		}
	}
	return nil
}

// late adds an event that came when the order had ended, and has no verdict.
func (t *Told) late(e activities.LateEvent) {
	switch e.Type {
	case event.OrderCancellationRequested:
		t.Cancellation(order.Cancellation{ID: e.ID, Cause: e.EventID})
	case event.PaymentSucceeded, event.PaymentFailed:
		t.payment(order.PaymentHint{ID: e.ID, Cause: e.EventID, Succeeded: e.Type == event.PaymentSucceeded})
	default:
		for kind, eventType := range shipmentTypes {
			if e.Type == eventType {
				t.shipment(ShipmentSignal{Kind: kind, ShipmentFact: order.ShipmentFact{ID: e.ID, Cause: e.EventID}})
			}
		}
	}
	if n := len(t.every); t.ended && e.Identity != "" && n > 0 {
		t.every[n-1].Identity = e.Identity
	}
}

// Cancellation adds a request to cancel.
func (t *Told) Cancellation(c order.Cancellation) {
	c.ID, c.Cause = tidy(SignalCancel, c.ID, c.Cause)
	c.Reason = clip(c.Reason)
	switch {
	case t.ended:
		t.keep(SignalCancel, order.Cancellation{ID: c.ID, Cause: c.Cause}, c)
	case len(t.cancellations) < order.MaxCancellations:
		t.cancellations = append(t.cancellations, c)
	}
}

func (t *Told) payment(h order.PaymentHint) {
	h.ID, h.Cause = tidy(SignalPayment, h.ID, h.Cause)
	h.Code = clip(h.Code)
	switch {
	case t.ended:
		t.keep(SignalPayment, order.PaymentHint{ID: h.ID, Cause: h.Cause, Succeeded: h.Succeeded}, h)
	case t.hint == nil || !t.hint.Succeeded || h.Succeeded:
		// That the payer has paid is about money: that the payment failed does not replace it.
		t.hint = &h
	}
}

func (t *Told) shipment(s ShipmentSignal) {
	s.ID, s.Cause = tidy(SignalShipment, s.ID, s.Cause)
	s.Carrier, s.TrackingNumber, s.Reason = clip(s.Carrier), clip(s.TrackingNumber), clip(s.Reason)
	switch {
	case t.ended:
		t.keep(SignalShipment, ShipmentSignal{Kind: s.Kind, ShipmentFact: order.ShipmentFact{ID: s.ID, Cause: s.Cause}}, s)
	case slices.Contains(shipmentKinds, s.Kind):
		t.shipments[s.Kind] = s
	}
}

// stock adds that stock is not there. It is no event, and nothing to an order that has ended.
func (t *Told) stock(l StockLost) {
	if l.SKU = clip(l.SKU); t.stockLost == nil && !t.ended {
		t.stockLost = &l
	}
}

// shipmentKinds are the kinds of shipment signals, in the order in which they happen.
var shipmentKinds = []ShipmentKind{ShipmentDispatched, ShipmentDelivered, ShipmentLost}

// keep keeps a signal, cut to a payload without texts. Full is the payload that it had.
func (t *Told) keep(name string, payload, full any) {
	signal := told(name, payload)
	signal.Identity = IdentityOf(t.orderID, full)
	t.every = append(t.every, signal)
}

// Signals are what was collected.
func (t *Told) Signals() []activities.Signal {
	signals := t.every
	for _, c := range t.cancellations {
		signals = append(signals, told(SignalCancel, c))
	}
	if t.hint != nil {
		signals = append(signals, told(SignalPayment, *t.hint))
	}
	for _, kind := range shipmentKinds {
		if s, ok := t.shipments[kind]; ok {
			signals = append(signals, told(SignalShipment, s))
		}
	}
	if t.stockLost != nil {
		signals = append(signals, told(SignalStockLost, *t.stockLost))
	}
	return signals
}

// Facts are what was collected, merged; of a collection that does not keep every signal.
func (t *Told) Facts() order.Facts {
	f := order.Facts{Cancellations: t.cancellations, Hint: t.hint}
	if t.stockLost != nil {
		f.StockLost = t.stockLost.SKU
	}
	for n, fact := range []**order.ShipmentFact{&f.Dispatched, &f.Delivered, &f.Lost} {
		if s, ok := t.shipments[shipmentKinds[n]]; ok {
			*fact = &s.ShipmentFact
		}
	}
	return f
}

// told is a signal. Its payload is made of strings and booleans, and always has a JSON form.
func told(name string, payload any) activities.Signal {
	raw, _ := json.Marshal(payload)
	return activities.Signal{Name: name, Payload: raw}
}

func decodeTold[T any](payload json.RawMessage, take func(T)) error {
	var signal T
	if err := json.Unmarshal(payload, &signal); err != nil {
		return err
	}
	take(signal)
	return nil
}
