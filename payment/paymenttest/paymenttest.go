// Package paymenttest is the contract suite of payment gateways, to be run with every adapter. It uses two gateways with the same provider, like
// two processes.
//
// If a provider cannot produce a situation, leave its method or function empty: the tests are then skipped by name, so that the gap is visible.
//
// It imports payment, internal/fault and test libraries. Only tests may import it.
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

// Subject is a gateway under test.
type Subject struct {
	// Open returns a provider, which may have payments of other tests.
	Open func(t *testing.T) Provider
	// Methods are the payment methods for the situations of the suite.
	Methods Methods
	// Slow means that each call takes a round trip: fewer generated cases are tried.
	Slow bool
	// Fences means that a pending payment that was voided cannot be paid any more: no money arrives after a void.
	Fences bool
}

// Methods are payment methods. Approve is required; tests of an empty one are skipped.
type Methods struct {
	Approve string
	// Decline is refused with DeclineCode.
	Decline, DeclineCode string
	// Timeout is authorized, but the call returns an unknown outcome.
	Timeout string
	// Pending waits for Settle; the gateway must be a payment.Settler.
	Pending string
	// CaptureRefused is authorized, and its capture is refused.
	CaptureRefused string
	// CaptureStuck, VoidStuck and RefundStuck are authorized; that call always fails.
	CaptureStuck, VoidStuck, RefundStuck string
	// RefundRefused is authorized and captured, and its refunds are refused.
	RefundRefused string
	// CaptureLate is authorized; its capture times out and happens after the next lookup.
	CaptureLate string
}

// Provider has two gateways with the same books, and functions that disturb the first one.
type Provider struct {
	Gateways [2]payment.Gateway
	// Pause blocks the next write of the first gateway before it happens. Optional.
	Pause func() Paused
	// LoseRequest and LoseAnswer make the next write of the first gateway fail before or after it happens. Optional.
	LoseRequest, LoseAnswer func()
}

// Paused is a blocked write.
type Paused interface {
	// Arrived is closed when a write is blocked.
	Arrived() <-chan struct{}
	// Abandon returns an error to the gateway while the write stays blocked.
	Abandon()
	// Release executes the write and returns when it is done.
	Release()
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	t.Run("Traits", func(t *testing.T) { testTraits(t, s) })
	t.Run("Algebra", func(t *testing.T) { testAlgebra(t, s) })
	t.Run("Conflicts", func(t *testing.T) { testConflicts(t, s) })
	t.Run("Refunds", func(t *testing.T) { testRefunds(t, s) })
	t.Run("Pending", func(t *testing.T) { testPending(t, s) })
	t.Run("RefundRefused", func(t *testing.T) { testRefundRefused(t, s) })
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

// serial and started make orders unique, also with a provider that outlives the process.
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

// need skips the test if the provider does not support a situation.
func need(t *testing.T, there bool, what string) {
	t.Helper()
	if !there {
		t.Skipf("the provider has no %s", what)
	}
}

// is fails the test unless the call returned this state.
func is(t require.TestingT, want payment.State, got payment.Result, err error, args ...any) {
	if helper, ok := t.(testing.TB); ok {
		helper.Helper()
	}
	require.NoError(t, err, args...)
	require.Equal(t, want, got.State, args...)
}

// unknown fails the test unless the call has failed without a definite result.
func unknown(t *testing.T, _ payment.Result, err error) {
	t.Helper()
	require.Contains(t, []fault.Code{fault.Unavailable, fault.OutcomeUnknown}, fault.CodeOf(err))
}

// fails fails the test unless the call failed with this code.
func fails(t require.TestingT, want fault.Code, _ payment.Result, err error, args ...any) {
	if helper, ok := t.(testing.TB); ok {
		helper.Helper()
	}
	require.ErrorIs(t, err, want, args...)
}
