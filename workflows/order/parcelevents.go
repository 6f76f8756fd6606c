package order

import (
	"slices"
	"strconv"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// parcel is the data of order.shipped and order.delivered, but for what the kit adds. Lines are there if the event named some.
func parcel(s *State, f *saga.Fact) any {
	d, err := saga.DataOf[ShipmentFact](f)
	if err != nil {
		return nil
	}
	data := d.data()
	if len(d.Lines) > 0 {
		there := s.unassigned()
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
