package paymenttest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// testAlgebra runs every sequence of calls for one payment up to a length, for every method, and compares each result with the specification. The
// calls alternate between the two gateways.
func testAlgebra(t *testing.T, s Subject) {
	length := 4
	if s.Slow {
		length = 3
	}
	for name, method := range map[string]string{
		"approve": s.Methods.Approve, "decline": s.Methods.Decline,
		"pending": s.Methods.Pending, "capture refused": s.Methods.CaptureRefused,
	} {
		t.Run(name, func(t *testing.T) {
			need(t, method != "", "method of this kind")
			provider := s.Open(t)
			for _, calls := range sequences([]string{"authorize", "capture", "void"}, length) {
				p := newPayment(method)
				model := newSpec(s, p)
				for i, call := range calls {
					gateway := provider.Gateways[i%len(provider.Gateways)]
					step(t, gateway, p, model, call, strings.Join(calls[:i+1], ", "))
				}
			}
		})
	}
}

// step makes one call, and then a lookup, and compares both with the specification.
func step(t require.TestingT, g payment.Gateway, p payment.Payment, model *spec, call, where string) {
	ctx := context.Background()
	var want payment.State
	var code fault.Code
	var got payment.Result
	var err error
	switch call {
	case "authorize":
		want, code = model.authorize()
		got, err = g.Authorize(ctx, p.Key("authorize"), p)
	case "capture":
		want, code = model.capture()
		got, err = g.Capture(ctx, p.Key("capture"), p)
	case "void":
		want, code = model.void()
		got, err = g.Void(ctx, p.Key("void"), p)
	}
	require.Equal(t, code, fault.CodeOf(err), where)
	require.Equal(t, want, got.State, where)
	if got.State == payment.Authorized || got.State == payment.Captured {
		require.NotEmpty(t, got.PaymentID, where)
	}
	if got.State == payment.Refused {
		require.Equal(t, model.declineCode, got.Code, where)
		require.Equal(t, model.waits, got.Asynchronous, where)
	}
	found, err := g.Lookup(ctx, p)
	is(t, model.lookup(), found, err, where)
	require.Equal(t, model.toGiveBack(), found.Arrived, where)
	if got.State == found.State {
		if got.Arrived == 0 {
			found.Arrived = 0 // only a lookup has to return it
		}
		require.Equal(t, got, found, "%s: the lookup returns the same", where)
	}
}

// sequences returns every sequence of words with 1 to n elements.
func sequences(words []string, n int) [][]string {
	var all, last [][]string
	last = [][]string{{}}
	for range n {
		var longer [][]string
		for _, prefix := range last {
			for _, word := range words {
				longer = append(longer, append(slices.Clone(prefix), word))
			}
		}
		all, last = append(all, longer...), longer
	}
	return all
}

// testConflicts tests different content for the same order, and invalid input.
func testConflicts(t *testing.T, s Subject) {
	ctx := context.Background()
	provider := s.Open(t)
	p := newPayment(s.Methods.Approve)
	got, err := provider.Gateways[0].Authorize(ctx, p.Key("authorize"), p)
	is(t, payment.Authorized, got, err)
	for name, change := range map[string]func(*payment.Payment){
		"amount":   func(p *payment.Payment) { p.Amount++ },
		"currency": func(p *payment.Payment) { p.Currency = "USD" },
		"method":   func(p *payment.Payment) { p.Method = "tok_other" },
		"id":       func(p *payment.Payment) { p.ID = "another" },
	} {
		for i, gateway := range provider.Gateways {
			other := p
			change(&other)
			got, err = gateway.Authorize(ctx, p.Key("authorize"), other)
			fails(t, fault.Conflict, got, err, "%s, gateway %d", name, i)
			got, err = gateway.Capture(ctx, p.Key("capture"), other)
			fails(t, fault.Conflict, got, err, "%s, gateway %d", name, i)
			got, err = gateway.Void(ctx, p.Key("void"), other)
			fails(t, fault.Conflict, got, err, "%s, gateway %d", name, i)
		}
	}
	for name, change := range map[string]func(*payment.Payment){
		"order":    func(p *payment.Payment) { p.OrderID = "" },
		"amount":   func(p *payment.Payment) { p.Amount = 0 },
		"currency": func(p *payment.Payment) { p.Currency = "euro" },
	} {
		bad := newPayment(s.Methods.Approve)
		change(&bad)
		got, err = provider.Gateways[0].Authorize(ctx, bad.Key("authorize"), bad)
		fails(t, fault.Invalid, got, err, name)
	}
	p.ID = got.PaymentID
	got, err = provider.Gateways[1].Capture(ctx, p.Key("capture"), p)
	is(t, payment.Captured, got, err, "with the provider's ID")
}

// testRefunds tests refunds.
func testRefunds(t *testing.T, s Subject) {
	ctx := context.Background()
	provider := s.Open(t)
	a, b := provider.Gateways[0], provider.Gateways[1]
	p := newPayment(s.Methods.Approve)
	got, err := a.Refund(ctx, p.Key("refund/1"), p, 1)
	fails(t, fault.Invalid, got, err, "nothing was captured")
	got, err = a.Authorize(ctx, p.Key("authorize"), p)
	is(t, payment.Authorized, got, err)
	got, err = a.Refund(ctx, p.Key("refund/1"), p, 1)
	fails(t, fault.Invalid, got, err, "nothing was captured yet")
	got, err = a.Capture(ctx, p.Key("capture"), p)
	is(t, payment.Captured, got, err)

	got, err = a.Refund(ctx, p.Key("refund/1"), p, 1000)
	is(t, payment.Refunded, got, err)
	for _, gateway := range provider.Gateways {
		got, err = gateway.Refund(ctx, p.Key("refund/1"), p, 1000)
		is(t, payment.Refunded, got, err, "a repeated call refunds nothing")
		got, err = gateway.Refund(ctx, p.Key("refund/1"), p, 999)
		fails(t, fault.Conflict, got, err)
		got, err = gateway.Refund(ctx, p.Key("refund/2"), p, p.Amount-999)
		fails(t, fault.Invalid, got, err, "more than is left")
		got, err = gateway.Refund(ctx, p.Key("refund/2"), p, 0)
		fails(t, fault.Invalid, got, err)
	}
	got, err = b.Refund(ctx, p.Key("refund/2"), p, p.Amount-1000)
	is(t, payment.Refunded, got, err)
	got, err = a.Refund(ctx, p.Key("refund/3"), p, 1)
	fails(t, fault.Invalid, got, err, "nothing is left")
	got, err = a.Lookup(ctx, p)
	is(t, payment.Refunded, got, err)
	got, err = a.Void(ctx, p.Key("void"), p)
	fails(t, fault.EffectSettled, got, err)
	got, err = b.Capture(ctx, p.Key("capture"), p)
	is(t, payment.Captured, got, err, "the result does not change")
}

// testRefundRefused tests refunds that the provider refuses permanently: nothing is refunded, and the answer does not change.
func testRefundRefused(t *testing.T, s Subject) {
	need(t, s.Methods.RefundRefused != "", "method whose refunds are refused")
	ctx := context.Background()
	provider, p := s.Open(t), newPayment(s.Methods.RefundRefused)
	got, err := provider.Gateways[0].Authorize(ctx, p.Key("authorize"), p)
	is(t, payment.Authorized, got, err)
	got, err = provider.Gateways[0].Capture(ctx, p.Key("capture"), p)
	is(t, payment.Captured, got, err)
	for _, gateway := range provider.Gateways {
		got, err = gateway.Refund(ctx, p.Key("refund/1"), p, 1000)
		is(t, payment.RefundRefused, got, err)
		require.NotEmpty(t, got.Code)
		got, err = gateway.Lookup(ctx, p)
		is(t, payment.Captured, got, err)
	}
}
