package refund

import (
	"strconv"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/text"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Request is what a refund is started with: an amount, or quantities of lines.
type Request struct {
	OrderID string `json:"orderId" required:"true"`
	// Amount is in minor units of the order's currency.
	Amount int64         `json:"amount,omitempty"`
	Lines  []RequestLine `json:"lines,omitempty"`
	// Reason is for people. It is published, and is no place for personal data.
	Reason string `json:"reason,omitempty"`
	// Restock puts the refunded quantities of stocked lines into stock again.
	Restock bool `json:"restock,omitempty"`
	// By is the caller who requested it.
	By string `json:"by,omitempty"`
	// ReturnID is the return whose received goods are refunded: its saga starts the refund.
	ReturnID string `json:"returnId,omitempty"`
}

// ForReturn is the ID of the refund of a return.
func ForReturn(returnID string) string { return event.DerivedID("refund of return", returnID) }

// returnPrefix begins the names of streams of returns, and their keys in the ledger.
const returnPrefix = "return-"

// ReturnKey is the key of a return in the ledger: the name of its stream.
func ReturnKey(id string) string { return returnPrefix + event.Escape(id) }

// RequestLine is a line of the order, by its position from 1, or by its SKU if that is on one line only.
type RequestLine struct {
	Line     int64  `json:"line,omitempty"`
	SKU      string `json:"sku,omitempty"`
	Quantity int64  `json:"quantity" required:"true"`
}

// maxReason and maxBy are how many characters a reason and the name of a caller may have.
const (
	maxReason = 500
	maxBy     = 400
)

func (r *Request) check(p *saga.Problems) {
	p.Require(event.ValidID(r.OrderID), "/orderId", "%s", event.IDRule)
	p.Require(r.Amount == 0 || len(r.Lines) == 0, "", "must have amount or lines, and not both")
	p.Require(r.Amount != 0 || len(r.Lines) > 0, "", "must have amount or lines, and not both")
	p.Require(r.Amount >= 0 && r.Amount <= order.MaxAmount, "/amount", "%s", fault.RuleRange(1, order.MaxAmount))
	p.Require(!r.Restock || len(r.Lines) > 0, "/restock", "requires lines: an amount does not say which goods are returned")
	CheckTexts(r.Reason, r.By, p)
	p.Require(r.ReturnID == "" || event.ValidID(r.ReturnID) && len(r.Lines) > 0 && !r.Restock, "/returnId", "is for refunds of returns")
	CheckLines(r.Lines, p)
}

// CheckTexts notes what is wrong with a reason and the name of a caller.
func CheckTexts(reason, by string, p *saga.Problems) {
	for _, rule := range text.Validate(reason, maxReason) {
		p.Require(false, "/reason", "%s", rule)
	}
	for _, rule := range text.Validate(by, maxBy) {
		p.Require(false, "/by", "%s", rule)
	}
}

// CheckLines notes what is wrong with lines.
func CheckLines(lines []RequestLine, p *saga.Problems) {
	p.Require(len(lines) <= order.MaxLines, "/lines", "must have at most %d lines", order.MaxLines)
	seen := make(map[RequestLine]bool)
	for i, l := range lines[:min(len(lines), order.MaxLines)] {
		at := "/lines/" + strconv.Itoa(i)
		named := RequestLine{Line: l.Line, SKU: l.SKU}
		p.Require((l.Line == 0) != (l.SKU == ""), at, "must have line or sku, and not both")
		p.Require(l.Line >= 0 && l.Line <= order.MaxLines, at+"/line", "%s", fault.RuleRange(1, order.MaxLines))
		p.Require(l.SKU == "" || event.ValidID(l.SKU), at+"/sku", "%s", event.IDRule)
		p.Require(l.Quantity >= 1 && l.Quantity <= order.MaxQuantity, at+"/quantity", "%s", fault.RuleRange(1, order.MaxQuantity))
		p.Require(!seen[named], at, "names a line twice")
		seen[named] = true
	}
}

// Reasons of a refusal.
const (
	ReasonOrderUnknown     = "order_unknown"
	ReasonNotRefundable    = "not_refundable"
	ReasonInvalidLines     = "invalid_lines"
	ReasonExceedsCaptured  = "refund_exceeds_captured"
	ReasonRefusedByGateway = "refused_by_gateway"
	ReasonSkipped          = "refund_skipped"
)

// Refusal is the data of refund.refused and return.refused, and an error until then.
type Refusal struct {
	OrderID string `json:"orderId"`
	Reason  string `json:"reason"`
	// Detail is for people; Refundable is what can still be refunded, of refund_exceeds_captured.
	Detail     string `json:"detail,omitempty"`
	Refundable *int64 `json:"refundable,omitempty"`
	// Code is the gateway's.
	Code string `json:"code,omitempty"`

	// at is the line of the request that is wrong, from 1; 0 for none.
	at int
}

// Refuse refuses a request about an order. At is the line of the request that is wrong, from 1; 0 for none.
func Refuse(orderID, reason string, at int, detail string) *Refusal {
	return &Refusal{OrderID: orderID, Reason: reason, Detail: detail, at: at}
}

func (r *Refusal) Error() string { return r.Reason + ": " + r.Detail }

// Pointer is the JSON pointer of what is wrong in the request; "" for nothing.
func (r *Refusal) Pointer() string {
	if r.at == 0 {
		return ""
	}
	return "/lines/" + strconv.Itoa(r.at-1)
}

// prefix begins the names of streams of refunds, and their keys in the ledger and at the gateway: both are the same.
const prefix = refunds.RequestPrefix

func key(id string) string { return prefix + event.Escape(id) }

// quote says what a request comes to for an order.
type quote struct {
	request Request
	order   *order.State
}

// total is the money of which refunds are made: what was captured. The error is a Refusal.
func (q quote) total() (int64, error) {
	s := q.order
	if s.Capture != order.CaptureDone || s.Decision != order.Forward {
		return 0, q.refuse(ReasonNotRefundable, 0, "the payment of the order is not captured")
	}
	return s.Order.TotalAmount, nil
}

func (q quote) refuse(reason string, at int, detail string) *Refusal {
	return Refuse(q.request.OrderID, reason, at, detail)
}

// price is the amount of the request and its lines, after what the ledger has. The error is a Refusal.
func (q quote) price(l refunds.Ledger) (amount int64, lines []refunds.Line, err error) {
	total, err := q.total()
	if err != nil {
		return 0, nil, err
	}
	if l.Disputed() {
		return 0, nil, q.refuse(ReasonNotRefundable, 0, "an open dispute blocks refunds of the payment")
	}
	left := l.Left(refunds.Captured, total)
	exceeds := func(at int, detail string) error {
		r := q.refuse(ReasonExceedsCaptured, at, detail)
		r.Refundable = &left
		return r
	}
	amount = q.request.Amount
	if len(q.request.Lines) > 0 {
		taken := q.taken(l)
		for i, requested := range q.request.Lines {
			n, wrong := q.lineOf(requested)
			if wrong != "" {
				return 0, nil, q.refuse(ReasonInvalidLines, i+1, wrong)
			}
			before := &taken[n-1]
			if requested.Quantity > before.left {
				return 0, nil, exceeds(i+1, "only "+strconv.FormatInt(max(before.left, 0), 10)+" of line "+strconv.Itoa(n)+" can still be refunded")
			}
			due := max(q.order.Order.PaidFor(n, before.priced+requested.Quantity)-before.amount, 0)
			lines = append(lines, refunds.Line{Line: n, Quantity: requested.Quantity, Amount: due})
			before.left, before.priced, before.amount = before.left-requested.Quantity, before.priced+requested.Quantity, before.amount+due
			amount += due
		}
	}
	switch {
	case amount > left:
		return 0, nil, exceeds(0, "only "+strconv.FormatInt(left, 10)+" of "+strconv.FormatInt(total, 10)+" can still be refunded")
	case amount == 0:
		return 0, nil, q.refuse(ReasonNotRefundable, 0, "nothing was paid for the lines")
	}
	return amount, lines, nil
}

// lineOf is the position of a line of the request, from 1, or says what is wrong with it.
func (q quote) lineOf(l RequestLine) (n int, wrong string) { return LineOf(q.order.Order, l) }

// LineOf is the position of a line of an order, from 1, or says what is wrong with it.
func LineOf(o order.Order, l RequestLine) (n int, wrong string) {
	lines := o.Lines
	if l.SKU == "" {
		n = int(l.Line)
	}
	for i := range lines {
		if l.SKU == "" || lines[i].SKU != l.SKU {
			continue
		}
		if n > 0 {
			return 0, "the SKU is on several lines: name the line"
		}
		n = i + 1
	}
	switch {
	case n == 0:
		return 0, "the order has no line with this SKU"
	case n > len(lines):
		return 0, "the order has no such line"
	case lines[n-1].UnitAmount < 0:
		return 0, "the line is a discount, which the amounts of the other lines contain"
	}
	return n, ""
}

// taken is what refunds have of a line.
type taken struct {
	// left is how many units can still be refunded, priced how many are refunded, or reserved for that, with their amount.
	left, priced, amount int64
}

// taken is what of each line is refunded, or reserved for that, by refunds and for parcels that did not arrive, and what can still be refunded:
// neither what returns have, nor, for the refund of a return, more than came back.
func (q quote) taken(l refunds.Ledger) []taken {
	s := q.order
	all := make([]taken, len(s.Order.Lines))
	for _, parcel := range s.Refunds {
		for _, line := range parcel.Lines {
			if line.Line >= 1 && line.Line <= len(all) {
				all[line.Line-1].priced += line.Quantity
			}
		}
	}
	units := l.Taken()
	for i := range all {
		all[i].left = s.Order.Lines[i].Quantity - all[i].priced - units[i+1]
		all[i].amount = s.Order.PaidFor(i+1, all[i].priced)
		if q.request.ReturnID != "" {
			all[i].left = 0
			if r := l.Returns[ReturnKey(q.request.ReturnID)]; r.Settled {
				all[i].left = r.Quantity(i + 1)
			}
		}
	}
	for _, key := range l.Keys {
		r := l.ByKey[key]
		for _, line := range r.Lines {
			if !r.Released && line.Line >= 1 && line.Line <= len(all) {
				all[line.Line-1].priced += line.Quantity
				all[line.Line-1].amount += line.Amount
			}
		}
	}
	return all
}
