package workflows

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ordersaga/ordersaga/internal/order"
)

// Check reports what is wrong with the sagas: with their sequences, or with activities that nobody has registered. A
// worker does not start with a saga that it could begin and not undo.
func Check(registered []string) error {
	var wrong []error
	for _, f := range []order.Fulfillment{order.Immediate, order.Shipment} {
		sequence, err := OrderSaga(f)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		for _, name := range sequence.Activities() {
			if !slices.Contains(registered, name) {
				wrong = append(wrong, fmt.Errorf("saga %q: activity %q is not registered", sequence.Name(), name))
			}
		}
	}
	return errors.Join(wrong...)
}
