package refund_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/refundtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// model is how random refunds begin, and what the participants say.
var model = sagatest.Start[refund.State]{
	Data: func(t *rapid.T) any {
		if rapid.Bool().Draw(t, "restock") {
			return data("42", refund.Request{Lines: []refund.RequestLine{line(1, 2)}, Reason: "damaged", Restock: true})
		}
		return data("42", refund.Request{Amount: 300})
	},
	Answer: func(_ *rapid.T, _ refund.State, step, eventType string) (any, bool) {
		money := map[string]any{"orderId": orderID, "amount": 300, "currency": "EUR"}
		switch eventType {
		case event.RefundRefused:
			reason := refund.ReasonExceedsCaptured
			if step == refund.StepRefund {
				reason = refund.ReasonRefusedByGateway
			}
			return refund.Refusal{OrderID: orderID, Reason: reason}, false
		case event.RefundReleased:
			return map[string]any{"orderId": orderID}, false
		case event.RefundRestocked:
			return map[string]any{"orderId": orderID, "lines": []any{}}, false
		}
		return money, false
	},
	Settles: map[string]string{refund.StepRefund: refund.StepReserve},
}

func TestDefinition(t *testing.T) { sagatest.Definition(t, &refund.Flow, model) }

func TestModel(t *testing.T) { sagatest.Model(t, &refund.Flow, model) }

var (
	amount  = sagatest.Journey{Name: "amount", Data: data("42", refund.Request{Amount: 300}), End: saga.Completed}
	restock = sagatest.Journey{
		Name: "restock", Data: data("42", refund.Request{Lines: []refund.RequestLine{line(1, 2), {SKU: "fee", Quantity: 1}}, Restock: true}), End: saga.Completed,
	}
	tooMuch = sagatest.Journey{
		Name: "too much", Data: data("42", refund.Request{Amount: 1001}), End: saga.Rejected, Reason: refund.ReasonExceedsCaptured,
	}
	unknown = sagatest.Journey{
		Name: "unknown order", Data: data("42", refund.Request{OrderID: "other", Amount: 1}), End: saga.Rejected, Reason: refund.ReasonOrderUnknown,
	}
	refused = sagatest.Journey{Name: "refused", Data: data("42", refund.Request{Amount: 300}), End: saga.Rejected, Reason: refund.ReasonRefusedByGateway}
	late    = sagatest.Journey{Name: "late", Data: data("42", refund.Request{Amount: 300}), End: saga.Completed}
)

// TestMatrix strikes every step with every fault. It runs about one in eight of the cells with a fault, or all with ORDERSAGA_WHOLE_MATRIX=1.
func TestMatrix(t *testing.T) {
	draw := testenv.Draw(t)
	matrix := func(name string, cells sagatest.Cells[refund.State, *refund.Participants]) {
		t.Run(name, func(t *testing.T) {
			cells.OneIn, cells.Draw = 8, draw
			if os.Getenv(testenv.WholeMatrix) != "" {
				cells.OneIn = 1
			}
			sagatest.Matrix(t, cells)
		})
	}
	matrix("approved", cellsFor("tok_visa", amount, restock, tooMuch))
	cells := cellsFor("tok_visa", unknown)
	cells.Unreached, cells.Once = []string{"reserve/undo", "refund/do", "restock/do"}, true
	cells.Settings.Waits = map[saga.Deadline]time.Duration{order.ReserveDeadline: 10 * time.Second}
	matrix("unknown order", cells)
	cells = cellsFor("tok_refund_refused", refused)
	cells.Unreached = []string{"restock/do"}
	matrix("refused", cells)
	cells = cellsFor("tok_refund_late", late)
	cells.Unreached, cells.Once = []string{"restock/do"}, true
	matrix("late", cells)
}

// TestHistories: runs that an earlier version has started go on with this one. SAGATEST_RECORD=1 records them again, on a Temporal server:
// bin/devstack exec --only temporal -- env SAGATEST_RECORD=1 go test ./workflows/refund -run TestHistories
func TestHistories(t *testing.T) {
	const dir = "testdata/histories"
	sagatest.Record(t, dir, cellsFor("tok_visa", amount, restock, tooMuch))
	sagatest.Record(t, dir, cellsFor("tok_refund_refused", refused))
	sagatest.Histories(t, dir, &refund.Flow)
}

func TestKeyIsNameOfStream(t *testing.T) {
	for _, id := range []string{"r-1", "gid://shop/Refund/1 ü"} {
		got, ok := refund.Flow.IDOf(refund.Flow.StreamOf(id))
		require.True(t, ok)
		require.Equal(t, id, got)
	}
	for _, key := range []string{"undo/authorize", "late/x", "refund/~1"} {
		_, ok := refund.Flow.IDOf(key)
		require.False(t, ok, "%s is a reservation of another saga", key)
	}
}

// call is a call of a step function about a refund.
func (s *shop) call(t require.TestingT, id string, r refund.Request) saga.Call[refund.State] {
	return saga.Call[refund.State]{ID: id, State: s.state(t, id, r), Now: refundtest.Now}
}

func (s *shop) state(t require.TestingT, id string, r refund.Request) refund.State {
	if r.OrderID == "" {
		r.OrderID = orderID
	}
	state := refund.State{Request: r}
	state.ID = id
	ledger, err := refunds.Load(context.Background(), s.Log, r.OrderID)
	require.NoError(t, err)
	state.Amount, state.Currency = ledger.ByKey[refund.Flow.StreamOf(id)].Amount, "EUR"
	return state
}

// A late attempt of a refund whose amount was released has no effect, and one whose reservation was released before it reserves nothing.
func TestReleasedRefundIsNotPaid(t *testing.T) {
	s := newShop(t, "tok_visa")
	ctx := t.Context()
	r := refund.Request{Amount: 300}
	_, err := s.Reserve(ctx, s.call(t, "a", r))
	require.NoError(t, err)
	reserved := s.call(t, "a", r)
	_, err = s.Release(ctx, reserved)
	require.NoError(t, err)
	o, err := s.Refund(ctx, reserved)
	require.NoError(t, err)
	require.Equal(t, "Fenced", o.String())
	_, err = s.Release(ctx, s.call(t, "b", r))
	require.NoError(t, err)
	o, err = s.Reserve(ctx, s.call(t, "b", r))
	require.NoError(t, err)
	require.Equal(t, "Fenced", o.String())
	back, err := s.PaidBack(orderID)
	require.NoError(t, err)
	require.Zero(t, back)
}

func TestPaidRefundIsNotReleased(t *testing.T) {
	s := newShop(t, "tok_visa")
	r := refund.Request{Amount: 300}
	_, err := s.Reserve(t.Context(), s.call(t, "a", r))
	require.NoError(t, err)
	_, err = s.Refund(t.Context(), s.call(t, "a", r))
	require.NoError(t, err)
	_, err = s.Release(t.Context(), s.call(t, "a", r))
	require.ErrorIs(t, err, fault.EffectSettled)
}

// With an unknown outcome the amount stays reserved.
func TestUnknownRefundStaysReserved(t *testing.T) {
	s := newShop(t, "tok_refund_stuck")
	r := refund.Request{Amount: 800}
	_, err := s.Reserve(t.Context(), s.call(t, "a", r))
	require.NoError(t, err)
	_, err = s.Refund(t.Context(), s.call(t, "a", r))
	require.ErrorIs(t, err, fault.Unavailable)
	o, err := s.Reserve(t.Context(), s.call(t, "b", r))
	require.NoError(t, err)
	require.Equal(t, "Refused", o.String())
}

func TestOrderThatIsNotCapturedIsNotRefundable(t *testing.T) {
	s := newShop(t, "tok_visa")
	for _, until := range []string{event.OrderAccepted, event.PaymentAuthorized, event.OrderSettling} {
		id := "open-" + until
		_, _, err := s.Log.Append(t.Context(), event.OrderStream(id), event.Head{}, refundtest.Events(bought(id, "tok_visa"), until))
		require.NoError(t, err)
		of, err := s.Shop.Orders.Load(t.Context(), id)
		require.NoError(t, err)
		_, _, err = refund.Reader{Log: s.Log}.Price(t.Context(), refund.Request{OrderID: id, Amount: 1}, &of)
		var refusal *refund.Refusal
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, refund.ReasonNotRefundable, refusal.Reason)
	}
}

func TestLinesOfARequest(t *testing.T) {
	s := newShop(t, "tok_visa")
	of, err := s.Shop.Orders.Load(t.Context(), orderID)
	require.NoError(t, err)
	check := func(lines ...refund.RequestLine) (reason string) {
		_, _, err := refund.Reader{Log: s.Log}.Price(t.Context(), refund.Request{OrderID: orderID, Lines: lines}, &of)
		if err == nil {
			return ""
		}
		var refusal *refund.Refusal
		require.ErrorAs(t, err, &refusal)
		return refusal.Reason
	}
	require.Empty(t, check(line(1, 3), line(2, 1)))
	require.Empty(t, check(refund.RequestLine{SKU: "cup", Quantity: 1}))
	require.Equal(t, refund.ReasonInvalidLines, check(refund.RequestLine{SKU: "pot", Quantity: 1}))
	require.Equal(t, refund.ReasonInvalidLines, check(line(5, 1)))
	require.Equal(t, refund.ReasonInvalidLines, check(line(4, 1)), "a discount")
	require.Equal(t, refund.ReasonExceedsCaptured, check(line(1, 4)))
	require.Equal(t, refund.ReasonExceedsCaptured, check(line(2, 1), refund.RequestLine{SKU: "cup", Quantity: 1}), "both name one line")
}

// Of any order, in any order of refunds, with some of them refused by the gateway meanwhile: the refunds of all units of all lines sum to the total, and
// at no time is more refunded than was paid.
func TestLineRefundsSumToTheTotal(t *testing.T) {
	s, orders := newShop(t, "tok_visa"), 0
	rapid.Check(t, func(t *rapid.T) {
		orders++
		o, gross := refundtest.Order(fmt.Sprint("o-", orders), "tok_visa"), int64(0)
		for range rapid.IntRange(1, 4).Draw(t, "lines") {
			l := refundtest.Unstocked("s", rapid.Int64Range(1, 4).Draw(t, "quantity"), rapid.Int64Range(1, 400).Draw(t, "price"))
			o.Lines = append(o.Lines, l)
			gross += l.Quantity * l.UnitAmount
		}
		if off := rapid.Int64Range(0, gross-1).Draw(t, "discount"); off > 0 {
			o.Lines = append(o.Lines, refundtest.Unstocked("off", 1, -off))
		}
		o = o.Normalize()
		s.Complete(t, o)
		left := map[int]int64{}
		for i, l := range o.Lines {
			if l.UnitAmount > 0 {
				left[i] = l.Quantity
			}
		}
		sum, n := int64(0), 0
		for len(left) > 0 {
			i := rapid.SampledFrom(keys(left)).Draw(t, "line")
			quantity := rapid.Int64Range(1, left[i]).Draw(t, "units")
			r := refund.Request{OrderID: o.ID, Lines: []refund.RequestLine{line(int64(i+1), quantity)}}
			n++
			id := fmt.Sprint(o.ID, "-r-", n)
			outcome, err := s.Reserve(context.Background(), s.call(t, id, r))
			require.NoError(t, err)
			if outcome.String() == "Refused" {
				// Nothing was paid for these units alone: they are refunded with the others of their line.
				if rapid.Bool().Draw(t, "all") {
					left[i] = 0
				}
			} else if rapid.IntRange(0, 3).Draw(t, "released") == 0 {
				_, err := s.Release(context.Background(), s.call(t, id, r))
				require.NoError(t, err)
			} else {
				sum += s.state(t, id, r).Amount
				left[i] -= quantity
			}
			if sum > o.TotalAmount {
				t.Fatalf("%d of %d are refunded", sum, o.TotalAmount)
			}
			if left[i] == 0 {
				delete(left, i)
			}
		}
		ledger, err := refunds.Load(context.Background(), s.Log, o.ID)
		require.NoError(t, err)
		taken := map[int]int64{}
		for _, key := range ledger.Keys {
			for _, l := range ledger.ByKey[key].Lines {
				if !ledger.ByKey[key].Released {
					taken[l.Line] += l.Quantity
				}
			}
		}
		for i, l := range o.Lines {
			if l.UnitAmount > 0 && taken[i+1] != l.Quantity {
				return // units for which nothing was paid were left out
			}
		}
		require.Equal(t, o.TotalAmount, sum)
	})
}

func keys(m map[int]int64) []int {
	var list []int
	for i := range 10 {
		if _, there := m[i]; there {
			list = append(list, i)
		}
	}
	return list
}

// Eight refunds of 300 race for 1,000: three are paid.
func TestRacingRefundsStayBelowWhatWasCaptured(t *testing.T) {
	s := newShop(t, "tok_visa")
	var all sync.WaitGroup
	outcomes := make([]string, 8)
	for i := range outcomes {
		all.Go(func() {
			id, r := fmt.Sprint("r-", i), refund.Request{Amount: 300}
			o, err := s.Reserve(context.Background(), s.call(t, id, r))
			if err == nil && o.Succeeded() {
				o, err = s.Refund(context.Background(), s.call(t, id, r))
			}
			if err != nil {
				t.Errorf("%v", err)
			}
			outcomes[i] = o.String()
		})
	}
	all.Wait()
	back, err := s.PaidBack(orderID)
	require.NoError(t, err)
	require.Equal(t, int64(900), back, outcomes)
	ledger, err := refunds.Load(t.Context(), s.Log, orderID)
	require.NoError(t, err)
	paid, err := refund.Reader{Log: s.Log}.Amount(t.Context(), ledger)
	require.NoError(t, err)
	require.Equal(t, int64(900), paid)
	of, err := s.Shop.Orders.Load(t.Context(), orderID)
	require.NoError(t, err)
	found, err := s.Shop.Gateway.Lookup(t.Context(), of.PaymentOf())
	require.NoError(t, err)
	require.Equal(t, payment.Refunded, found.State)
}
