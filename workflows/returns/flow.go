// Package returns is the flow of returned goods: what a return is started with and how many units may come back (request.go), its table (this file)
// and step functions (steps.go), what the warehouse reports (receipts.go), and how returns are read (read.go).
//
// The quantities are reserved in the refund ledger of the order before anything is announced, so that no more is returned than was delivered,
// whatever races. What is received until RETURN_DEADLINE is refunded by a saga of the flow refund, and put into stock; the rest is free again.
//
// Only the step functions and the readers do I/O.
package returns

import (
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Workflow is the registered workflow type. It is part of histories: never rename it.
const Workflow = "ReturnSaga"

// Steps of the saga, in events and in the Temporal Web UI.
const (
	StepAnnounce = "announce"
	StepReceive  = "receive"
	StepAccount  = "account"
	StepRefund   = "refund"
	StepRestock  = "restock"
)

// Statuses between the beginning and the end.
const (
	StatusAnnounced saga.Status = "announced"
	StatusReceived  saga.Status = "received"
	StatusRefunded  saga.Status = "refunded"
)

// What a person may be asked to act on.
const (
	GoodsMissing  = "the returned goods are missing"
	RefundStuck   = "the refund of the returned goods is stuck"
	RefundRefused = "the refund of the returned goods was refused"
	RestockStuck  = "the returned goods cannot be put into stock"
)

// State is a return, computed from its events.
type State struct {
	saga.Saga
	Request Request `json:"request"`
	// Lines are what is announced; none before that.
	Lines []Line `json:"lines,omitempty"`
	// Receipts are the IDs of the receipts that are recorded.
	Receipts []string `json:"receipts,omitempty"`
	// Expired reports that the time was over before everything was received.
	Expired bool `json:"expired,omitempty"`
	// RefundID is the refund, Amount and Currency are what it has refunded; zero before that.
	RefundID string `json:"refundId,omitempty"`
	Amount   int64  `json:"amount,omitempty"`
	Currency string `json:"currency,omitempty"`
	// Restocked reports that the goods are in stock.
	Restocked bool `json:"restocked,omitempty"`
	// Refused is why it was refused, if it was.
	Refused *refund.Refusal `json:"refused,omitempty"`
}

// Line is what is returned of a line of the order.
type Line struct {
	Line     int    `json:"line"`
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	// Received is how many of them came back.
	Received int64 `json:"received"`
}

type operation = saga.Operation[State, *Participants]

// Flow is the saga that takes goods back.
var Flow = saga.Flow[State, *Participants]{
	Name: "return", Stream: "return", Subject: "returnId", Workflow: Workflow, Queue: saga.QueueOrders,
	Start: saga.StartWith(func(s *State) *Request { return &s.Request }, (*Request).check),
	Inbound: []saga.Inbound{
		saga.Starts(event.Named(event.ReturnRequested)), saga.FactFrom(event.Named(event.ReturnReceived), (*Receipt).check),
	},
	Own: own, Clone: clone, Completed: completed,
	LongStatuses: []saga.Status{StatusAnnounced},
	Summary:      func(s *State) string { return "return of order " + s.Request.OrderID },
	Steps: []saga.Step[State, *Participants]{
		{
			Name: StepAnnounce, Kind: saga.Compensable, Status: StatusAnnounced, Deadline: order.ReserveDeadline,
			Do:   &operation{Run: (*Participants).Announce, Summary: "reserve the quantities, and announce them to the warehouse"},
			Undo: &operation{Run: (*Participants).Release, Summary: "undo: release the quantities"},
			Done: event.ReturnAnnounced, Refused: event.ReturnRefused, Undone: []string{event.ReturnReleased},
		},
		{Name: "decide", Kind: saga.Pivot, Status: StatusAnnounced},
		{
			Name: StepReceive, Kind: saga.Await, Status: StatusReceived,
			Done: event.ReturnItemsReceived, Refused: event.ReturnExpired, Data: lastReceipt,
			// Nothing comes before it but the reserved quantities, which a return without goods releases.
			Reversible: func(s *State) bool { return len(s.received()) == 0 }, FinalText: GoodsMissing,
			Wait: &saga.WaitRule{
				On: []string{event.ReturnReceived}, For: "the returned goods", Since: StepAnnounce, Deadline: order.ReturnDeadline,
				Overdue: "the goods did not come back in time", MissingText: GoodsMissing,
			},
			Parts: &saga.PartsRule[State, *Participants]{
				Slot: SlotReceipts, On: []string{event.ReturnReceived}, Interpret: interpret, Expired: expired,
				Over:    func(s *State) bool { return len(s.Lines) > 0 && len(s.missing()) == 0 },
				Missing: func(*State) (part, text string) { return "", "" },
				Settled: func(*State, string) bool { return true },
			},
		},
		{
			Name: StepAccount, Kind: saga.Forward,
			Do:   &operation{Run: (*Participants).Account, Summary: "make the received quantities final, and free the others"},
			Done: event.ReturnAccounted,
		},
		{
			Name: StepRefund, Kind: saga.Forward, Status: StatusRefunded, When: func(s *State) bool { return s.Request.refunds() },
			Do:   &operation{Run: (*Participants).Refund, Summary: "have a refund saga refund what was received", Remote: true},
			Done: event.ReturnRefunded, Refused: event.ReturnRefundRefused,
			StuckText: RefundStuck, RefusedText: RefundRefused, RefusedError: "the refund of the returned goods was refused",
		},
		{
			Name: StepRestock, Kind: saga.Forward, When: func(s *State) bool { return s.Request.restocks() },
			Do:   &operation{Run: (*Participants).Restock, Summary: "put the goods into stock"},
			Done: event.ReturnRestocked, StuckText: RestockStuck,
		},
	},
}

// own folds what only a return's events say.
func own(s *State, r event.Record) error {
	switch r.Type {
	case event.ReturnAnnounced:
		return event.DecodeInto(r.Event, func(d announced) {
			for _, l := range d.Lines {
				s.Lines = append(s.Lines, Line{Line: l.Line, SKU: l.SKU, Quantity: l.Quantity})
			}
		})
	case event.ReturnItemsReceived:
		return event.DecodeInto(r.Event, s.receive)
	case event.ReturnExpired:
		s.Expired = true
	case event.ReturnRefunded:
		return event.DecodeInto(r.Event, func(d refunded) { s.RefundID, s.Amount, s.Currency = d.RefundID, d.Amount, d.Currency })
	case event.ReturnRefundRefused:
		return event.DecodeInto(r.Event, func(d refundRefused) { s.RefundID = d.RefundID })
	case event.ReturnRestocked:
		s.Restocked = true
	case event.ReturnRefused:
		return event.DecodeInto(r.Event, func(d refund.Refusal) { s.Refused = &d })
	case event.ReturnRejected:
		if s.Refused != nil {
			s.Detail = s.Refused.Detail
		}
	}
	return nil
}

// clone copies what own changes in place.
func clone(s *State) { s.Lines, s.Receipts = slices.Clone(s.Lines), slices.Clone(s.Receipts) }

// The data of events, but for what the kit adds.
type (
	announced struct {
		OrderID string     `json:"orderId"`
		Lines   []lineUnit `json:"lines"`
	}
	lineUnit struct {
		Line     int    `json:"line"`
		SKU      string `json:"sku"`
		Quantity int64  `json:"quantity"`
	}
	released struct {
		OrderID string `json:"orderId"`
	}
	accounted struct {
		OrderID string     `json:"orderId"`
		Lines   []lineUnit `json:"lines"`
		Missing []lineUnit `json:"missing,omitempty"`
	}
	refunded struct {
		OrderID  string `json:"orderId"`
		RefundID string `json:"refundId"`
		Amount   int64  `json:"amount"`
		Currency string `json:"currency"`
	}
	refundRefused struct {
		OrderID  string `json:"orderId"`
		RefundID string `json:"refundId"`
		Reason   string `json:"reason"`
		Detail   string `json:"detail,omitempty"`
	}
	restocked struct {
		OrderID string       `json:"orderId"`
		Lines   []order.Item `json:"lines"`
	}
	ending struct {
		OrderID  string     `json:"orderId"`
		Lines    []lineUnit `json:"lines"`
		RefundID string     `json:"refundId,omitempty"`
		Amount   int64      `json:"amount,omitempty"`
		Currency string     `json:"currency,omitempty"`
	}
)

// completed says what came back and what was refunded. A refund that a person has settled otherwise is not the return's.
func completed(s *State) any {
	d := ending{OrderID: s.Request.OrderID, Lines: s.unitsOf(s.received())}
	if s.Amount > 0 {
		d.RefundID, d.Amount, d.Currency = s.RefundID, s.Amount, s.Currency
	}
	return d
}

// unitsOf adds the SKUs to quantities of announced lines.
func (s *State) unitsOf(units []refunds.Units) []lineUnit {
	lines := []lineUnit{}
	for _, u := range units {
		for _, l := range s.Lines {
			if l.Line == u.Line {
				lines = append(lines, lineUnit{u.Line, l.SKU, u.Quantity})
			}
		}
	}
	return lines
}

// received is what came back, missing is what did not.
func (s *State) received() []refunds.Units {
	return s.units(func(l Line) int64 { return l.Received })
}

func (s *State) missing() []refunds.Units {
	return s.units(func(l Line) int64 { return l.Quantity - l.Received })
}

// units are the quantities of the announced lines that are above zero.
func (s *State) units(of func(l Line) int64) (units []refunds.Units) {
	for _, l := range s.Lines {
		if n := of(l); n > 0 {
			units = append(units, refunds.Units{Line: l.Line, Quantity: n})
		}
	}
	return units
}
