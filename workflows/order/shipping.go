package order

import (
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Slots of parcels: parcel/<ref>/<what> of what came of one, refund/<item> of money that was given back for one.
const (
	SlotParcels = "parcel"
	SlotRefund  = "refund"
)

const (
	carrierLost = "the carrier lost the goods"
	// RefundStuck is what a person may be asked to act on.
	RefundStuck = "the refund of goods that did not arrive is stuck"
)

// parcels is the rule by which the wait for the delivery is fulfilled, parcel by parcel.
var parcels = &saga.PartsRule[State, *Participants]{
	Slot: SlotParcels,
	// What is delivered or lost was dispatched, and what arrived is not lost.
	On:        []string{event.ShipmentDispatched, event.ShipmentDelivered, event.ShipmentLost},
	Interpret: interpretParcel, Over: arrived, Missing: lostParcel,
	Settled: func(s *State, ref string) bool {
		i := s.parcel(ref)
		return i < 0 || s.Parcels[i].Status != ParcelLost
	},
	Decisions: map[saga.ResolutionAction]string{Refund: event.OrderRefundRequested, Resend: event.OrderResendRequested},
	Renews:    []saga.ResolutionAction{Resend},
	// A capture that a person settled is not the gateway's to refund.
	Allowed: func(s *State, action saga.ResolutionAction) bool { return action != Refund || s.Capture == CaptureDone },
	Data:    decisionData,
	Follow: &saga.Step[State, *Participants]{
		Name: StepRefund, Kind: saga.Forward, Slot: SlotRefund, Done: event.PaymentRefunded, StuckText: RefundStuck,
		Do: &operation{Run: (*Participants).RefundParcel, Name: "payment.RefundParcel", Queue: QueuePayments, Summary: "refund goods that did not arrive", Remote: true},
	},
	Due: dueRefund,
}

// dueRefund is the first refund that is decided and not settled.
func dueRefund(s *State) (item string, due bool) {
	for _, r := range s.Refunds {
		if !r.Settled {
			return r.Item, true
		}
	}
	return "", false
}

// lostParcel is the first parcel that is lost and about which nothing is decided.
func lostParcel(s *State) (ref, text string) {
	for _, p := range s.Parcels {
		if p.Status != ParcelLost {
			continue
		}
		text = "the carrier lost a parcel"
		if name := ParcelName(p.Ref()); name != "" {
			text = "the carrier lost the parcel " + name
		}
		return p.Ref(), text
	}
	return "", ""
}

// ParcelData is the data of order.parcel_dispatched, order.parcel_delivered and order.parcel_lost, but for the order, the identity of the event
// and the end of the wait; order.shipped and order.delivered have it where their events name a parcel or lines.
type ParcelData struct {
	ParcelID       string         `json:"parcelId,omitempty"`
	Carrier        string         `json:"carrier,omitempty"`
	TrackingNumber string         `json:"trackingNumber,omitempty"`
	Reason         string         `json:"reason,omitempty"`
	Lines          []LineQuantity `json:"lines,omitempty"`
	// Unmatched is what the event named and what fits no line.
	Unmatched []ShipmentLine `json:"unmatched,omitempty"`
	// Rest reports that the event named no lines: the parcel is what was in no other one.
	Rest bool `json:"rest,omitempty"`
}

// data is what an event of a parcel says, but for its lines.
func (f ShipmentFact) data() ParcelData {
	return ParcelData{ParcelID: clean(f.ParcelID), Carrier: clean(f.Carrier), TrackingNumber: clean(f.TrackingNumber)}
}

// interpretParcel says what an event about a parcel means to an order.
func interpretParcel(s *State, f *saga.Fact) saga.PartResult {
	d, err := saga.DataOf[ShipmentFact](f)
	if err != nil {
		return saga.PartResult{Meaning: saga.PartUnusable}
	}
	e := parcelEvent{s: s, d: d, known: s.known(d), caused: f.Cause != "" && s.Caused(f.Identity)}
	if f.Type == event.ShipmentDispatched {
		return e.dispatched()
	}
	return e.arrives(f.Type == event.ShipmentLost)
}

// parcelEvent is an event about a parcel, and the order that it is about.
type parcelEvent struct {
	s     *State
	d     ShipmentFact
	known []int
	// caused reports that the log has an event which this one caused: it makes no other parcel.
	caused bool
}

var nothing, unusable = saga.PartResult{}, saga.PartResult{Meaning: saga.PartUnusable}

// with are the known parcels with one of the statuses.
func (e *parcelEvent) with(statuses ...ParcelStatus) []int {
	return slices.DeleteFunc(slices.Clone(e.known), func(i int) bool { return !slices.Contains(statuses, e.s.Parcels[i].Status) })
}

// held are the lines of parcels.
func (e *parcelEvent) held(of []int) quantities {
	q := make(quantities, len(e.s.Order.Lines))
	for _, i := range of {
		q.add(e.s.Parcels[i].Lines, 1)
	}
	return q
}

// made is a parcel that the order does not know yet: what the event names of what is in no parcel, or all of that.
func (e *parcelEvent) made(named []ShipmentLine, arrives bool) (data ParcelData, ok bool) {
	data = e.d.data()
	switch {
	case e.caused:
		return data, false
	case len(e.d.Lines) > 0:
		there := e.s.unassigned()
		if arrives && e.d.name() == "" {
			// What came without a name may be in any parcel without one.
			for _, p := range e.s.Parcels {
				if p.Key[0] == '~' && !p.Rest && p.Status == ParcelDispatched {
					there.add(p.Lines, 1)
				}
			}
		}
		taken, left := e.s.Order.claim(named, there)
		data.Lines, data.Unmatched = taken.lines(), left
		return data, len(data.Lines) > 0 || len(e.known) == 0
	}
	free := e.s.Order.awaited(e.s.free())
	if again := e.with(ParcelResent); len(again) > 0 && len(again) == len(e.known) {
		// It is a parcel that was sent again: only what was in it.
		was := e.held(again)
		for i := range free {
			free[i] = min(free[i], was[i])
		}
	}
	data.Lines, data.Rest = free.lines(), true
	return data, len(data.Lines) > 0
}

// ref names a parcel that the order does not know yet.
func (e *parcelEvent) ref() string {
	key := e.s.key(e.d)
	return Parcel{Key: key, Generation: e.s.generation(key)}.Ref()
}

func (e *parcelEvent) dispatched() saga.PartResult {
	named := e.d.Lines
	if there := e.with(ParcelDispatched, ParcelDelivered, ParcelLost, ParcelRefunded, ParcelWrittenOff); len(there) > 0 {
		if len(named) == 0 {
			return nothing
		}
		if _, named = e.s.Order.claim(named, e.held(there)); len(named) == 0 {
			return nothing
		}
	}
	data, ok := e.made(named, false)
	switch {
	case !ok:
		return nothing
	case !e.s.hasRoom(data.Lines):
		return unusable
	}
	return saga.PartResult{
		Meaning: saga.PartEvent, Part: e.ref(), What: "dispatched", Type: event.OrderParcelDispatched, Data: data, Renews: true,
	}
}

// arrives: a parcel was delivered, or lost.
func (e *parcelEvent) arrives(lost bool) saga.PartResult {
	open := e.with(ParcelDispatched)
	if !lost {
		open = e.with(ParcelDispatched, ParcelLost)
	}
	for _, i := range open {
		p := e.s.Parcels[i]
		lines := p.Lines
		if len(e.d.Lines) > 0 {
			taken, _ := e.s.Order.claim(e.d.Lines, e.s.Order.of(p.Lines))
			if lines = taken.lines(); len(lines) == 0 && len(p.Lines) > 0 || e.repeated(taken, lost) {
				continue
			}
		}
		data := e.d.data()
		data.Lines = lines
		if slices.Equal(lines, p.Lines) {
			// It may hold more than is known.
			_, left := e.s.Order.claim(e.d.Lines, e.held(e.known))
			more, left := e.s.Order.claim(left, e.s.unassigned())
			more.add(lines, 1)
			data.Lines, data.Unmatched = more.lines(), left
			return e.result(p.Ref(), data, lost)
		}
		if !e.s.hasRoom(lines) {
			return unusable
		}
		// Only a part of it: the rest may still arrive.
		return e.result(Parcel{Key: p.Key, Generation: e.s.generation(p.Key)}.Ref(), data, lost)
	}
	same, contrary := e.with(ParcelDelivered), e.with(ParcelRefunded, ParcelWrittenOff)
	if lost {
		same, contrary = e.with(ParcelLost, ParcelResent, ParcelRefunded, ParcelWrittenOff), e.with(ParcelDelivered)
	}
	_, named := e.s.Order.claim(e.d.Lines, e.held(same))
	_, rest := e.s.Order.claim(named, e.held(contrary))
	switch {
	case e.caused, len(named) == 0 && len(same) > 0:
		return nothing
	case len(rest) == 0 && len(contrary) > 0:
		return unusable
	case lost && len(e.d.Lines) == 0 && slices.ContainsFunc(e.s.Parcels, func(p Parcel) bool { return p.Status == ParcelResent }):
		return unusable // the goods that were sent again are not known to be on their way
	}
	data, ok := e.made(rest, true)
	switch {
	case ok && !e.s.hasRoom(data.Lines):
		return unusable
	case ok:
		return e.result(e.ref(), data, lost)
	}
	return e.everything(lost)
}

// repeated reports whether a part of a parcel has arrived before: the same event may come again with another ID.
func (e *parcelEvent) repeated(taken quantities, lost bool) bool {
	status := ParcelDelivered
	if lost {
		status = ParcelLost
	}
	return slices.ContainsFunc(e.with(status), func(i int) bool { return slices.Equal(e.s.Parcels[i].Lines, taken.lines()) })
}

// everything: a parcel that is not known, or no parcel, is all that is on its way, if that is one parcel, or none is named.
func (e *parcelEvent) everything(lost bool) saga.PartResult {
	if len(e.d.Lines) > 0 {
		return unusable
	}
	var open []int
	for i, p := range e.s.Parcels {
		if p.Status == ParcelDispatched || p.Status == ParcelLost && !lost {
			open = append(open, i)
		}
	}
	switch {
	case len(open) == 0:
		return nothing
	case len(open) > 1 && e.d.name() != "":
		return unusable
	}
	if len(open) == 1 {
		p := e.s.Parcels[open[0]]
		data := e.d.data()
		data.Lines = p.Lines
		return e.result(p.Ref(), data, lost)
	}
	if lost {
		return saga.PartResult{Meaning: saga.PartTrouble}
	}
	return saga.PartResult{Meaning: saga.PartLast}
}

// result is the record of a delivery or loss, or the end of the wait.
func (e *parcelEvent) result(ref string, data ParcelData, lost bool) saga.PartResult {
	n := saga.PartResult{Meaning: saga.PartEvent, Part: ref, What: "delivered", Type: event.OrderParcelDelivered, Data: data}
	status := ParcelDelivered
	if lost {
		n.What, n.Type, status = "lost", event.OrderParcelLost, ParcelLost
		data.Reason = clean(e.d.Reason)
		n.Data = data
	}
	after := *e.s
	after.Parcels = slices.Clone(after.Parcels)
	after.arrive(ref, data, status, e.s.UpdatedAt)
	switch {
	case !lost && arrived(&after):
		return saga.PartResult{Meaning: saga.PartLast}
	case lost && len(after.Parcels) == 1 && after.Order.awaited(after.free()).empty():
		// There is no other parcel.
		return saga.PartResult{Meaning: saga.PartTrouble}
	}
	return n
}
