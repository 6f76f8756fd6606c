// Package paymenttest is the contract suite of payment gateways: Run it against every adapter. Two gateways work
// on the same provider throughout, because that is how services run.
//
// A provider that cannot be brought into some situation says so by leaving the method or the disturbance empty:
// these tests are skipped by name, so that a gap is seen.
//
// It imports payment, internal/fault and test libraries; only tests import it.
package paymenttest

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// Subject is what the suite runs against.
type Subject struct {
	// Open returns a provider; payments of other tests may be there.
	Open func(t *testing.T) Provider
	// Methods are the tokens that bring it into the situations of the suite.
	Methods Methods
	// Slow tells that a call takes a round trip: the suite tries fewer cases of the generated ones.
	Slow bool
}

// Methods are payers' tokens. Approve is mandatory; an empty one leaves its tests out.
type Methods struct {
	Approve string
	// Decline is refused with DeclineCode.
	Decline, DeclineCode string
	// Timeout is authorized, and the call says that the outcome is unknown.
	Timeout string
	// Pending waits for Settle; the gateway must be a payment.Settler.
	Pending string
	// CaptureRefused is authorized, and its capture refused.
	CaptureRefused string
	// CaptureStuck, VoidStuck and RefundStuck are authorized, and then fail at that call for good.
	CaptureStuck, VoidStuck, RefundStuck string
	// CaptureLate is authorized; its capture times out, and happens after the next look-up.
	CaptureLate string
}

// Provider is two gateways on the same books, and how to disturb the first.
type Provider struct {
	Gateways [2]payment.Gateway
	// Pause stops the next write of the first gateway before anything of it happens. It may be nil.
	Pause func() Paused
	// LoseRequest and LoseAnswer let the next write of the first gateway fail before and after it happened. They
	// may be nil.
	LoseRequest, LoseAnswer func()
}

// Paused is a write that was stopped.
type Paused interface {
	// Arrived is closed when there is such a write.
	Arrived() <-chan struct{}
	// Abandon makes the gateway think that it failed, while it still waits.
	Abandon()
	// Release lets it go on, and returns when it happened.
	Release()
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	t.Run("Traits", func(t *testing.T) { testTraits(t, s) })
	t.Run("Algebra", func(t *testing.T) { testAlgebra(t, s) })
	t.Run("Conflicts", func(t *testing.T) { testConflicts(t, s) })
	t.Run("Refunds", func(t *testing.T) { testRefunds(t, s) })
	t.Run("Pending", func(t *testing.T) { testPending(t, s) })
	t.Run("Stuck", func(t *testing.T) { testStuck(t, s) })
	t.Run("LateCapture", func(t *testing.T) { testLateCapture(t, s) })
	t.Run("Unknown", func(t *testing.T) { testUnknown(t, s) })
	t.Run("Race", func(t *testing.T) { testRace(t, s) })
	t.Run("Writers", func(t *testing.T) { testWriters(t, s) })
	t.Run("Model", func(t *testing.T) { testModel(t, s) })
}

func testTraits(t *testing.T, s Subject) {
	traits := s.Open(t).Gateways[0].Traits()
	require.NotEmpty(t, traits.Name)
	require.Positive(t, traits.AuthorizationLifetime)
}

// serial and started make orders unique, also for a provider that outlives the process.
var (
	serial  atomic.Int64
	started = time.Now().UTC().Format("20060102T150405")
)

// newPayment returns a payment of a new order.
func newPayment(method string) payment.Payment {
	return payment.Payment{
		OrderID: fmt.Sprintf("pt-%s-%d-%d", started, os.Getpid(), serial.Add(1)),
		Amount:  1999, Currency: "EUR", Method: method,
	}
}

// need skips the test unless there is a method, or a disturbance, of that kind.
func need(t *testing.T, there bool, what string) {
	t.Helper()
	if !there {
		t.Skipf("the provider has no %s", what)
	}
}

// is fails the test unless the call answered this state.
func is(t require.TestingT, want payment.State, got payment.Result, err error, args ...any) {
	if helper, ok := t.(testing.TB); ok {
		helper.Helper()
	}
	require.NoError(t, err, args...)
	require.Equal(t, want, got.State, args...)
}

// fails fails the test unless the call ended with this code.
func fails(t require.TestingT, want fault.Code, _ payment.Result, err error, args ...any) {
	if helper, ok := t.(testing.TB); ok {
		helper.Helper()
	}
	require.ErrorIs(t, err, want, args...)
}
