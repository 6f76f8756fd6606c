package workflows

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Check reports what is wrong with the sagas: with their sequences, or with activities that nobody has registered. A
// worker does not start with a saga that it could begin and not undo.
func Check(registered []string) error {
	immediate, errImmediate := OrderSaga(order.Immediate)
	shipment, errShipment := OrderSaga(order.Shipment)
	late, errLate := LateSaga()
	customer, errCustomer := CustomerSaga()
	notice, errNotice := NoticeSaga()
	return errors.Join(
		order.Flow.Check(), checkSaga(registered, immediate, errImmediate), checkSaga(registered, shipment, errShipment), checkSaga(registered, late, errLate),
		checkSaga(registered, customer, errCustomer), checkSaga(registered, notice, errNotice),
	)
}

func checkSaga[In, Out any](registered []string, d *saga.Definition[In, Out], err error) error {
	if err != nil {
		return err
	}
	var wrong []error
	for _, activity := range d.Activities() {
		if !slices.Contains(registered, activity) {
			wrong = append(wrong, fmt.Errorf("saga %q: activity %q is not registered", d.Name(), activity))
		}
	}
	return errors.Join(wrong...)
}
