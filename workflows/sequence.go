package workflows

import (
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

type (
	// orderStep, orderCall and orderSaga are the kit's types with the order's activities.
	orderStep = saga.Step[activities.StepInput, activities.StepResult]
	orderCall = saga.Call[activities.StepInput, activities.StepResult]
	orderSaga = saga.Definition[activities.StepInput, activities.StepResult]
)

// OrderSaga is the business sequence of an order: what is done, in which order, and what undoes it. order.Next decides
// where in it an order stands. The error says what is wrong with the sequence; a worker does not start with one.
//
// The order's stream is opened before the first step and ended after the last.
func OrderSaga(f order.Fulfillment) (*orderSaga, error) {
	reserve := orderStep{
		Name: string(order.StepReserve), Kind: saga.Compensable,
		Slot: order.SlotReserve, UndoSlot: order.UndoSlot(order.StepReserve),
		Do: saga.Activity(activities.NameReserve, (*activities.Inventory).Reserve, orderCall{
			Queue: QueueOrders, Summary: "reserve every line",
			Deadline: func(in activities.StepInput) time.Duration { return in.Timing.Reserve },
		}),
		Lookup: saga.Activity(activities.NameFind, (*activities.Inventory).Find, orderCall{
			Queue: QueueOrders, Summary: "ask the ledger what became of the reservation",
			Deadline: func(activities.StepInput) time.Duration { return lookupDeadline },
		}),
		Undo: saga.Activity(activities.NameRelease, (*activities.Inventory).Release, orderCall{
			Queue: QueueOrders, Summary: "undo: release the stock",
		}),
	}
	authorize := orderStep{
		Name: string(order.StepAuthorize), Kind: saga.Compensable,
		Slot: order.SlotAuthorize, UndoSlot: order.UndoSlot(order.StepAuthorize),
		Do: saga.Activity(activities.NameAuthorize, (*activities.Payment).Authorize, orderCall{
			Queue: QueuePayments, Summary: "authorize the payment", Remote: true,
			Deadline: func(in activities.StepInput) time.Duration { return in.Timing.Authorize },
		}),
		Lookup: saga.Activity(activities.NameLookup, (*activities.Payment).Lookup, orderCall{
			Queue: QueuePayments, Summary: "ask the gateway what became of the payment", Remote: true,
			Deadline: func(activities.StepInput) time.Duration { return lookupDeadline },
		}),
		Undo: saga.Activity(activities.NameVoid, (*activities.Payment).Void, orderCall{
			Queue: QueuePayments, Summary: "undo: void the payment", Remote: true,
		}),
	}
	// The warehouse is asked by an event and answers by events: the record is the effect, of asking as of taking back.
	confirm := orderStep{
		Name: string(order.StepConfirm), Kind: saga.Compensable,
		Slot: order.SlotConfirm, UndoSlot: order.UndoSlot(order.StepConfirm),
		Undo: saga.Activity(activities.NameRecord, (*activities.Outcomes).Record, orderCall{
			Queue: QueueOrders, Summary: "undo: recall the goods",
		}),
	}
	decide := orderStep{Name: string(order.StepDecide), Kind: saga.Pivot, Slot: order.SlotDecide}
	capture := orderStep{
		Name: string(order.StepCapture), Kind: saga.Forward, Slot: order.SlotCapture,
		Do: saga.Activity(activities.NameCapture, (*activities.Payment).Capture, orderCall{
			Queue: QueuePayments, Summary: "capture the payment", Remote: true,
		}),
		// For an operator who wants the order to be undone.
		Lookup: saga.Activity(activities.NameLookupCapture, (*activities.Payment).LookupCapture, orderCall{
			Queue: QueuePayments, Summary: "ask the gateway whether the payment was captured", Remote: true,
			Deadline: func(activities.StepInput) time.Duration { return captureLookupDeadline },
		}),
	}
	commit := orderStep{
		Name: string(order.StepCommit), Kind: saga.Forward, Slot: order.SlotCommit,
		Do: saga.Activity(activities.NameCommit, (*activities.Inventory).Commit, orderCall{
			Queue: QueueOrders, Summary: "commit the stock",
		}),
	}
	deliver := orderStep{Name: string(order.StepDeliver), Kind: saga.Forward, Slot: order.SlotDeliver}

	if f == order.Shipment {
		return saga.Define("shipment order", reserve, authorize, confirm, decide, capture, commit, deliver)
	}
	return saga.Define("immediate order", reserve, authorize, decide, capture, commit)
}

const (
	// lookupDeadline bounds how long a participant is asked about an unknown outcome before the step is undone. The
	// undo fences whatever happened, so waiting longer would only hold the stock for longer.
	lookupDeadline = time.Minute
	// captureLookupDeadline bounds how long it is asked on behalf of an operator, who waits for the verdict.
	captureLookupDeadline = 5 * time.Second
)

// recoverTimeout bounds one attempt to read the history of a run, which has 51,200 events at most.
const recoverTimeout = 5 * time.Minute

// openTimeout bounds one attempt to read a stream, which may be long in logs of older versions.
const openTimeout = time.Minute

// The calls that a run makes besides its steps. They need nothing but our own stores.
var (
	callOpen = saga.Activity(activities.NameOpen, (*activities.Outcomes).Open, saga.Call[activities.OpenInput, activities.OpenResult]{
		Queue: QueueOrders, Summary: "open the order's stream", Timeout: openTimeout,
	})
	callList = saga.Activity(activities.NameList, (*activities.Outcomes).List, saga.Call[activities.ListInput, activities.ListResult]{
		Queue: QueueOrders, Summary: "list the order",
	})
	callRecover = saga.Activity(activities.NameRecover, (*activities.Outcomes).Recover, saga.Call[activities.RecoverInput, activities.RecoverResult]{
		Queue: QueueOrders, Summary: "take over what the run before was told", Timeout: recoverTimeout,
	})
	callLate = saga.Activity(activities.NameLate, (*activities.Outcomes).Late, saga.Call[activities.LateInput, activities.LateResult]{
		Queue: QueueOrders, Summary: "write down what came late", Timeout: openTimeout,
	})
)

// callRecord appends events; the summary names them.
func callRecord(summary string) *orderCall {
	return saga.Activity(activities.NameRecord, (*activities.Outcomes).Record, orderCall{Queue: QueueOrders, Summary: summary})
}
