package order

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// ParcelStatus says what is known of a parcel.
type ParcelStatus string

// The statuses of a parcel. The lines of a parcel that is sent again are awaited in another one.
const (
	ParcelDispatched ParcelStatus = "dispatched"
	ParcelDelivered  ParcelStatus = "delivered"
	ParcelLost       ParcelStatus = "lost"
	ParcelResent     ParcelStatus = "resent"
	ParcelRefunded   ParcelStatus = "refunded"
	ParcelWrittenOff ParcelStatus = "written_off"
)

// Bounds of what an order knows of its parcels. An event about one more parcel cannot be used.
const (
	MaxParcels     = 200
	maxParcelLines = 5000
)

// LineQuantity is how many of a line, which is named by its position, from 1.
type LineQuantity struct {
	Line     int   `json:"line"`
	Quantity int64 `json:"quantity"`
}

// Parcel is goods of an order that are dispatched, delivered and lost together.
type Parcel struct {
	// Key names the parcel in slots: its ID, or its tracking number, escaped. What has the same name and other goods, or is sent again, has
	// a Generation, from 2 on.
	Key        string `json:"key"`
	Generation int    `json:"generation,omitempty"`

	ParcelID       string         `json:"parcelId,omitempty"`
	TrackingNumber string         `json:"trackingNumber,omitempty"`
	Carrier        string         `json:"carrier,omitempty"`
	Lines          []LineQuantity `json:"lines,omitempty"`
	// Rest reports that its events named no lines: it holds what is in no other parcel.
	Rest   bool         `json:"rest,omitempty"`
	Status ParcelStatus `json:"status"`

	DispatchedAt time.Time `json:"dispatchedAt,omitzero"`
	DeliveredAt  time.Time `json:"deliveredAt,omitzero"`
}

// Ref names the parcel in slots, unlike every other parcel of the order.
func (p Parcel) Ref() string {
	if p.Generation > 1 {
		return p.Key + "~" + strconv.Itoa(p.Generation)
	}
	return p.Key
}

// open reports whether the parcel may still arrive.
func (p Parcel) open() bool { return p.Status == ParcelDispatched || p.Status == ParcelLost }

// ParcelRefund is money for goods that do not arrive. Item is that of its step and of its slot.
type ParcelRefund struct {
	Item   string         `json:"item"`
	Lines  []LineQuantity `json:"lines,omitempty"`
	Amount int64          `json:"amount,omitempty"`
	// Done reports that the money was given back, Settled that nothing is to be done any more.
	Done    bool `json:"done,omitempty"`
	Settled bool `json:"settled,omitempty"`
}

// maxKey bounds the escaped name of a parcel in a slot: that of 200 bytes always fits.
const maxKey = 600

// parcelKey is the key of a parcel of this name; "" has none.
func parcelKey(name string) string {
	key := event.Escape(name)
	switch {
	case name == "":
		return "~"
	case len(key) > maxKey:
		return "~" + event.DerivedID("parcel", name)
	}
	return key
}

// ParcelName is the name of the parcel that an attention is about, by its item; "" if it has none.
func ParcelName(item string) string {
	key, _, _ := strings.Cut(item, "~")
	name, _ := event.Unescape(key)
	return name
}

// quantities are how many of each line, by its index.
type quantities []int64

func (q quantities) add(lines []LineQuantity, sign int64) {
	for _, l := range lines {
		if l.Line >= 1 && l.Line <= len(q) {
			q[l.Line-1] += sign * l.Quantity
		}
	}
}

// lines are the quantities that are above zero, in the order of the lines.
func (q quantities) lines() []LineQuantity {
	var lines []LineQuantity
	for i, n := range q {
		if n > 0 {
			lines = append(lines, LineQuantity{i + 1, n})
		}
	}
	return lines
}

func (q quantities) empty() bool { return !slices.ContainsFunc(q, func(n int64) bool { return n > 0 }) }

// of are quantities of lines.
func (o Order) of(lines ...[]LineQuantity) quantities {
	q := make(quantities, len(o.Lines))
	for _, l := range lines {
		q.add(l, 1)
	}
	return q
}

// isAwaited reports whether a line is goods that a shipment order waits for: its stocked lines, or all lines that are no discount if none is
// stocked.
func (o Order) isAwaited(line int) bool {
	l := o.Lines[line]
	return l.UnitAmount >= 0 && (l.IsStocked() || !slices.ContainsFunc(o.Lines, Line.IsStocked))
}

// awaited leaves out what an order does not wait for.
func (o Order) awaited(q quantities) quantities {
	q = slices.Clone(q)
	for i := range q {
		if !o.isAwaited(i) {
			q[i] = 0
		}
	}
	return q
}

// free is what is in no parcel, and not settled otherwise.
func (s *State) free() quantities {
	q := make(quantities, len(s.Order.Lines))
	for i, l := range s.Order.Lines {
		if l.UnitAmount >= 0 {
			q[i] = l.Quantity
		}
	}
	for _, p := range s.Parcels {
		if p.Status != ParcelResent {
			q.add(p.Lines, -1)
		}
	}
	q.add(s.WrittenOff, -1)
	for i := range q {
		q[i] = max(q[i], 0)
	}
	return q
}

// unassigned is what is free, and the lines of parcels whose events named none: they may hold less.
func (s *State) unassigned() quantities {
	q := s.free()
	for _, p := range s.Parcels {
		if p.Rest && p.open() {
			q.add(p.Lines, 1)
		}
	}
	return q
}

// take takes lines out of what is free, and then out of parcels whose events named no lines.
func (s *State) take(lines []LineQuantity) {
	free, wanted := s.free(), s.Order.of(lines)
	for i := range wanted {
		wanted[i] -= min(wanted[i], free[i])
	}
	for n, p := range s.Parcels {
		if p.Rest && p.open() && !wanted.empty() {
			s.Parcels[n].Lines = s.withdraw(p.Lines, wanted)
		}
	}
}

// withdraw takes what is wanted out of lines, and out of what is wanted.
func (s *State) withdraw(lines []LineQuantity, wanted quantities) []LineQuantity {
	held := s.Order.of(lines)
	for i := range held {
		n := min(held[i], wanted[i])
		held[i] -= n
		wanted[i] -= n
	}
	return held.lines()
}

// claim finds the lines that an event names in what there is, which becomes less. A SKU means its lines in their order. What fits no line is
// left.
func (o Order) claim(named []ShipmentLine, there quantities) (taken quantities, left []ShipmentLine) {
	taken = make(quantities, len(o.Lines))
	for _, l := range named {
		want, all := l.Quantity, l.Quantity == 0
		fits := false
		for i, line := range o.Lines {
			if line.UnitAmount < 0 || l.Line != 0 && l.Line != i+1 || l.SKU != "" && l.SKU != line.SKU || l.Line == 0 && l.SKU == "" {
				continue
			}
			n := there[i]
			if !all {
				n = min(n, max(want, 0))
			}
			fits = fits || n > 0
			taken[i] += n
			there[i] -= n
			want -= n
		}
		switch {
		case all && !fits:
			left = append(left, l)
		case !all && (want > 0 || l.Quantity < 0):
			left = append(left, ShipmentLine{Line: l.Line, SKU: l.SKU, Quantity: want})
		}
	}
	return taken, left
}

// known are the indices of the parcels that an event may be about, by its name. A carrier may know its own number only.
func (s *State) known(d ShipmentFact) []int {
	match := func(fits func(p Parcel) bool) (found []int) {
		for i, p := range s.Parcels {
			if fits(p) {
				found = append(found, i)
			}
		}
		return found
	}
	key := s.key(d)
	found := match(func(p Parcel) bool { return p.Key == key })
	if len(found) > 0 || d.TrackingNumber == "" {
		return found
	}
	return match(func(p Parcel) bool {
		return p.TrackingNumber == d.TrackingNumber && (d.ParcelID == "" || p.ParcelID == "")
	})
}

// key is the key of the parcel that an event names: by its ID, its tracking number, or its lines.
func (s *State) key(d ShipmentFact) string {
	name := d.name()
	if name != "" || len(d.Lines) == 0 {
		return parcelKey(name)
	}
	return linesKey(s.Order, d.Lines)
}

// linesKey is the key of a parcel that has no name, by what is in it.
func linesKey(o Order, named []ShipmentLine) string {
	var bySKU []Item
	for _, l := range named {
		if l.SKU == "" && l.Line >= 1 && l.Line <= len(o.Lines) {
			l.SKU = o.Lines[l.Line-1].SKU
		}
		n := slices.IndexFunc(bySKU, func(i Item) bool { return i.SKU == l.SKU })
		if n < 0 {
			n, bySKU = len(bySKU), append(bySKU, Item{SKU: l.SKU})
		}
		bySKU[n].Quantity += max(l.Quantity, 0)
	}
	slices.SortFunc(bySKU, func(a, b Item) int { return strings.Compare(a.SKU, b.SKU) })
	parts := []string{"parcel"}
	for _, i := range bySKU {
		parts = append(parts, i.SKU, strconv.FormatInt(i.Quantity, 10))
	}
	return "~" + event.DerivedID(parts...)
}

// generation is the next one of a key.
func (s *State) generation(key string) int {
	n := 1
	for _, p := range s.Parcels {
		if p.Key == key {
			n = max(n, max(p.Generation, 1)+1)
		}
	}
	if n == 1 {
		return 0
	}
	return n
}

// hasRoom reports whether the order may know one more parcel.
func (s *State) hasRoom(lines []LineQuantity) bool {
	count := len(lines)
	for _, p := range s.Parcels {
		count += len(p.Lines)
	}
	return len(s.Parcels) < MaxParcels && count <= maxParcelLines
}

// arrived reports whether nothing is awaited any more: every line was delivered, refunded or written off.
func arrived(s *State) bool {
	return len(s.Parcels) > 0 && s.Order.awaited(s.free()).empty() &&
		!slices.ContainsFunc(s.Parcels, func(p Parcel) bool { return p.open() && len(p.Lines) > 0 })
}

// missing is what is awaited: what is in no parcel, and in those that have not arrived.
func (s *State) missing() quantities {
	q := s.Order.awaited(s.free())
	for _, p := range s.Parcels {
		if p.open() {
			q.add(p.Lines, 1)
		}
	}
	return q
}

// parcel returns the index of the parcel of a ref, -1 if there is none.
func (s *State) parcel(ref string) int {
	return slices.IndexFunc(s.Parcels, func(p Parcel) bool { return p.Ref() == ref })
}

// Amounts.

// refundAmount is the money for quantities of lines, less their share of the discounts, after what was refunded before: shares of whole units
// are rounded so that those of all lines sum to the total.
func (s *State) refundAmount(lines []LineQuantity) int64 {
	before := make(quantities, len(s.Order.Lines))
	for _, r := range s.Refunds {
		before.add(r.Lines, 1)
	}
	amount := int64(0)
	for _, l := range lines {
		if l.Line < 1 || l.Line > len(before) {
			continue
		}
		amount += s.Order.PaidFor(l.Line, before[l.Line-1]+l.Quantity) - s.Order.PaidFor(l.Line, before[l.Line-1])
		before[l.Line-1] += l.Quantity
	}
	return amount
}

// PaidFor is what was paid for the first units of a line, which is named by its position from 1: quantity x unitAmount less their share of the
// discounts. All units of all lines sum to the total.
func (o Order) PaidFor(line int, units int64) int64 {
	gross, discount, earlier := int64(0), int64(0), int64(0)
	for i, l := range o.Lines {
		if amount := l.Quantity * l.UnitAmount; amount < 0 {
			discount -= amount
		} else {
			if i < line-1 {
				earlier += amount
			}
			gross += amount
		}
	}
	l := o.Lines[line-1]
	if l.UnitAmount <= 0 {
		return 0
	}
	amount := min(units, l.Quantity) * l.UnitAmount
	return amount - (share(discount, earlier+amount, gross) - share(discount, earlier, gross))
}

// share is whole x part / of, rounded down; of is above zero, and part is not above it.
func share(whole, part, of int64) int64 {
	high, low := bits.Mul64(uint64(whole), uint64(part))
	quotient, _ := bits.Div64(high, low, uint64(of))
	return int64(quotient)
}
