// Package inbound leads from the bus to the flows. Parse makes a command of an event, without I/O; an Executor does what the command
// asks for; a Previewer says what that would come to, and does nothing.
//
// # Contract
//
// Threads: everything may be used by any number of goroutines. Idempotency: every command may be executed again; what it causes has slots
// and ids that are derived from its event. Errors: fault codes, whose disposition says what becomes of the message; see fault.Lookup.
//
// The package may import workflows, activities and internal packages; Temporal, brokers and databases reach it through small interfaces.
package inbound

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/internal/notify"
	"github.com/ordersaga/ordersaga/internal/text"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Command is an event once it is understood: StartOrder, CancelOrder, OrderFact, ReceiveStock, RegisterCustomer, StartSaga or SignalSaga.
type Command interface{ origin() Origin }

// Origin is the event that a command comes from.
type Origin struct {
	// Key joins the event's source and id: ids are unique for their source only. Slots are named by it. Senders use one id for several
	// events, so where types or subjects meet, the whole identity is compared: see order.IdentityOf.
	Key string
	// EventID, Type and Subject are the event's. The subject is the id of an order, a SKU or a customer.
	EventID, Type, Subject string
	// CorrelationID is the event's, or its id: an event without one begins a correlation of its own.
	CorrelationID string
}

func (o Origin) origin() Origin { return o }

// StartOrder places an order. It is valid and normalized, but may break a rule for new orders.
type StartOrder struct {
	Origin
	Order order.Order
}

// CancelOrder requests the cancellation of an order, which need not be known yet.
type CancelOrder struct {
	Origin
	Cancellation order.Cancellation
}

// OrderFact is what a payment provider, the warehouse or a carrier says about an order.
type OrderFact struct {
	Origin
	// Signal is the name of the signal that brings it to the saga, Payload an order.PaymentHint or a order.ShipmentSignal.
	Signal  string
	Payload any
}

// ReceiveStock books goods that came in, into the stock ledger.
type ReceiveStock struct {
	Origin
	Quantity int64
}

// RegisterCustomer keeps what a customer says about themselves.
type RegisterCustomer struct {
	Origin
	// OccurredAt is the event's time, which may be zero.
	OccurredAt time.Time
	Profile    onboarding.Profile
}

// parsers has the parser of each inbound type.
var parsers = map[string]func(e event.Event, o Origin) (Command, error){
	event.OrderCreated:               parseOrder,
	event.OrderCancellationRequested: parseCancellation,
	event.PaymentSucceeded:           parsePayment,
	event.PaymentFailed:              parsePayment,
	event.ShipmentDispatched:         parseShipment(order.ShipmentDispatched),
	event.ShipmentDelivered:          parseShipment(order.ShipmentDelivered),
	event.ShipmentLost:               parseShipment(order.ShipmentLost),
	event.StockReceived:              parseReceipt,
	event.UserRegistered:             parseRegistration,
}

// Parse makes a command of an event for a flow of this service. Errors: as of Routes.Parse.
func Parse(e event.Event) (Command, error) { return Routes{}.Parse(e) }

// Parse makes a command of an event. Errors: UnknownType, Malformed, and Invalid, which names every field that is wrong.
func (r Routes) Parse(e event.Event) (Command, error) {
	parse, ok := parsers[e.Type]
	if route, routed := r.of(e.Type); routed {
		parse, ok = route.parse, true
	}
	if !ok {
		return nil, fault.New(fault.UnknownType, "%q is not an inbound event type", e.Type)
	}
	o := Origin{Key: event.DerivedID(e.Source, e.ID), EventID: e.ID, Type: e.Type, Subject: e.Subject, CorrelationID: e.CorrelationID}
	if o.CorrelationID == "" {
		o.CorrelationID = e.ID
	}
	command, err := parse(e, o)
	if err != nil {
		return nil, err
	}
	return command, nil
}

// Check says what is wrong with an event before it is sent: everything but what depends on its order. Errors: as of Parse.
func (r Routes) Check(e event.Event) error {
	command, err := r.Parse(e)
	if start, ok := command.(StartOrder); err == nil && ok {
		err = inData(start.Order.ValidateNew())
	}
	return err
}

// maxComplaints bounds how many fields one error names: a dead letter carries them in a header.
const maxComplaints = 20

// inData moves the fields of an Invalid error to where they are in an event. Other errors stay as they are.
func inData(err error) error {
	fields := fault.FieldsOf(err)
	if !errors.Is(err, fault.Invalid) || len(fields) == 0 {
		return err
	}
	moved := make([]fault.Field, min(len(fields), maxComplaints))
	for i := range moved {
		moved[i] = fault.Field{Pointer: "/data" + fields[i].Pointer, Detail: fields[i].Detail}
	}
	return fault.NewInvalid("event", moved)
}

// read reads the data of an event, which internal/wire has checked or mended. Fields that are not known are passed over, unless closed:
// what senders add to their events is no reason to lose them.
func read(e event.Event, into any, closed bool) (*jsondoc.Doc, error) {
	doc, err := jsondoc.Read(e.Data, jsondoc.Options{Checked: true, Open: !closed, NullIsAbsent: true})
	if err != nil {
		return nil, fault.Wrap(err, fault.Malformed, "data of %s", e.Type)
	}
	doc.Into(into)
	return doc, nil
}

// parseOrder refuses fields that are not known: everything in an order is kept, and an order is no place for personal data.
func parseOrder(e event.Event, o Origin) (Command, error) {
	var d struct {
		OrderID string `json:"orderId"`
		order.Draft
	}
	doc, err := read(e, &d, true)
	if err != nil {
		return nil, err
	}
	placed := d.Draft.Order(doc.Wrong)
	placed.ID = o.Subject
	doc.Require(event.ValidID(placed.ID), "/orderId", "%s", event.IDRule)
	if err := doc.Merge(placed.Validate()); err != nil {
		return nil, err
	}
	return StartOrder{o, placed.Normalize()}, inData(doc.Err("order"))
}

// maxText and maxCode are how many characters a text and a code of an event may have.
const (
	maxText = 500
	maxCode = 64
)

// remarks are what events about an order say for people. Nothing in them is a reason to refuse the event.
type remarks struct {
	Reason         any `json:"reason"`
	Code           any `json:"code"`
	Carrier        any `json:"carrier"`
	TrackingNumber any `json:"trackingNumber"`
	ParcelID       any `json:"parcelId"`
	Lines          any `json:"lines"`
}

// remark returns a remark, cleaned and cut. Numbers keep their digits. What is neither a text nor a number says nothing.
func remark(value any, limit int) string {
	switch v := value.(type) {
	case string:
		return text.Clean(v, limit)
	case json.Number:
		return text.Clean(v.String(), limit)
	}
	return ""
}

// readRemarks reads the data of an event about an order.
func readRemarks(e event.Event) (r remarks, err error) {
	if _, err = read(e, &r, false); err == nil && !event.ValidID(e.Subject) {
		err = fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/orderId", "%s", event.IDRule)})
	}
	return r, err
}

func parseCancellation(e event.Event, o Origin) (Command, error) {
	r, err := readRemarks(e)
	return CancelOrder{o, order.Cancellation{ID: o.Key, Cause: o.EventID, Reason: remark(r.Reason, maxText)}}, err
}

// parsePayment makes a payment notification: the gateway is asked whether it is true.
func parsePayment(e event.Event, o Origin) (Command, error) {
	r, err := readRemarks(e)
	hint := order.PaymentHint{ID: o.Key, Cause: o.EventID, Succeeded: e.Type == event.PaymentSucceeded}
	if !hint.Succeeded {
		// The code of a refusal is kept by the gateway, which takes less than a text for people.
		hint.Code = remark(r.Code, maxCode)
	}
	return OrderFact{o, order.SignalPayment, hint}, err
}

func parseShipment(kind order.ShipmentKind) func(e event.Event, o Origin) (Command, error) {
	return func(e event.Event, o Origin) (Command, error) {
		r, err := readRemarks(e)
		return OrderFact{o, order.SignalShipment, order.ShipmentSignal{Kind: kind, ShipmentFact: order.ShipmentFact{
			ID: o.Key, Cause: o.EventID, Carrier: remark(r.Carrier, maxText),
			TrackingNumber: remark(r.TrackingNumber, maxText), Reason: remark(r.Reason, maxText),
			ParcelID: identifier(r.ParcelID), Lines: shipmentLines(r.Lines),
		}}}, err
	}
}

// identifier is a remark that names something: one that is too long keeps apart from others that begin like it.
func identifier(value any) string {
	whole := remark(value, 1<<20)
	if short := remark(value, maxText); short == whole {
		return whole
	}
	return remark(value, maxText-40) + " " + event.DerivedID("name", whole)
}

// shipmentLines reads the lines of an event about a parcel. What cannot be read fits no line, so that it never means all lines.
func shipmentLines(value any) []order.ShipmentLine {
	list, ok := value.([]any)
	switch {
	case value == nil:
		return nil
	case !ok:
		return []order.ShipmentLine{unreadable}
	}
	var lines []order.ShipmentLine
	at := make(map[order.ShipmentLine]int)
	for _, element := range list {
		l := shipmentLine(element)
		kind := order.ShipmentLine{Line: l.Line, SKU: l.SKU}
		i, seen := at[kind]
		switch {
		case seen && l.Quantity > 0 && lines[i].Quantity > 0:
			lines[i].Quantity += l.Quantity
		case len(lines) == order.MaxShipmentLines:
			lines[len(lines)-1] = unreadable
		case !seen || l.Quantity != lines[i].Quantity:
			at[kind] = len(lines)
			lines = append(lines, l)
		}
	}
	return lines
}

// unreadable is a line that fits nothing.
var unreadable = order.ShipmentLine{Line: -1, Quantity: -1}

func shipmentLine(element any) order.ShipmentLine {
	object, ok := element.(map[string]any)
	if !ok {
		return unreadable
	}
	l := order.ShipmentLine{SKU: remark(object["sku"], maxText)}
	number := func(name string, least, most int64) int64 {
		value, named := object[name]
		if !named || value == nil {
			return 0
		}
		n, err := strconv.ParseInt(remark(value, maxCode), 10, 64)
		if err != nil || n < least || n > most {
			return -1
		}
		return n
	}
	l.Line, l.Quantity = int(number("line", 1, order.MaxLines)), number("quantity", 1, order.MaxQuantity*order.MaxLines)
	if l.Line == 0 && l.SKU == "" {
		return unreadable
	}
	return l
}

func parseReceipt(e event.Event, o Origin) (Command, error) {
	var d struct {
		SKU      string `json:"sku"`
		Quantity int64  `json:"quantity" required:"true"`
	}
	doc, err := read(e, &d, false)
	if err != nil {
		return nil, err
	}
	doc.Require(event.ValidID(o.Subject), "/sku", "%s", event.IDRule)
	doc.Require(d.Quantity >= 1 && d.Quantity <= inventory.MaxQuantity, "/quantity", "%s", fault.RuleRange(1, inventory.MaxQuantity))
	return ReceiveStock{o, d.Quantity}, inData(doc.Err("receipt"))
}

// maxName is how many characters a name may have.
const maxName = 100

// parseRegistration quotes nothing in its errors: they become part of logs and of a dead letter's headers.
func parseRegistration(e event.Event, o Origin) (Command, error) {
	var d struct {
		Email    string `json:"email"`
		Username string `json:"username"`
	}
	doc, err := read(e, &d, false)
	if err != nil {
		return nil, err
	}
	_, unusable := notify.ParseAddress(d.Email)
	doc.Require(unusable == nil, "/email", "must be an e-mail address")
	doc.Require(len(text.Validate(d.Username, maxName)) == 0, "/username", "must be printable and have at most %d characters", maxName)
	return RegisterCustomer{o, e.Time, onboarding.Profile{Email: d.Email, Username: d.Username}}, inData(doc.Err("registration"))
}
