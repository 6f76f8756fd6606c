package order

import (
	"slices"
	"strconv"
	"time"

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
	On:   []string{event.ShipmentDispatched, event.ShipmentDelivered, event.ShipmentLost},
	Tell: tell, Over: arrived, Missing: lostParcel,
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

// tell says what an event about a parcel means to an order.
func tell(s *State, f *saga.Fact) saga.PartNews {
	d, err := saga.DataOf[ShipmentFact](f)
	if err != nil {
		return saga.PartNews{Meaning: saga.PartUnusable}
	}
	t := teller{s: s, d: d, known: s.known(d), caused: f.Cause != "" && s.Caused(f.Identity)}
	if f.Type == event.ShipmentDispatched {
		return t.dispatched()
	}
	return t.arrives(f.Type == event.ShipmentLost)
}

// teller is an event about a parcel, and an order.
type teller struct {
	s     *State
	d     ShipmentFact
	known []int
	// caused reports that the log has an event which this one caused: it makes no other parcel.
	caused bool
}

var nothing, unusable = saga.PartNews{}, saga.PartNews{Meaning: saga.PartUnusable}

// with are the known parcels with one of the statuses.
func (t *teller) with(statuses ...ParcelStatus) []int {
	return slices.DeleteFunc(slices.Clone(t.known), func(i int) bool { return !slices.Contains(statuses, t.s.Parcels[i].Status) })
}

// held are the lines of parcels.
func (t *teller) held(of []int) quantities {
	q := make(quantities, len(t.s.Order.Lines))
	for _, i := range of {
		q.add(t.s.Parcels[i].Lines, 1)
	}
	return q
}

// made is a parcel that the order does not know yet: what the event names of what is in no parcel, or all of that.
func (t *teller) made(named []ShipmentLine, arrives bool) (data ParcelData, ok bool) {
	data = t.d.data()
	switch {
	case t.caused:
		return data, false
	case len(t.d.Lines) > 0:
		there := t.s.unread()
		if arrives && t.d.name() == "" {
			// What came without a name may be in any parcel without one.
			for _, p := range t.s.Parcels {
				if p.Key[0] == '~' && !p.Rest && p.Status == ParcelDispatched {
					there.add(p.Lines, 1)
				}
			}
		}
		taken, left := t.s.Order.claim(named, there)
		data.Lines, data.Unmatched = taken.lines(), left
		return data, len(data.Lines) > 0 || len(t.known) == 0
	}
	free := t.s.Order.awaited(t.s.free())
	if again := t.with(ParcelResent); len(again) > 0 && len(again) == len(t.known) {
		// It is a parcel that was sent again: only what was in it.
		was := t.held(again)
		for i := range free {
			free[i] = min(free[i], was[i])
		}
	}
	data.Lines, data.Rest = free.lines(), true
	return data, len(data.Lines) > 0
}

// ref names a parcel that the order does not know yet.
func (t *teller) ref() string {
	key := t.s.key(t.d)
	return Parcel{Key: key, Generation: t.s.generation(key)}.Ref()
}

func (t *teller) dispatched() saga.PartNews {
	named := t.d.Lines
	if there := t.with(ParcelDispatched, ParcelDelivered, ParcelLost, ParcelRefunded, ParcelWrittenOff); len(there) > 0 {
		if len(named) == 0 {
			return nothing
		}
		if _, named = t.s.Order.claim(named, t.held(there)); len(named) == 0 {
			return nothing
		}
	}
	data, ok := t.made(named, false)
	switch {
	case !ok:
		return nothing
	case !t.s.hasRoom(data.Lines):
		return unusable
	}
	return saga.PartNews{
		Meaning: saga.PartEvent, Part: t.ref(), What: "dispatched", Type: event.OrderParcelDispatched, Data: data, Renews: true,
	}
}

// arrives: a parcel was delivered, or lost.
func (t *teller) arrives(lost bool) saga.PartNews {
	open := t.with(ParcelDispatched)
	if !lost {
		open = t.with(ParcelDispatched, ParcelLost)
	}
	for _, i := range open {
		p := t.s.Parcels[i]
		lines := p.Lines
		if len(t.d.Lines) > 0 {
			taken, _ := t.s.Order.claim(t.d.Lines, t.s.Order.of(p.Lines))
			if lines = taken.lines(); len(lines) == 0 && len(p.Lines) > 0 || t.repeated(taken, lost) {
				continue
			}
		}
		data := t.d.data()
		data.Lines = lines
		if slices.Equal(lines, p.Lines) {
			// It may hold more than is known.
			_, left := t.s.Order.claim(t.d.Lines, t.held(t.known))
			more, left := t.s.Order.claim(left, t.s.unread())
			more.add(lines, 1)
			data.Lines, data.Unmatched = more.lines(), left
			return t.news(p.Ref(), data, lost)
		}
		if !t.s.hasRoom(lines) {
			return unusable
		}
		// Only a part of it: the rest may still arrive.
		return t.news(Parcel{Key: p.Key, Generation: t.s.generation(p.Key)}.Ref(), data, lost)
	}
	same, contrary := t.with(ParcelDelivered), t.with(ParcelRefunded, ParcelWrittenOff)
	if lost {
		same, contrary = t.with(ParcelLost, ParcelResent, ParcelRefunded, ParcelWrittenOff), t.with(ParcelDelivered)
	}
	_, named := t.s.Order.claim(t.d.Lines, t.held(same))
	_, rest := t.s.Order.claim(named, t.held(contrary))
	switch {
	case t.caused, len(named) == 0 && len(same) > 0:
		return nothing
	case len(rest) == 0 && len(contrary) > 0:
		return unusable
	case lost && len(t.d.Lines) == 0 && slices.ContainsFunc(t.s.Parcels, func(p Parcel) bool { return p.Status == ParcelResent }):
		return unusable // the goods that were sent again are not known to be on their way
	}
	data, ok := t.made(rest, true)
	switch {
	case ok && !t.s.hasRoom(data.Lines):
		return unusable
	case ok:
		return t.news(t.ref(), data, lost)
	}
	return t.everything(lost)
}

// repeated reports whether a part of a parcel has arrived before: the same event may come again with another ID.
func (t *teller) repeated(taken quantities, lost bool) bool {
	status := ParcelDelivered
	if lost {
		status = ParcelLost
	}
	return slices.ContainsFunc(t.with(status), func(i int) bool { return slices.Equal(t.s.Parcels[i].Lines, taken.lines()) })
}

// everything: a parcel that is not known, or no parcel, is all that is on its way, if that is one parcel, or none is named.
func (t *teller) everything(lost bool) saga.PartNews {
	if len(t.d.Lines) > 0 {
		return unusable
	}
	var open []int
	for i, p := range t.s.Parcels {
		if p.Status == ParcelDispatched || p.Status == ParcelLost && !lost {
			open = append(open, i)
		}
	}
	switch {
	case len(open) == 0:
		return nothing
	case len(open) > 1 && t.d.name() != "":
		return unusable
	}
	if len(open) == 1 {
		p := t.s.Parcels[open[0]]
		data := t.d.data()
		data.Lines = p.Lines
		return t.news(p.Ref(), data, lost)
	}
	if lost {
		return saga.PartNews{Meaning: saga.PartTrouble}
	}
	return saga.PartNews{Meaning: saga.PartLast}
}

// news is an event about a parcel, which the order knows after it.
func (t *teller) news(ref string, data ParcelData, lost bool) saga.PartNews {
	n := saga.PartNews{Meaning: saga.PartEvent, Part: ref, What: "delivered", Type: event.OrderParcelDelivered, Data: data}
	status := ParcelDelivered
	if lost {
		n.What, n.Type, status = "lost", event.OrderParcelLost, ParcelLost
		data.Reason = clean(t.d.Reason)
		n.Data = data
	}
	after := *t.s
	after.Parcels = slices.Clone(after.Parcels)
	after.arrive(ref, data, status, t.s.UpdatedAt)
	switch {
	case !lost && arrived(&after):
		return saga.PartNews{Meaning: saga.PartLast}
	case lost && len(after.Parcels) == 1 && after.Order.awaited(after.free()).empty():
		// There is no other parcel.
		return saga.PartNews{Meaning: saga.PartTrouble}
	}
	return n
}

// parcel is the data of order.shipped and order.delivered, but for what the kit adds. Lines are there if the event named some.
func parcel(s *State, f *saga.Fact) any {
	d, err := saga.DataOf[ShipmentFact](f)
	if err != nil {
		return nil
	}
	data := d.data()
	if len(d.Lines) > 0 {
		there := s.unread()
		if len(s.Parcels) > 0 {
			there = s.missing()
		}
		taken, left := s.Order.claim(d.Lines, there)
		data.Lines, data.Unmatched = taken.lines(), left
	}
	return data
}

// foldParcel folds an event about a parcel.
func (s *State) foldParcel(r event.Record) error {
	return event.DecodeInto(r.Event, func(d ParcelData) {
		fact := ShipmentFact{ParcelID: d.ParcelID, TrackingNumber: d.TrackingNumber}
		for _, l := range d.Lines {
			fact.Lines = append(fact.Lines, ShipmentLine{Line: l.Line, Quantity: l.Quantity})
		}
		fact.Lines = append(fact.Lines, d.Unmatched...)
		switch r.Type {
		case event.OrderShipped:
			s.ShippedAt = r.Time
			if d.Rest = len(fact.Lines) == 0; d.Rest {
				d.Lines = s.Order.awaited(s.free()).lines()
			}
			s.add(Parcel{Key: s.key(fact)}, d, ParcelDispatched, r.Time)
		case event.OrderDelivered:
			s.DeliveredAt = r.Time
			if free := s.Order.awaited(s.free()).lines(); len(free) > 0 {
				key := s.key(fact)
				d.Lines = free
				s.add(Parcel{Key: key, Generation: s.generation(key)}, d, ParcelDelivered, r.Time)
			}
			for i := range s.Parcels {
				if s.Parcels[i].open() {
					s.Parcels[i].Status, s.Parcels[i].DeliveredAt = ParcelDelivered, r.Time
				}
			}
		default:
			s.arrive(refOf(r.Key), d, partStatus[r.Type], r.Time)
		}
	})
}

var partStatus = map[string]ParcelStatus{
	event.OrderParcelDispatched: ParcelDispatched, event.OrderParcelDelivered: ParcelDelivered, event.OrderParcelLost: ParcelLost,
}

// refOf is the parcel that a slot is about.
func refOf(slot string) string {
	ref := slot[min(len(slot), len(SlotParcels)+1):]
	for i, c := range ref {
		if c == '/' {
			return ref[:i]
		}
	}
	return ref
}

// arrive has a parcel have a status. A ref that is not known is a new parcel, or a part of one that has arrived.
func (s *State) arrive(ref string, d ParcelData, status ParcelStatus, at time.Time) {
	if i := s.parcel(ref); i >= 0 {
		p := &s.Parcels[i]
		if more := s.Order.of(d.Lines); len(d.Lines) > 0 {
			more.add(p.Lines, -1)
			s.take(more.lines())
			p.Lines = d.Lines
		}
		p.Status = status
		if status == ParcelDelivered {
			p.DeliveredAt = at
		}
		return
	}
	key, generation := ref, 0
	for i := len(ref) - 1; i > 0; i-- {
		if ref[i] != '~' {
			continue
		}
		if n, err := strconv.Atoi(ref[i+1:]); err == nil && n > 1 {
			key, generation = ref[:i], n
		}
		break
	}
	s.add(Parcel{Key: key, Generation: generation}, d, status, at)
}

// add adds a parcel, with lines that are taken out of the parcels of its name, if it is a part of one that has arrived, and out of what is in
// no parcel.
func (s *State) add(p Parcel, d ParcelData, status ParcelStatus, at time.Time) {
	p.ParcelID, p.TrackingNumber, p.Carrier = d.ParcelID, d.TrackingNumber, d.Carrier
	p.Lines, p.Rest, p.Status, p.DispatchedAt = d.Lines, d.Rest, status, at
	if status == ParcelDelivered {
		p.DeliveredAt = at
	}
	if status != ParcelDispatched {
		wanted, free := s.Order.of(d.Lines), s.free()
		for i, q := range s.Parcels {
			if q.open() && (q.Key == p.Key || q.TrackingNumber != "" && q.TrackingNumber == p.TrackingNumber) && !wanted.empty() {
				s.Parcels[i].Lines = s.withdraw(q.Lines, wanted)
				p.DispatchedAt = q.DispatchedAt
			}
		}
		for i := range wanted {
			wanted[i] -= min(wanted[i], free[i])
		}
		for i, q := range s.Parcels {
			if q.open() && !wanted.empty() && (q.Rest || q.Key[0] == '~') {
				s.Parcels[i].Lines = s.withdraw(q.Lines, wanted)
			}
		}
	} else {
		s.take(d.Lines)
	}
	s.Parcels = append(s.Parcels, p)
}

// Decision data.

// ResentLine is a line of goods that are to be sent again.
type ResentLine struct {
	Line     int    `json:"line"`
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// DecidedParcel is what the event of a decision about a parcel says, besides the decision.
type DecidedParcel struct {
	ParcelID       string       `json:"parcelId,omitempty"`
	TrackingNumber string       `json:"trackingNumber,omitempty"`
	Lines          []ResentLine `json:"lines,omitempty"`
	Amount         *int64       `json:"amount,omitempty"`
	Currency       string       `json:"currency,omitempty"`
}

// affected are the parcels that a decision is about, and what it is about that is in none.
func (s *State) affected(ref string) (parcels []int, free []LineQuantity) {
	if ref != "" {
		if i := s.parcel(ref); i >= 0 {
			parcels = []int{i}
		}
		return parcels, nil
	}
	for i, p := range s.Parcels {
		if p.open() {
			parcels = append(parcels, i)
		}
	}
	return parcels, s.Order.awaited(s.free()).lines()
}

// decisionData is what the event of a decision says about a parcel, or about everything that is missing.
func decisionData(s *State, ref string, action saga.ResolutionAction) any {
	var d DecidedParcel
	affected, free := s.affected(ref)
	q := s.Order.of(free)
	for _, i := range affected {
		q.add(s.Parcels[i].Lines, 1)
	}
	if len(affected) == 1 && len(free) == 0 {
		d.ParcelID, d.TrackingNumber = s.Parcels[affected[0]].ParcelID, s.Parcels[affected[0]].TrackingNumber
	}
	lines := q.lines()
	for _, l := range lines {
		d.Lines = append(d.Lines, ResentLine{l.Line, s.Order.Lines[l.Line-1].SKU, l.Quantity})
	}
	if action == Refund {
		amount := s.refundAmount(lines)
		d.Amount, d.Currency = &amount, s.Order.Currency
	}
	return d
}

// decided is what is folded of a decision about parcels.
type decided struct {
	Attention int          `json:"attention"`
	Step      Step         `json:"step"`
	Item      string       `json:"item"`
	Lines     []ResentLine `json:"lines"`
	Amount    int64        `json:"amount"`
}

// foldDecision folds a decision about what is missing, or about a refund.
func (s *State) foldDecision(r event.Record) error {
	return event.DecodeInto(r.Event, func(d decided) {
		if d.Step == StepRefund {
			s.settleRefund(d.Item, false)
		}
		if d.Step != StepDeliver {
			return
		}
		status := map[string]ParcelStatus{event.OrderRefundRequested: ParcelRefunded, event.OrderResendRequested: ParcelResent}[r.Type]
		if status == "" {
			status = ParcelWrittenOff
		}
		affected, free := s.affected(d.Item)
		if status == ParcelRefunded {
			item := "~" + strconv.Itoa(d.Attention)
			if len(affected) == 1 && len(free) == 0 {
				item = s.Parcels[affected[0]].Ref()
			}
			refund := ParcelRefund{Item: item, Amount: d.Amount, Settled: d.Amount <= 0}
			for _, l := range d.Lines {
				refund.Lines = append(refund.Lines, LineQuantity{l.Line, l.Quantity})
			}
			s.Refunds = append(s.Refunds, refund)
		}
		for _, i := range affected {
			s.Parcels[i].Status = status
		}
		if status != ParcelResent {
			s.WrittenOff = s.Order.of(s.WrittenOff, free).lines()
		}
	})
}

// settleRefund has nothing more be done about a refund. Done reports that the money was given back.
func (s *State) settleRefund(item string, done bool) {
	for i := range s.Refunds {
		if s.Refunds[i].Item == item {
			s.Refunds[i].Done, s.Refunds[i].Settled = done, true
		}
	}
}

// RefundedParcels is the money that was given back for goods that did not arrive.
func (s *State) RefundedParcels() (amount int64) {
	for _, r := range s.Refunds {
		if r.Done {
			amount += r.Amount
		}
	}
	return amount
}

// clone copies what own changes in place.
func clone(s *State) {
	s.Parcels, s.Refunds = slices.Clone(s.Parcels), slices.Clone(s.Refunds)
}

// ParcelsView are the parcels for people: one that has been reported lost is lost, also where there is no other one, of which the log has only
// that a person must act.
func (s *State) ParcelsView() []Parcel {
	view := slices.Clone(s.Parcels)
	a := s.Attention
	for i := range view {
		if view[i].Status == ParcelDispatched && a.Open && a.Step == StepDeliver && a.Item == "" && a.Error == carrierLost {
			view[i].Status = ParcelLost
		}
	}
	return view
}
