package workflows

import (
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// arrival is a signal or an Update that brings a fact, as it is recognized when it comes again.
type arrival struct {
	// id and cause are the fact's; cause is empty when no event of the bus brought it.
	id, cause string
	// eventType is the type of the event, and identity its identity: see order.ShipmentFact.Identity.
	eventType, identity string
}

// shipmentTypes are the types of the events that bring facts about a parcel.
var shipmentTypes = map[ShipmentKind]string{
	ShipmentDispatched: event.ShipmentDispatched, ShipmentDelivered: event.ShipmentDelivered, ShipmentLost: event.ShipmentLost,
}

// arrivalOf returns the arrival that the payload of a signal is: order.Cancellation, order.PaymentHint or ShipmentSignal.
func arrivalOf(orderID string, payload any) arrival {
	switch p := payload.(type) {
	case order.Cancellation:
		return arrival{p.ID, p.Cause, event.OrderCancellationRequested, p.Identity(orderID)}
	case order.PaymentHint:
		return arrival{p.ID, p.Cause, p.EventType(), p.Identity(orderID)}
	case ShipmentSignal:
		eventType := shipmentTypes[p.Kind]
		return arrival{p.ID, p.Cause, eventType, p.Identity(orderID, eventType)}
	}
	return arrival{}
}

// IdentityOf returns the identity of the event that a signal with this payload passes on.
func IdentityOf(orderID string, payload any) string { return arrivalOf(orderID, payload).identity }

// Recorded reports whether the order's log shows that the event which a signal with this payload passes on has had its
// effect or its answer: then the signal is a redelivery.
func Recorded(s order.State, payload any) bool {
	a := arrivalOf(s.Order.ID, payload)
	return recorded(s, a.identity, a.eventType)
}

func recorded(s order.State, identity, eventType string) bool {
	return s.Caused(identity) || eventType == event.OrderCancellationRequested && s.CancelRefused
}

// factsOf lists what signals have brought, as the payloads that they had.
func factsOf(f order.Facts) []any {
	var facts []any
	for _, c := range f.Cancellations {
		facts = append(facts, c)
	}
	if f.Hint != nil {
		facts = append(facts, *f.Hint)
	}
	for _, shipment := range []struct {
		kind ShipmentKind
		fact *order.ShipmentFact
	}{{ShipmentDispatched, f.Dispatched}, {ShipmentDelivered, f.Delivered}, {ShipmentLost, f.Lost}} {
		if shipment.fact != nil {
			facts = append(facts, ShipmentSignal{Kind: shipment.kind, ShipmentFact: *shipment.fact})
		}
	}
	return facts
}
