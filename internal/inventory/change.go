package inventory

import (
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/stock"
)

const (
	// MaxQuantity is the maximum quantity of one call.
	MaxQuantity = 1_000_000
	// MaxOnHand is the maximum stock of a SKU: JSON numbers are exact up to it.
	MaxOnHand = 1<<53 - 1
)

// Movement is the data of every stock event.
type Movement struct {
	SKU string `json:"sku"`
	// OrderID is the order of a reservation, release, commit or return; empty for receipts, adjustments and counts.
	OrderID string `json:"orderId,omitempty"`
	// ID is the idempotency ID of a receipt, adjustment or count.
	ID string `json:"id,omitempty"`
	// Quantity is the quantity of the event: signed for stock.adjusted, the requested one for stock.refused, 0 for stock.fenced.
	Quantity int64 `json:"quantity"`
	// OnHand and Reserved are the balance after the event. OnHand includes Reserved.
	OnHand   int64 `json:"onHand"`
	Reserved int64 `json:"reserved"`
	// Counted is the counted quantity; only for a stock.adjusted by a count.
	Counted *int64 `json:"counted,omitempty"`
	// Reason is out_of_stock or unknown_sku. Every event before the SKU is known has unknown_sku.
	Reason string `json:"reason,omitempty"`
	// Note is the note of an adjustment.
	Note string `json:"note,omitempty"`
	// By is the caller that adjusted or counted, if it was authenticated.
	By string `json:"by,omitempty"`
}

// Remark is recorded with an adjustment or a count.
type Remark struct{ By, Note string }

// ReserveKey is the Do slot of an order in a SKU's stream.
func ReserveKey(orderID string) string { return event.Escape(orderID) + "/reserve" }

// SettleKey is the commit or release slot of an order in a SKU's stream.
func SettleKey(orderID string) string { return event.Escape(orderID) + "/settle" }

// ReturnKey is the slot of a return of stock by an order in a SKU's stream.
func ReturnKey(orderID, id string) string {
	return event.Escape(orderID) + "/return/" + event.Escape(id)
}

// receiptKey, adjustmentKey and countKey are the slots of stock changes without an order. The kind of the slot is the suffix, so that no ID can
// be mistaken for an order's.
func receiptKey(id string) string    { return id + "/receipt" }
func adjustmentKey(id string) string { return id + "/adjustment" }
func countKey(id string) string      { return id + "/count" }

// change is a requested record: it is written under key, unless the key is taken.
type change struct {
	key string
	// kind is the event type; a stock.reserved may become a stock.refused.
	kind     string
	orderID  string
	id       string
	why      Remark
	quantity int64
	// after is the version that the change depends on: it cannot be applied to an earlier balance.
	after int64
	// counted is the counted quantity, for a stock.adjusted whose quantity is derived from it.
	counted *int64
	// mode is what to do with a reservation that exceeds the available stock; seen is the version up to which the SKU's holders were
	// checked and found not temporary.
	mode reserveMode
	seen int64
	// acquire is set by Acquire, which detects earlier results in other ways.
	acquire bool
}

// balance is the balance of a SKU at some version of its stream.
type balance struct {
	onHand, reserved int64
	// known is false before the first stock.added or stock.adjusted.
	known bool
	// reservedAt is the version of the newest stock.reserved, or a later one if that is unknown.
	reservedAt int64
}

// available is the quantity that can be reserved; 0 in a shortfall.
func (b balance) available() int64 { return max(b.onHand-b.reserved, 0) }

// makesKnown reports whether the change makes the SKU known.
func (c change) makesKnown() bool { return c.kind == event.StockAdded || c.kind == event.StockAdjusted }

// apply applies the change to a balance. It returns the event to write and the new balance, or the reason why nothing is to be written:
// StockInsufficient, Invalid, Corrupt.
func (c change) apply(sku string, b balance, at time.Time) (event.Entry, balance, error) {
	kind, reason := c.kind, ""
	if !b.known && !c.makesKnown() {
		reason = stock.UnknownSKU
	}
	switch c.kind {
	case event.StockReserved:
		var err error
		if kind, reason, err = c.reserve(sku, b); err != nil {
			return event.Entry{}, b, err
		}
		if kind == event.StockReserved {
			b.reserved += c.quantity
			b.reservedAt = unwritten
		}
	case event.StockReleased:
		b.reserved -= c.quantity
	case event.StockCommitted:
		if b.onHand < c.quantity && c.quantity <= b.reserved {
			return event.Entry{}, b, fault.New(fault.StockInsufficient,
				"only %d of SKU %s are on hand, fewer than the order has reserved", b.onHand, sku)
		}
		b.reserved -= c.quantity
		b.onHand -= c.quantity
	case event.StockReturned:
		if c.quantity > MaxOnHand-b.onHand {
			return event.Entry{}, b, fault.New(fault.Invalid, "SKU %s cannot have more than %d on hand", sku, int64(MaxOnHand))
		}
		b.onHand += c.quantity
	case event.StockAdded, event.StockAdjusted:
		if c.counted != nil {
			// A count is a fact, even if less is there than is reserved.
			c.quantity = *c.counted - b.onHand
		} else if c.quantity < 0 && b.available() < -c.quantity {
			return event.Entry{}, b, fault.New(fault.StockInsufficient, "only %d of SKU %s are available", b.available(), sku)
		}
		if c.quantity > MaxOnHand-b.onHand {
			return event.Entry{}, b, fault.New(fault.Invalid, "SKU %s cannot have more than %d on hand", sku, int64(MaxOnHand))
		}
		b.onHand += c.quantity
		b.known = true
	}
	if b.reserved < 0 || b.onHand < 0 {
		return event.Entry{}, b, fault.New(fault.Corrupt, "%s of %d would leave SKU %s with %d on hand and %d reserved",
			kind, c.quantity, sku, b.onHand, b.reserved)
	}
	return event.New(event.StockStream(sku), c.key, kind, sku, at, Movement{
		SKU: sku, OrderID: c.orderID, ID: c.id, Quantity: c.quantity, OnHand: b.onHand, Reserved: b.reserved,
		Counted: c.counted, Reason: reason, Note: c.why.Note, By: c.why.By,
	}), b, nil
}

// slot is a decoded record of a stock stream.
type slot struct {
	kind    string
	version int64
	Movement
}

// readSlot decodes a record of a stock stream. The error is Corrupt, or Unavailable for a record of a newer version of this service.
func readSlot(r event.Record) (slot, error) {
	m, err := event.Decode[Movement](r.Event)
	if fault.CodeOf(err) == fault.Unavailable {
		return slot{}, fault.Wrap(err, fault.Unavailable, "version %d of stream %s", r.Version, r.Stream)
	}
	if err != nil {
		return slot{}, fault.Wrap(err, fault.Corrupt, "version %d of stream %s", r.Version, r.Stream)
	}
	return slot{kind: r.Type, version: r.Version, Movement: m}, nil
}

// balance returns the balance after the record.
func (s slot) balance() balance {
	return balance{onHand: s.OnHand, reserved: s.Reserved, known: s.Reason != stock.UnknownSKU, reservedAt: s.version}
}

// after returns the balance after the record, which directly follows the balance before.
func (s slot) after(before balance) balance {
	b := s.balance()
	if s.kind != event.StockReserved {
		b.reservedAt = before.reservedAt
	}
	return b
}

// public returns the balance after the record as a Balance.
func (s slot) public() Balance { return s.balance().public(s.SKU, s.version) }

// public returns b as a Balance.
func (b balance) public(sku string, version int64) Balance {
	return Balance{
		SKU: sku, OnHand: b.onHand, Reserved: b.reserved, Available: b.available(), Version: version,
		Shortfall: max(b.reserved-b.onHand, 0),
	}
}
