package returns

import (
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// SlotReceipts begins the slots of receipts, receipt/<ID>/received; the one that completes a return has the slot of its step.
const SlotReceipts = "receipt"

// MaxReceipts bounds the receipts of a return. One more cannot be used.
const MaxReceipts = 200

// received is the data of return.items_received, but for what the kit adds.
type received struct {
	OrderID   string     `json:"orderId"`
	ReceiptID string     `json:"receiptId"`
	Lines     []lineUnit `json:"lines"`
	// Unexpected is what arrived and was not announced, or more than was announced.
	Unexpected []refund.RequestLine `json:"unexpected,omitempty"`
}

// interpret says what a receipt means to a return.
func interpret(s *State, f *saga.Fact) saga.PartResult {
	d, last, ok := s.receipt(f)
	switch {
	case slices.Contains(s.Receipts, f.ID):
		return saga.PartResult{Meaning: saga.PartNothing}
	case !ok, s.Expired, len(s.Receipts) >= MaxReceipts:
		return saga.PartResult{Meaning: saga.PartUnusable}
	case last:
		return saga.PartResult{Meaning: saga.PartLast}
	}
	return saga.PartResult{Meaning: saga.PartEvent, Part: event.Escape(f.ID), What: "received", Type: event.ReturnItemsReceived, Data: d}
}

// lastReceipt is the data of the event with which everything is received.
func lastReceipt(s *State, f *saga.Fact) any {
	if f == nil {
		return nil
	}
	d, _, _ := s.receipt(f)
	return d
}

// receipt is what arrived of what is missing. Last reports that nothing is missing after it; ok is false if nothing of it is.
func (s *State) receipt(f *saga.Fact) (d received, last, ok bool) {
	said, err := saga.DataOf[Receipt](f)
	if err != nil {
		return d, false, false
	}
	d = received{OrderID: s.Request.OrderID, ReceiptID: f.ID}
	missing := s.missing()
	var arrived []refunds.Units
	if len(said.Lines) == 0 {
		arrived, missing = missing, nil
	}
	for _, l := range said.Lines {
		left := l.Quantity
		for i := range missing {
			if left == 0 || !s.names(l, missing[i].Line) {
				continue
			}
			n := min(left, missing[i].Quantity)
			left, missing[i].Quantity = left-n, missing[i].Quantity-n
			if n > 0 {
				arrived = add(arrived, refunds.Units{Line: missing[i].Line, Quantity: n})
			}
		}
		if left > 0 {
			d.Unexpected = append(d.Unexpected, refund.RequestLine{Line: l.Line, SKU: l.SKU, Quantity: left})
		}
	}
	d.Lines = s.unitsOf(arrived)
	last = !slices.ContainsFunc(missing, func(u refunds.Units) bool { return u.Quantity > 0 })
	return d, last, len(arrived) > 0
}

// Expects reports whether anything of a receipt is missing, or may be: before the lines are announced, nothing is known.
func (s *State) Expects(f *saga.Fact) bool {
	_, _, ok := s.receipt(f)
	return ok || len(s.Lines) == 0
}

// Waits reports whether receipts are used, at once or when the return is announced.
func (s *State) Waits() bool {
	return !s.Ended && !s.Expired && (len(s.Lines) == 0 || len(s.missing()) > 0) && len(s.Receipts) < MaxReceipts
}

// IsReceipt reports whether a record is a receipt.
func IsReceipt(r event.Record, id string) bool {
	if r.Type != event.ReturnItemsReceived {
		return false
	}
	d, err := event.Decode[received](r.Event)
	return err == nil && d.ReceiptID == id
}

// names reports whether a line of a receipt is an announced line, by its position or its SKU.
func (s *State) names(l refund.RequestLine, line int) bool {
	if l.SKU == "" {
		return l.Line == int64(line)
	}
	return slices.ContainsFunc(s.Lines, func(a Line) bool { return a.Line == line && a.SKU == l.SKU })
}

func add(units []refunds.Units, u refunds.Units) []refunds.Units {
	for i := range units {
		if units[i].Line == u.Line {
			units[i].Quantity += u.Quantity
			return units
		}
	}
	return append(units, u)
}

// receive folds a receipt.
func (s *State) receive(d received) {
	s.Receipts = append(s.Receipts, d.ReceiptID)
	for _, got := range d.Lines {
		for i := range s.Lines {
			if s.Lines[i].Line == got.Line {
				s.Lines[i].Received += got.Quantity
			}
		}
	}
}

// expiry is the data of return.expired, but for what the kit adds.
type expiry struct {
	OrderID string     `json:"orderId"`
	Reason  string     `json:"reason"`
	Missing []lineUnit `json:"missing"`
}

func expired(s *State) any {
	return expiry{s.Request.OrderID, ReasonExpired, s.unitsOf(s.missing())}
}
