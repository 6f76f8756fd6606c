package order

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Registered names of the order's signals. They are part of histories: never rename one.
const (
	// SignalPayment brings a PaymentHint, SignalShipment a ShipmentSignal.
	SignalPayment  = "payment"
	SignalShipment = "shipment"
	// SignalStockLost brings a StockLost.
	SignalStockLost = "stock_lost"
)

// Cancellation is a request to cancel.
type Cancellation = saga.Cancellation

// Facts are what a run has seen besides the log.
type Facts = saga.Facts

// Stuck reports that a step which must succeed does not.
type Stuck = saga.StuckCall

// PaymentHint is a notification of the bus about a pending payment. It is not believed: the gateway is asked.
type PaymentHint struct {
	ID        string `json:"id"`
	Cause     string `json:"cause,omitempty"`
	Succeeded bool   `json:"succeeded"`
	Code      string `json:"code,omitempty"`
}

// EventType is the type of the event that brought the notification.
func (h PaymentHint) EventType() string {
	if h.Succeeded {
		return event.PaymentSucceeded
	}
	return event.PaymentFailed
}

// paymentData is the data of a payment notification as a fact.
type paymentFact struct {
	Code string `json:"code,omitempty"`
}

// Fact is the notification as the kit knows it.
func (h PaymentHint) Fact(orderID string) saga.Fact {
	h.ID, h.Cause = saga.Tidy(SignalPayment, h.ID, h.Cause)
	h.Code = saga.Clip(h.Code)
	return saga.Fact{
		Type: h.EventType(), ID: h.ID, Cause: h.Cause, Identity: saga.Identity(h.EventType(), orderID, h.ID, h.Code), Data: jsonOf(paymentFact{h.Code}),
	}
}

// ShipmentKind is the kind of a shipment signal.
type ShipmentKind string

// The kinds of shipment signals.
const (
	ShipmentDispatched ShipmentKind = "dispatched"
	ShipmentDelivered  ShipmentKind = "delivered"
	ShipmentLost       ShipmentKind = "lost"
)

// shipmentTypes are the types of the events that bring facts about a parcel.
var shipmentTypes = map[ShipmentKind]string{
	ShipmentDispatched: event.ShipmentDispatched, ShipmentDelivered: event.ShipmentDelivered, ShipmentLost: event.ShipmentLost,
}

// ShipmentFact is what the bus says about a parcel. Without Lines it is about all lines of the parcel, or about all that are in no parcel.
type ShipmentFact struct {
	ID             string         `json:"id"`
	Cause          string         `json:"cause,omitempty"`
	Carrier        string         `json:"carrier,omitempty"`
	TrackingNumber string         `json:"trackingNumber,omitempty"`
	Reason         string         `json:"reason,omitempty"`
	ParcelID       string         `json:"parcelId,omitempty"`
	Lines          []ShipmentLine `json:"lines,omitempty"`
}

// ShipmentLine is how many of a line, or of a SKU, an event is about; 0 means all of them. A quantity below zero could not be read, nor could
// a line below zero: they fit nothing.
type ShipmentLine struct {
	Line     int    `json:"line,omitempty"`
	SKU      string `json:"sku,omitempty"`
	Quantity int64  `json:"quantity,omitempty"`
}

// MaxShipmentLines bounds how many lines an event about a parcel names.
const MaxShipmentLines = 2 * MaxLines

// maxSKU is how many bytes a SKU may take.
const maxSKU = 200

// name is what the parcel is identified by; "" if it is all that remains, or what its lines say.
func (f ShipmentFact) name() string { return cmp.Or(clean(f.ParcelID), clean(f.TrackingNumber)) }

// clip bounds the texts and the lines of a signal.
func (f ShipmentFact) clip() ShipmentFact {
	f.Carrier, f.TrackingNumber, f.Reason, f.ParcelID = saga.Clip(f.Carrier), saga.Clip(f.TrackingNumber), saga.Clip(f.Reason), saga.Clip(f.ParcelID)
	f.Lines = slices.Clone(f.Lines[:min(len(f.Lines), MaxShipmentLines)])
	for i, l := range f.Lines {
		if len(l.SKU) > maxSKU {
			f.Lines[i].SKU = strings.ToValidUTF8(l.SKU[:maxSKU], "")
		}
	}
	return f
}

// content is what makes the event another one than that with the same ID.
func (f ShipmentFact) content() []string {
	content := []string{f.Carrier, f.TrackingNumber}
	if f.ParcelID != "" || len(f.Lines) > 0 {
		content = append(content, f.ParcelID, string(jsonOf(f.Lines)))
	}
	return content
}

// part keeps what was heard about a parcel apart from what was heard about others, and about other goods.
func (f ShipmentFact) part() string {
	if len(f.Lines) == 0 {
		return f.name()
	}
	return event.DerivedID("part", f.name(), string(jsonOf(f.Lines)))
}

// ShipmentSignal brings what the warehouse or the carrier said.
type ShipmentSignal struct {
	Kind ShipmentKind `json:"kind"`
	ShipmentFact
}

// Fact is what was said as the kit knows it.
func (s ShipmentSignal) Fact(orderID string) saga.Fact {
	eventType := shipmentTypes[s.Kind]
	s.ID, s.Cause = saga.Tidy(SignalShipment, s.ID, s.Cause)
	s.ShipmentFact = s.clip()
	return saga.Fact{
		Type: eventType, ID: s.ID, Cause: s.Cause, Identity: saga.Identity(eventType, orderID, s.ID, s.content()...), Part: s.part(),
		Data: jsonOf(s.ShipmentFact),
	}
}

// StockLost asks an order to give way: stock that it holds is not there.
type StockLost struct {
	SKU string `json:"sku"`
}

// Ending is how the order ends that gives way.
func (l StockLost) Ending() saga.Ending {
	return saga.Ending{
		Outcome: StatusRejected, Reason: ReasonStockLost, Detail: "fewer of sku " + saga.Clip(l.SKU) + " are on hand than reserved",
	}
}

// FactOf is a payload of a signal as the kit knows it: a Cancellation, a PaymentHint or a ShipmentSignal.
func FactOf(orderID string, payload any) saga.Fact {
	switch p := payload.(type) {
	case Cancellation:
		return Flow.Cancellation(orderID, p)
	case PaymentHint:
		return p.Fact(orderID)
	case ShipmentSignal:
		return p.Fact(orderID)
	}
	return saga.Fact{}
}

// FactsOf are the facts of a run that has received signals with these payloads.
func FactsOf(orderID string, payloads ...any) Facts {
	c := Flow.Collect(orderID, false)
	for _, p := range payloads {
		c.Add(FactOf(orderID, p))
	}
	return c.Merged()
}

// IdentityOf returns the identity of the event that a signal with this payload passes on.
func IdentityOf(orderID string, payload any) string { return FactOf(orderID, payload).Identity }

// Recorded reports whether the order's log shows that the event which a signal with this payload passes on has had its
// effect or its answer: then the signal is a redelivery.
func Recorded(s State, payload any) bool {
	return Flow.Answered(&s, FactOf(s.Order.ID, payload).Late())
}

// read makes the fact of the payload of a signal.
func read[T interface {
	Fact(orderID string) saga.Fact
}](orderID string, payload json.RawMessage) (saga.Fact, error) {
	var signal T
	err := json.Unmarshal(payload, &signal)
	return signal.Fact(orderID), err
}

// jsonOf is a struct of strings and numbers in JSON.
func jsonOf(v any) json.RawMessage {
	raw, _ := json.Marshal(v)
	return raw
}

// NamesCause reports whether events of the type carry the identity of the event of the bus that caused them, if one did. Those
// that an older version recorded do not.
func NamesCause(eventType string) bool {
	switch eventType {
	case event.OrderShipped, event.OrderDelivered, event.OrderParcelDispatched, event.OrderParcelDelivered, event.OrderParcelLost, event.OrderCompensating, event.PaymentAuthorized, event.PaymentDeclined:
		return true
	}
	return false
}
