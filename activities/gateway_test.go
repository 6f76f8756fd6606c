package activities_test

import (
	"context"
	"fmt"

	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// gateway returns configured answers and records the calls.
type gateway struct {
	result payment.Result
	err    error
	calls  []string
	paid   []payment.Payment
}

func (g *gateway) call(what string, p payment.Payment) (payment.Result, error) {
	g.calls, g.paid = append(g.calls, what), append(g.paid, p)
	return g.result, g.err
}

func (g *gateway) Traits() payment.Traits { return payment.Traits{Name: "fake"} }

func (g *gateway) Authorize(_ context.Context, key string, p payment.Payment) (payment.Result, error) {
	return g.call("authorize as "+key, p)
}

func (g *gateway) Capture(_ context.Context, key string, p payment.Payment) (payment.Result, error) {
	return g.call("capture as "+key, p)
}

func (g *gateway) Void(_ context.Context, key string, p payment.Payment) (payment.Result, error) {
	return g.call("void as "+key, p)
}

func (g *gateway) Refund(context.Context, string, payment.Payment, int64) (payment.Result, error) {
	panic("a saga gives nothing back")
}

func (g *gateway) Lookup(_ context.Context, p payment.Payment) (payment.Result, error) {
	return g.call("look up", p)
}

// settler is a gateway whose pending payments hints settle.
type settler struct {
	*gateway
	settleErr error
}

func (s settler) Settle(_ context.Context, p payment.Payment, succeeded bool, code string) error {
	s.calls = append(s.calls, fmt.Sprintf("settle %s: %t %s", p.ID, succeeded, code))
	return s.settleErr
}

// payment returns the payment participant of a world, with a gateway with configured answers.
func (w *world) payment(g payment.Gateway) *orders {
	return w.orders(order.Participants{Gateway: g, Refunds: w.log})
}
