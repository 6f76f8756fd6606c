package refund_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/refundtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const orderID = refundtest.OrderID

var line = refundtest.Line

// shop has completed orders, and what the steps of refunds call.
type shop struct {
	*refundtest.Shop
	*refund.Participants
}

func newShop(t testing.TB, method string) *shop {
	s := refundtest.NewShop(t, bought(orderID, method))
	return &shop{s, s.Refunds()}
}

// bought is an order of teas and a cup, which share a discount, and a fee.
func bought(id, method string) order.Order {
	return refundtest.Order(id, method,
		order.Line{SKU: "tea", Quantity: 3, UnitAmount: 333}, order.Line{SKU: "cup", Quantity: 1, UnitAmount: 100},
		refundtest.Unstocked("fee", 1, 1), refundtest.Unstocked("discount", 1, -100))
}

// holds reports what is wrong with money, ledger and stock when a refund has ended.
func (s *shop) holds(end refund.State) error {
	ctx := context.Background()
	ledger, err := refunds.Load(ctx, s.Log, end.Request.OrderID)
	if err != nil {
		return err
	}
	back, err := s.PaidBack(end.Request.OrderID)
	if err != nil {
		return err
	}
	r := ledger.ByKey[refund.Flow.StreamOf(end.ID)]
	switch outcome := end.Outcome(); {
	case outcome == refund.Refunded && (back != end.Amount || !r.Refunded):
		return fmt.Errorf("the refund of %d is %s, %d were paid back, and the reservation is %+v", end.Amount, outcome, back, r)
	case outcome == refund.Refused && (back != 0 || ledger.Reserved[refunds.Captured] != 0):
		return fmt.Errorf("the refund is %s, %d were paid back, %d are reserved", outcome, back, ledger.Reserved[refunds.Captured])
	case outcome != refund.Refunded && outcome != refund.Refused:
		return fmt.Errorf("the refund has ended and is %s", outcome)
	}
	want := int64(refundtest.Received - 3)
	if end.Request.Restock && end.Outcome() == refund.Refunded {
		want += end.Lines[0].Quantity
	}
	if balance, err := s.Shop.Stock.Balance(ctx, "tea"); err != nil || balance.OnHand != want {
		return fmt.Errorf("%d are on hand, and not %d: %w", balance.OnHand, want, err)
	}
	return nil
}

// cellsFor are the ways that refunds of orders with a payment method go.
func cellsFor(method string, journeys ...sagatest.Journey) sagatest.Cells[refund.State, *refund.Participants] {
	return sagatest.Cells[refund.State, *refund.Participants]{
		Flow: &refund.Flow, Journeys: journeys,
		NewWorld: func(t testing.TB) sagatest.World[refund.State, *refund.Participants] {
			s := newShop(t, method)
			return sagatest.World[refund.State, *refund.Participants]{Participants: s.Participants, Holds: s.holds}
		},
	}
}

// data is the data of refund.accepted.
func data(id string, r refund.Request) any {
	if r.OrderID == "" {
		r.OrderID = orderID
	}
	return struct {
		ID string `json:"refundId"`
		refund.Request
	}{id, r}
}
