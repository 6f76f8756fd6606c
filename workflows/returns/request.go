package returns

import (
	"strconv"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Request is what a return is started with: quantities of lines of an order.
type Request struct {
	OrderID string               `json:"orderId" required:"true"`
	Lines   []refund.RequestLine `json:"lines" required:"true"`
	// Reason is for people. It is published, and is no place for personal data.
	Reason string `json:"reason,omitempty"`
	// Refund refunds what is received, Restock puts it into stock again. Both are true by default.
	Refund  *bool `json:"refund,omitempty"`
	Restock *bool `json:"restock,omitempty"`
	// By is the caller who requested it.
	By string `json:"by,omitempty"`
}

func (r *Request) refunds() bool  { return r.Refund == nil || *r.Refund }
func (r *Request) restocks() bool { return r.Restock == nil || *r.Restock }

func (r *Request) check(p *saga.Problems) {
	refunded, restocked := r.refunds(), r.restocks()
	r.Refund, r.Restock = &refunded, &restocked
	p.Require(event.ValidID(r.OrderID), "/orderId", "%s", event.IDRule)
	p.Require(len(r.Lines) > 0, "/lines", "must have at least one line")
	refund.CheckTexts(r.Reason, r.By, p)
	refund.CheckLines(r.Lines, p)
}

// Receipt is the data of return.received, but for the return: what arrived at the warehouse; without lines, everything that is missing.
type Receipt struct {
	Lines []refund.RequestLine `json:"lines,omitempty"`
}

func (r *Receipt) check(p *saga.Problems) { refund.CheckLines(r.Lines, p) }

// Reasons of a refusal, and of a return that has expired.
const (
	ReasonOrderUnknown     = refund.ReasonOrderUnknown
	ReasonNotRefundable    = refund.ReasonNotRefundable
	ReasonInvalidLines     = refund.ReasonInvalidLines
	ReasonExceedsDelivered = "return_exceeds_delivered"
	ReasonExpired          = "return_expired"
)

func key(id string) string { return refund.ReturnKey(id) }

// announcement says which units of an order a request returns.
type announcement struct {
	request Request
	order   *order.State
}

func (a announcement) refuse(reason string, at int, detail string) *refund.Refusal {
	return refund.Refuse(a.request.OrderID, reason, at, detail)
}

// units are the quantities of the request by line, after what the ledger has: never more than was delivered, less what refunds and other returns
// have. The error is a refund.Refusal.
func (a announcement) units(l refunds.Ledger) ([]refunds.Units, error) {
	if paid := a.order; a.request.refunds() && (paid.Capture != order.CaptureDone || paid.Decision != order.Forward) {
		return nil, a.refuse(ReasonNotRefundable, 0, "the payment of the order is not captured: only a return without refund is possible")
	}
	delivered, taken := Delivered(a.order), l.Taken()
	var units []refunds.Units
	at := make(map[int]int)
	for i, requested := range a.request.Lines {
		n, wrong := refund.LineOf(a.order.Order, requested)
		if wrong != "" {
			return nil, a.refuse(ReasonInvalidLines, i+1, wrong)
		}
		taken[n] += requested.Quantity
		if left := delivered[n-1] - taken[n] + requested.Quantity; requested.Quantity > left {
			return nil, a.refuse(ReasonExceedsDelivered, i+1,
				"only "+strconv.FormatInt(max(left, 0), 10)+" of line "+strconv.Itoa(n)+" were delivered and can still be returned")
		}
		if a.request.refunds() && a.order.Order.PaidFor(n, a.order.Order.Lines[n-1].Quantity) == 0 {
			return nil, a.refuse(ReasonNotRefundable, i+1, "nothing was paid for the line: only a return without refund is possible")
		}
		if known, ok := at[n]; ok {
			units[known].Quantity += requested.Quantity
			continue
		}
		at[n] = len(units)
		units = append(units, refunds.Units{Line: n, Quantity: requested.Quantity})
	}
	return units, nil
}

// Delivered is how many of each line a customer has: all of a completed order that was not shipped, and what was in parcels that arrived.
func Delivered(s *order.State) []int64 {
	delivered := make([]int64, len(s.Order.Lines))
	if s.Order.Fulfillment != order.Shipment {
		if s.Status == order.StatusCompleted {
			for i, l := range s.Order.Lines {
				delivered[i] = l.Quantity
			}
		}
		return delivered
	}
	for _, p := range s.Parcels {
		if p.Status != order.ParcelDelivered {
			continue
		}
		for _, l := range p.Lines {
			if l.Line >= 1 && l.Line <= len(delivered) {
				delivered[l.Line-1] += l.Quantity
			}
		}
	}
	return delivered
}
