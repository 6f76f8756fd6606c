package workflows_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// The sequence that the kit drives and the one that order.Next decides over are the same.
func TestTheSequenceIsTheOrders(t *testing.T) {
	for _, f := range []order.Fulfillment{order.Immediate, order.Shipment} {
		sequence, err := workflows.OrderSaga(f)
		require.NoError(t, err)
		names := []order.Step{order.StepAccept}
		for _, s := range sequence.Steps() {
			names = append(names, s.Name)
			require.Equal(t, s.Kind == saga.Compensable, s.UndoSlot != "", "step %s", s.Name)
		}
		require.Equal(t, order.Order{Fulfillment: f}.Steps(), append(names, order.StepComplete))
	}
}

func TestAWorkerDoesNotStartWithoutAnUndo(t *testing.T) {
	sequence, err := workflows.OrderSaga(order.Shipment)
	require.NoError(t, err)
	late, err := workflows.LateSaga()
	require.NoError(t, err)
	customer, err := workflows.CustomerSaga()
	require.NoError(t, err)
	notice, err := workflows.NoticeSaga()
	require.NoError(t, err)
	all := slices.Concat(sequence.Activities(), late.Activities(), customer.Activities(), notice.Activities())
	require.NoError(t, workflows.Check(all))
	without := slices.DeleteFunc(all, func(name string) bool { return name == activities.NameVoid })
	require.ErrorContains(t, workflows.Check(without), "payment.Void")
}
