package participant_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/participant"
	"github.com/ordersaga/ordersaga/internal/participant/participanttest"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/internal/stock"
	"github.com/ordersaga/ordersaga/internal/stock/stocktest"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/payment/paymenttest"
)

const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"

// never is a breaker that does not open.
const never = 1 << 30

// serve serves a handler until the test ends.
func serve(t testing.TB, h http.Handler) *httptest.Server {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

// gateway is a payment service whose pending payments its provider decides.
type gateway struct {
	*participant.Payments
	provider payment.Settler
}

func (g gateway) Settle(ctx context.Context, p payment.Payment, succeeded bool, code string) error {
	return g.provider.Settle(ctx, p, succeeded, code)
}

// TestPaymentContract runs the suite of gateways over HTTP. The two gateways call two processes of one service.
func TestPaymentContract(t *testing.T) {
	paymenttest.Run(t, paymenttest.Subject{
		Slow: true,
		Open: func(t *testing.T) paymenttest.Provider {
			provider, err := simulator.New(simulator.Config{Log: memlog.New()})
			require.NoError(t, err)
			payments, err := participanttest.NewPayments(provider, "")
			require.NoError(t, err)
			server, err := participanttest.New(payments, nil, secret)
			require.NoError(t, err)
			faults := participanttest.NewFaults(server)
			t.Cleanup(faults.Settle)
			open := func(h http.Handler) gateway {
				g, err := participant.NewPayments(participant.Config{Name: "payment", URL: serve(t, h).URL, Secrets: []string{secret}, Failures: never})
				require.NoError(t, err)
				t.Cleanup(g.Close)
				require.NoError(t, g.Describe(t.Context()))
				return gateway{g, provider}
			}
			return paymenttest.Provider{
				Gateways:    [2]payment.Gateway{open(faults), open(server)},
				Pause:       func() paymenttest.Paused { return faults.Pause() },
				LoseRequest: func() { faults.Next(participanttest.LoseRequest) },
				LoseAnswer:  func() { faults.Next(participanttest.LoseAnswer) },
			}
		},
		Methods: paymenttest.Methods{
			Approve: "tok_visa", Decline: "tok_insufficient_funds", DeclineCode: "insufficient_funds", Timeout: "tok_timeout",
			Pending: "tok_pending", CaptureRefused: "tok_capture_refused", CaptureLate: "tok_capture_late",
			CaptureStuck: "tok_capture_stuck", VoidStuck: "tok_void_stuck", RefundStuck: "tok_refund_stuck", RefundRefused: "tok_refund_refused",
		},
	})
}

// TestInventoryContract runs the suite of stock over HTTP.
func TestInventoryContract(t *testing.T) {
	stocktest.Run(t, stocktest.Subject{
		AllOrNothing: true, CommitAbsent: fault.Invalid,
		Open: func(t *testing.T, onHand map[string]int64) stocktest.Warehouse {
			goods, err := participanttest.NewStock(onHand, "")
			require.NoError(t, err)
			server, err := participanttest.New(nil, goods, secret)
			require.NoError(t, err)
			faults := participanttest.NewFaults(server)
			t.Cleanup(faults.Settle)
			w, err := participant.NewWarehouse(participant.Config{Name: "inventory", URL: serve(t, faults).URL, Secrets: []string{secret}, Failures: never})
			require.NoError(t, err)
			t.Cleanup(w.Close)
			require.NoError(t, w.Describe(t.Context()))
			return stocktest.Warehouse{
				Stock: w, Balance: goods.Balance,
				LoseRequest: func() { faults.Next(participanttest.LoseRequest) },
				LoseAnswer:  func() { faults.Next(participanttest.LoseAnswer) },
			}
		},
	})
}

// TestReturns: goods of a committed reservation return once for each refund, and not more than there were.
func TestReturns(t *testing.T) {
	goods, err := participanttest.NewStock(map[string]int64{"tea": 10}, "")
	require.NoError(t, err)
	server, err := participanttest.New(nil, goods, secret)
	require.NoError(t, err)
	w, err := participant.NewWarehouse(participant.Config{Name: "inventory", URL: serve(t, server).URL, Secrets: []string{secret}, Failures: never})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	ctx, items := t.Context(), []stock.Item{{SKU: "tea", Quantity: 3}}
	require.ErrorIs(t, w.Return(ctx, "o 1", "r-1", "tea", 1), fault.Invalid, "nothing is committed")
	_, err = w.Acquire(ctx, stock.ReserveRequest{OrderID: "o 1", Items: items})
	require.NoError(t, err)
	require.NoError(t, w.Commit(ctx, "o 1", items))
	for range 2 {
		require.NoError(t, w.Return(ctx, "o 1", "r-1", "tea", 1))
	}
	require.ErrorIs(t, w.Return(ctx, "o 1", "r-1", "tea", 2), fault.Conflict)
	require.ErrorIs(t, w.Return(ctx, "o 1", "r-2", "tea", 3), fault.Invalid)
	require.NoError(t, w.Return(ctx, "o 1", "r-2", "tea", 2))
	onHand, held := goods.Balance("tea")
	require.EqualValues(t, 10, onHand)
	require.Zero(t, held)
}
