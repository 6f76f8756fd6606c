package order

import (
	"encoding/json"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Task queues on which the order's activities run.
const (
	QueueOrders   = "orders"
	QueuePayments = "payments"
)

// Settings that bound the order's waits.
const (
	ReserveDeadline        saga.Deadline = "RESERVE_DEADLINE"
	AuthorizeDeadline      saga.Deadline = "AUTHORIZE_DEADLINE"
	PaymentPendingDeadline saga.Deadline = "PAYMENT_PENDING_DEADLINE"
	ShipmentDeadline       saga.Deadline = "SHIPMENT_DEADLINE"
	DeliveryDeadline       saga.Deadline = "DELIVERY_DEADLINE"
	// AttentionAfter is how long a dispute of a payment may be open before it needs attention, as a step that is stuck.
	AttentionAfter saga.Deadline = "ATTENTION_AFTER"
	ReturnDeadline saga.Deadline = "RETURN_DEADLINE"
)

const (
	// lookupWithin bounds how long a participant is asked about an unknown outcome before the step is compensated. The
	// compensation fences whatever happened, so waiting longer would only hold the stock for longer.
	lookupWithin = time.Minute
	// captureLookupWithin bounds how long it is asked for an operator's decision, which waits for the answer.
	captureLookupWithin = 5 * time.Second
)

// What a person may be asked to act on.
const (
	UndoStuck                  = saga.UndoStuck
	CaptureStuck               = "the capture is stuck"
	ShippedCaptureStuck        = "the capture is stuck after the goods were dispatched"
	ShippedCaptureRefused      = "the capture was refused after the goods were dispatched"
	CommitStuck                = "the commit of the stock is stuck"
	DeliveryMissing            = "the parcel is lost or late"
	GoodsDispatchedAfterCancel = "the goods were dispatched after a cancellation"
)

// Flow is the order saga: what is done, in which order, what compensates it, and what is waited for. An immediate order has no
// parcel; a shipment order asks the warehouse for the goods and settles when they have been dispatched. An order without stocked lines
// takes no stock, and one whose total is 0 no payment.
var Flow = saga.Flow[State, *Participants]{
	Name: "order", Stream: "order", Subject: "orderId", Workflow: "OrderSaga", Queue: QueueOrders,
	Own: own, Clone: clone, Same: same, Reverted: reverted,
	StatusAttribute: "OrderStatus", LongStatuses: []Status{StatusAwaitingPayment, StatusAwaitingShipment, StatusShipped},
	Signals: []saga.Signal{
		{Name: SignalPayment, Read: read[PaymentHint]},
		{Name: SignalShipment, Read: read[ShipmentSignal]},
	},
	TurnBack:    &saga.TurnBackRule{Signal: SignalStockLost, Ending: lostEnding},
	EarlyStream: event.EarlyStream, EarlyType: event.OrderCancellationKept,
	Late: &saga.LateRule[State]{
		Workflow: "LateSaga", Signal: "late",
		WorkflowID: func(id string) string { return event.WorkflowID("late-", id) },
		Summary:    func(id string) string { return "late events of order " + id },
		Unsettled:  func(eventType string) bool { return eventType == event.PaymentSucceeded },
		Attributes: func(s *State) []temporal.SearchAttributeUpdate {
			return []temporal.SearchAttributeUpdate{saga.CustomerID.ValueSet(s.Order.CustomerID), saga.NeedsAttentionAttribute.ValueSet(false)}
		},
	},
	KeepsStatus: staysShipped, RejectCancellation: dispatchedText, Completed: taken,
	Steps: []saga.Step[State, *Participants]{
		{
			Name: StepReserve, Kind: saga.Compensable, When: takesStock, Status: StatusReserved, Deadline: ReserveDeadline,
			Do:     &operation{Run: (*Participants).Reserve, Name: "inventory.Reserve", Summary: "reserve every line"},
			Lookup: &operation{Run: (*Participants).FindReservation, Name: "inventory.Find", Summary: "look up the reservation in the ledger", Within: lookupWithin},
			Undo:   &operation{Run: (*Participants).Release, Name: "inventory.Release", Summary: "undo: release the stock"},
			Done:   event.InventoryReserved, Refused: event.InventoryRejected, Undone: []string{event.InventoryReleased},
			Held: func(s *State) bool { return s.Held },
		},
		{
			Name: StepAuthorize, Kind: saga.Compensable, When: costsMoney, Status: StatusAuthorized, Deadline: AuthorizeDeadline,
			Do:     &operation{Run: (*Participants).Authorize, Name: "payment.Authorize", Queue: QueuePayments, Summary: "authorize the payment", Remote: true},
			Lookup: &operation{Run: (*Participants).FindPayment, Name: "payment.Lookup", Queue: QueuePayments, Summary: "look up the payment at the gateway", Remote: true, Within: lookupWithin},
			Undo:   &operation{Run: (*Participants).Void, Name: "payment.Void", Queue: QueuePayments, Summary: "undo: void the payment", Remote: true},
			Done:   event.PaymentAuthorized, Refused: event.PaymentDeclined, Undone: []string{event.PaymentVoided, event.PaymentRefunded},
			Pending: &saga.PendingRule{
				Event: event.PaymentPending, Status: StatusAwaitingPayment, On: []string{event.PaymentSucceeded, event.PaymentFailed},
				For: "the payer", Deadline: PaymentPendingDeadline, Overdue: ReasonPaymentTimeout,
			},
		},
		{
			// The warehouse is asked by an event and answers by events: the record is the effect, of asking as of taking back.
			Name: StepConfirm, Kind: saga.Compensable, When: hasParcel, Status: StatusAwaitingShipment,
			Undo: &operation{Summary: "undo: recall the goods"},
			Done: event.OrderConfirmed, Undone: []string{event.OrderFulfillmentWithdrawn},
			Data: func(s *State, _ *saga.Fact) any { return lines{Lines: s.Order.Items()} },
		},
		{
			Name: StepShip, Kind: saga.Await, When: hasParcel, Status: StatusShipped,
			Done: event.OrderShipped, Data: parcel,
			Wait: &saga.WaitRule{
				// The bus has no order: what is delivered or lost was dispatched.
				On:  []string{event.ShipmentDispatched, event.ShipmentDelivered, event.ShipmentLost},
				For: "the dispatch of the goods", Since: StepConfirm, Deadline: ShipmentDeadline, Overdue: ReasonShipmentTimeout,
				AfterCancel: &saga.Trouble{
					Step: StepDispatch, Text: "the goods were dispatched although the order is being compensated",
					AttentionKind: GoodsDispatchedAfterCancel,
				},
			},
		},
		{Name: StepDecide, Kind: saga.Pivot, Status: StatusSettling},
		{
			Name: StepCapture, Kind: saga.Forward, When: costsMoney,
			Do: &operation{Run: (*Participants).Capture, Name: "payment.Capture", Queue: QueuePayments, Summary: "capture the payment", Remote: true},
			// For a person who wants the order to be compensated.
			Lookup: &operation{Run: (*Participants).FindCapture, Name: "payment.LookupCapture", Queue: QueuePayments, Summary: "ask the gateway whether the payment was captured", Remote: true, Within: captureLookupWithin},
			Done:   event.PaymentCaptured, Refused: event.PaymentCaptureRefused,
			Reversible: func(s *State) bool { return s.ShippedAt.IsZero() },
			StuckText:  CaptureStuck, FinalText: ShippedCaptureStuck, RefusedText: ShippedCaptureRefused,
			RefusedError: "the capture was refused after the goods had been dispatched",
			UnknownText:  "the gateway does not say whether the payment was captured",
		},
		{
			Name: StepCommit, Kind: saga.Forward, When: takesStock,
			Do:        &operation{Run: (*Participants).Commit, Name: "inventory.Commit", Summary: "commit the stock"},
			Done:      event.InventoryCommitted,
			StuckText: CommitStuck,
		},
		{
			Name: StepDeliver, Kind: saga.Await, When: hasParcel,
			Done: event.OrderDelivered, Data: parcel, Parts: parcels,
			Wait: &saga.WaitRule{
				On: []string{event.ShipmentDelivered}, For: "the delivery of the goods", Since: StepShip, Deadline: DeliveryDeadline,
				Overdue: "the goods were not delivered in time", MissingText: DeliveryMissing,
				Trouble: []saga.Trouble{{On: event.ShipmentLost, Text: carrierLost}},
			},
		},
	},
}

// operation is an operation of the order's table.
type operation = saga.Operation[State, *Participants]

// same reports whether data to start an order is that of the order which is there.
func same(s *State, data json.RawMessage) bool {
	var o Order
	return json.Unmarshal(data, &o) == nil && o.ID == s.ID && s.Order.Same(o)
}

// lostEnding reads a StockLost. One that names no SKU says nothing.
func lostEnding(payload json.RawMessage) (saga.Ending, error) {
	var l StockLost
	err := json.Unmarshal(payload, &l)
	if err == nil && l.SKU == "" {
		err = fault.New(fault.Invalid, "the SKU is missing")
	}
	return l.Ending(), err
}

// reverted: a capture is reverted by a void that finds it, and refunds it.
func reverted(s *State, step string) bool { return step == StepCapture && s.Refunded }

func hasParcel(s *State) bool { return s.Order.Fulfillment == Shipment }

func takesStock(s *State) bool { return slices.ContainsFunc(s.Order.Lines, Line.IsStocked) }

func costsMoney(s *State) bool { return s.Order.TotalAmount > 0 }

// staysShipped: a shipped order stays shipped while it settles; that is what its customer wants to read.
func staysShipped(s *State, next Status) bool { return next == StatusSettling && !s.ShippedAt.IsZero() }

// dispatchedText is why an order on its way cannot be cancelled.
func dispatchedText(s *State) string {
	if s.Decision == Forward && !s.ShippedAt.IsZero() {
		return "the goods have been dispatched"
	}
	return ""
}

// total is what a completed order took and did not give back, in minor units.
type total struct {
	TotalAmount int64  `json:"totalAmount,omitempty"`
	Currency    string `json:"currency,omitempty"`
}

// taken is what a completed order took. A capture that was skipped took nothing, nor did an order that costs nothing.
func taken(s *State) any {
	if !costsMoney(s) {
		return nil
	}
	if hand, ok := s.Settled(StepCapture, false); ok && hand.Action == Skip {
		return nil
	}
	took := s.Order.TotalAmount - s.RefundedParcels()
	if took == 0 {
		return nil
	}
	return total{took, s.Order.Currency}
}

// lines is the data of order.confirmed, but for what the kit adds.
type lines struct {
	Lines []Item `json:"lines"`
}
