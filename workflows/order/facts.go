package order

import (
	"github.com/ordersaga/ordersaga/event"
)

// identity names a fact that an event of the bus has brought: the event's source and id (both are in id, see
// Cancellation.ID), its type, its subject, and the content that is used. Two events are the same one only if all of them are
// equal: ids are unique for their source only, and many senders use the order id as the id of every event.
func identity(eventType, orderID, id string, content ...string) string {
	return event.DerivedID(append([]string{"inbound", eventType, orderID, id}, content...)...)
}

// Identity names the event that brought the request to cancel an order.
func (c Cancellation) Identity(orderID string) string {
	return identity(event.OrderCancellationRequested, orderID, c.ID, c.Reason)
}

// EventType is the type of the event that brought the notification.
func (h PaymentHint) EventType() string {
	if h.Succeeded {
		return event.PaymentSucceeded
	}
	return event.PaymentFailed
}

// Identity names the event that brought a notification about an order's payment.
func (h PaymentHint) Identity(orderID string) string {
	return identity(h.EventType(), orderID, h.ID, h.Code)
}

// Identity names the event of the type that brought a fact about an order's parcel.
func (f ShipmentFact) Identity(orderID, eventType string) string {
	return identity(eventType, orderID, f.ID, f.Carrier, f.TrackingNumber)
}

// NamesCause reports whether events of the type carry the identity of the event of the bus that caused them, if one did. Those
// that an older version recorded do not.
func NamesCause(eventType string) bool {
	switch eventType {
	case event.OrderShipped, event.OrderDelivered, event.OrderCompensating, event.PaymentAuthorized, event.PaymentDeclined:
		return true
	}
	return false
}
