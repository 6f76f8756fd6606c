package workflows

import (
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

type (
	// orderCall and orderSaga are the kit's types with the order's activities.
	orderCall = saga.Call[activities.StepInput, activities.StepResult]
	orderSaga = saga.Definition[activities.StepInput, activities.StepResult]
)

// OrderSaga is the calls of order.Flow for an order of the kind. The error says what is wrong with the table; a worker does not
// start with one.
func OrderSaga(f order.Fulfillment) (*orderSaga, error) {
	return saga.Derive[order.State, activities.StepInput, activities.StepResult](&order.Flow, &order.State{Order: order.Order{Fulfillment: f}},
		func(in activities.StepInput, d saga.Deadline) time.Duration { return in.Timing.Of(d) })
}

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
