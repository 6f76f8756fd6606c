package returns_test

import (
	"context"
	"encoding/json"
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
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

var no = false

// model is how random returns begin, and what the participants and the warehouse say.
var model = sagatest.Start[returns.State]{
	Data: func(t *rapid.T) any {
		refunded, restocked := rapid.Bool().Draw(t, "refund"), rapid.Bool().Draw(t, "restock")
		return data("42", returns.Request{Lines: []refund.RequestLine{line(1, 2), line(2, 1)}, Refund: &refunded, Restock: &restocked})
	},
	Answer: func(_ *rapid.T, s returns.State, step, eventType string) (any, bool) {
		lines := []any{map[string]any{"line": 1, "sku": "tea", "quantity": 2}, map[string]any{"line": 2, "sku": "cup", "quantity": 1}}
		switch eventType {
		case event.ReturnRefused:
			return refund.Refusal{OrderID: orderID, Reason: returns.ReasonExceedsDelivered}, false
		case event.ReturnReleased:
			return map[string]any{"orderId": orderID}, false
		case event.ReturnRefunded:
			return map[string]any{"orderId": orderID, "refundId": "r", "amount": 300, "currency": "EUR"}, false
		case event.ReturnRefundRefused:
			return map[string]any{"orderId": orderID, "refundId": "r", "reason": refund.ReasonRefusedByGateway}, false
		case event.ReturnRestocked:
			return map[string]any{"orderId": orderID, "lines": []any{}}, false
		}
		return map[string]any{"orderId": orderID, "lines": lines}, false
	},
	Fact: func(t *rapid.T, _ string) any {
		return returns.Receipt{Lines: []refund.RequestLine{line(rapid.Int64Range(1, 3).Draw(t, "line"), rapid.Int64Range(1, 2).Draw(t, "quantity"))}}
	},
}

func TestDefinition(t *testing.T) { sagatest.Definition(t, &returns.Flow, model) }

func TestModel(t *testing.T) { sagatest.Model(t, &returns.Flow, model) }

var (
	teas  = []refund.RequestLine{line(1, 2)}
	whole = sagatest.Journey{
		Name: "whole", Data: data("42", returns.Request{Lines: teas, Reason: "does not fit"}), End: saga.Completed,
		Arrivals: []sagatest.Arrival{arrived("r-1", line(1, 2))},
	}
	parts = sagatest.Journey{
		Name: "in parts", Data: data("42", returns.Request{Lines: []refund.RequestLine{line(1, 2), {SKU: "cup", Quantity: 1}, {SKU: "fee", Quantity: 1}}}), End: saga.Completed,
		Arrivals: []sagatest.Arrival{arrived("r-1", refund.RequestLine{SKU: "tea", Quantity: 1}), arrived("r-2", line(1, 3), line(4, 1)), arrived("r-3")},
	}
	partly = sagatest.Journey{
		Name: "partly", Data: data("42", returns.Request{Lines: []refund.RequestLine{line(1, 2), line(2, 1)}}), End: saga.Completed,
		Arrivals: []sagatest.Arrival{arrived("r-1", line(1, 1))},
	}
	goods = sagatest.Journey{
		Name: "goods alone", Data: data("42", returns.Request{Lines: []refund.RequestLine{line(1, 1), line(4, 1)}, Refund: &no}), End: saga.Completed,
		Arrivals: []sagatest.Arrival{arrived("r-1")},
	}
	money = sagatest.Journey{
		Name: "money alone", Data: data("42", returns.Request{Lines: teas, Restock: &no}), End: saga.Completed,
		Arrivals: []sagatest.Arrival{arrived("r-1")},
	}
	never   = sagatest.Journey{Name: "never", Data: data("42", returns.Request{Lines: teas}), End: saga.Failed, Reason: returns.ReasonExpired}
	tooMany = sagatest.Journey{
		Name: "too many", Data: data("42", returns.Request{Lines: []refund.RequestLine{line(1, 4)}}), End: saga.Rejected, Reason: returns.ReasonExceedsDelivered,
	}
	unknown = sagatest.Journey{
		Name: "unknown order", Data: data("42", returns.Request{OrderID: "other", Lines: teas}), End: saga.Rejected, Reason: returns.ReasonOrderUnknown,
	}
	refused = sagatest.Journey{
		Name: "refund refused", Data: data("42", returns.Request{Lines: teas}), End: saga.Completed,
		Arrivals: []sagatest.Arrival{arrived("r-1")},
	}
)

// TestMatrix strikes every step with every fault. It runs about one in eight of the cells with a fault, or all with ORDERSAGA_WHOLE_MATRIX=1.
func TestMatrix(t *testing.T) {
	draw := testenv.Draw(t)
	matrix := func(name string, cells sagatest.Cells[returns.State, *returns.Participants]) {
		t.Run(name, func(t *testing.T) {
			cells.Once, cells.OneIn, cells.Draw = true, 8, draw
			if os.Getenv(testenv.WholeMatrix) != "" {
				cells.OneIn, cells.After = 1, ""
			}
			sagatest.Matrix(t, cells)
		})
	}
	matrix("received", cellsFor("tok_visa", whole, parts, partly, never, tooMany, goods, money))
	cells := cellsFor("tok_visa", unknown)
	cells.Unreached = []string{"announce/undo", "account/do", "refund/do", "restock/do"}
	cells.Settings.Waits = map[saga.Deadline]time.Duration{order.ReserveDeadline: 10 * time.Second}
	matrix("unknown order", cells)
	cells = cellsFor("tok_refund_refused", refused)
	cells.After = returns.StepReceive // what comes before is struck above
	matrix("refund refused", cells)
}

// TestHistories: runs that an earlier version has started go on with this one. SAGATEST_RECORD=1 records them again, on a Temporal server:
// bin/devstack exec --only temporal -- env SAGATEST_RECORD=1 go test ./workflows/returns -run TestHistories
func TestHistories(t *testing.T) {
	const dir = "testdata/histories"
	sagatest.Record(t, dir, cellsFor("tok_visa", whole, parts, tooMany, goods))
	sagatest.Histories(t, dir, &returns.Flow)
}

// call is a call of a step function about a return.
func (s *shop) call(id string, r returns.Request) saga.Call[returns.State] {
	if r.OrderID == "" {
		r.OrderID = orderID
	}
	state := returns.State{Request: r}
	state.ID = id
	return saga.Call[returns.State]{ID: id, State: state, Now: refundtest.Now}
}

// received is the call after goods of a line have come.
func received(c saga.Call[returns.State], l ...returns.Line) saga.Call[returns.State] {
	c.State.Lines = l
	return c
}

// Whatever the order of returns and refunds of lines, and whatever races, no unit is returned or refunded twice.
func TestNoMoreIsReturnedThanWasDelivered(t *testing.T) {
	s := newShop(t, "tok_visa")
	var all sync.WaitGroup
	outcomes := make([]string, 12)
	for i := range outcomes {
		all.Go(func() {
			var o saga.Outcome
			var err error
			if id := fmt.Sprint("x-", i); i%3 > 0 {
				o, err = s.Announce(t.Context(), s.call(id, returns.Request{Lines: []refund.RequestLine{line(1, 1)}}))
			} else {
				state := refund.State{Request: refund.Request{OrderID: orderID, Lines: []refund.RequestLine{line(1, 1)}}}
				o, err = s.refunds.Reserve(t.Context(), saga.Call[refund.State]{ID: id, State: state, Now: refundtest.Now})
			}
			if err == nil {
				outcomes[i] = o.String()
			}
		})
	}
	all.Wait()
	done := 0
	for _, o := range outcomes {
		require.Contains(t, []string{"Done", "Refused"}, o)
		if o == "Done" {
			done++
		}
	}
	require.Equal(t, 3, done)
	ledger, err := refunds.Load(t.Context(), s.Log, orderID)
	require.NoError(t, err)
	require.Equal(t, int64(3), ledger.Taken()[1])
}

func TestReleasedReturnIsNotAnnounced(t *testing.T) {
	s := newShop(t, "tok_visa")
	c := s.call("a", returns.Request{Lines: teas})
	_, err := s.Release(t.Context(), c)
	require.NoError(t, err)
	o, err := s.Announce(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, "Fenced", o.String())
}

// What did not come back is free; what came back is not, whether or not it is refunded.
func TestWhatCameBackIsReturnedOnce(t *testing.T) {
	s := newShop(t, "tok_visa")
	ctx, r := t.Context(), returns.Request{Lines: []refund.RequestLine{line(1, 3)}, Refund: &no}
	_, err := s.Announce(ctx, s.call("a", r))
	require.NoError(t, err)
	_, err = s.Account(ctx, received(s.call("a", r), returns.Line{Line: 1, SKU: "tea", Quantity: 3, Received: 1}))
	require.NoError(t, err)
	_, err = s.Release(ctx, s.call("a", r))
	require.ErrorIs(t, err, fault.EffectSettled)
	o, err := s.Announce(ctx, s.call("b", r))
	require.NoError(t, err)
	require.Equal(t, "Refused", o.String())
	o, err = s.Announce(ctx, s.call("c", returns.Request{Lines: []refund.RequestLine{line(1, 2)}}))
	require.NoError(t, err)
	require.Equal(t, "Done", o.String())
}

// A refund that names a return is the return's own, of what came back.
func TestRefundOfAReturnIsItsOwn(t *testing.T) {
	s := newShop(t, "tok_visa")
	ctx, r := t.Context(), returns.Request{Lines: teas}
	_, err := s.Announce(ctx, s.call("a", r))
	require.NoError(t, err)
	for name, id := range map[string]string{"of another ID": "r-1", "before the goods": refund.ForReturn("a")} {
		state, err := s.refunds.Refund(ctx, id, "", refund.Request{OrderID: orderID, Lines: teas, ReturnID: "a"})
		require.NoError(t, err, name)
		require.Equal(t, refund.Refused, state.Outcome(), name)
	}
	back, err := s.PaidBack(orderID)
	require.NoError(t, err)
	require.Zero(t, back)
}

// All units of an order are refunded with its total, by returns and refunds in any order.
func TestReturnsAndRefundsSumToTheTotal(t *testing.T) {
	s, orders := newShop(t, "tok_visa"), 0
	rapid.Check(t, func(t *rapid.T) {
		orders++
		o, units := refundtest.Order(fmt.Sprint("o-", orders), "tok_visa"), rapid.Int64Range(1, 6).Draw(t, "units")
		price := rapid.Int64Range(1, 400).Draw(t, "price")
		o.Lines = []order.Line{refundtest.Unstocked("s", units, price)}
		if off := rapid.Int64Range(0, price-1).Draw(t, "discount"); off > 0 {
			o.Lines = append(o.Lines, refundtest.Unstocked("off", 1, -off))
		}
		o = o.Normalize()
		s.Complete(t, o)
		ctx, sum := context.Background(), int64(0)
		for n := 0; units > 0; n++ {
			quantity := rapid.Int64Range(1, units).Draw(t, "quantity")
			lines := []refund.RequestLine{line(1, quantity)}
			if rapid.Bool().Draw(t, "refund") {
				state, err := s.refunds.Refund(ctx, fmt.Sprint(o.ID, "-r-", n), "", refund.Request{OrderID: o.ID, Lines: lines})
				require.NoError(t, err)
				require.Equal(t, refund.Refunded, state.Outcome())
				sum, units = sum+state.Amount, units-quantity
				continue
			}
			c := s.call(fmt.Sprint(o.ID, "-x-", n), returns.Request{OrderID: o.ID, Lines: lines})
			_, err := s.Announce(ctx, c)
			require.NoError(t, err)
			came := rapid.Int64Range(0, quantity).Draw(t, "came")
			if came == 0 {
				_, err = s.Release(ctx, c)
				require.NoError(t, err)
				continue
			}
			c = received(c, returns.Line{Line: 1, SKU: "s", Quantity: quantity, Received: came})
			_, err = s.Account(ctx, c)
			require.NoError(t, err)
			out, err := s.Refund(ctx, c)
			require.NoError(t, err)
			require.Equal(t, "Done", out.String())
			state, err := refund.Reader{Log: s.Log}.Load(ctx, refund.ForReturn(c.ID))
			require.NoError(t, err)
			sum, units = sum+state.Amount, units-came
		}
		require.Equal(t, o.TotalAmount, sum)
	})
}

// Only what arrived of a shipment can be returned.
func TestDelivered(t *testing.T) {
	o := bought("o", "tok_visa")
	o.Fulfillment = order.Shipment
	s := order.State{Order: o, Parcels: []order.Parcel{
		{Key: "a", Status: order.ParcelDelivered, Lines: []order.LineQuantity{{Line: 1, Quantity: 2}}},
		{Key: "b", Status: order.ParcelDispatched, Lines: []order.LineQuantity{{Line: 1, Quantity: 1}, {Line: 2, Quantity: 2}}},
	}}
	require.Equal(t, []int64{2, 0, 0, 0}, returns.Delivered(&s))
	require.Equal(t, []int64{0, 0, 0, 0}, returns.Delivered(&order.State{Order: bought("o", "tok_visa")}), "the order is open")
}

func TestWhatCannotBeReturned(t *testing.T) {
	s := newShop(t, "tok_visa")
	of, err := s.Shop.Orders.Load(t.Context(), orderID)
	require.NoError(t, err)
	check := func(r returns.Request) string {
		r.OrderID = orderID
		err := returns.Reader{Log: s.Log}.Check(t.Context(), r, &of)
		if err == nil {
			return ""
		}
		var refusal *refund.Refusal
		require.ErrorAs(t, err, &refusal)
		return refusal.Reason
	}
	lines := func(l ...refund.RequestLine) returns.Request { return returns.Request{Lines: l} }
	require.Empty(t, check(lines(line(1, 3), refund.RequestLine{SKU: "cup", Quantity: 2})))
	require.Equal(t, returns.ReasonExceedsDelivered, check(lines(line(2, 1), refund.RequestLine{SKU: "cup", Quantity: 2})), "both name one line")
	require.Equal(t, returns.ReasonInvalidLines, check(lines(line(5, 1))))
	require.Equal(t, returns.ReasonNotRefundable, check(lines(line(4, 1))), "nothing was paid for it")
	require.Empty(t, check(returns.Request{Lines: []refund.RequestLine{line(4, 1)}, Refund: &no}))
	of.Capture = ""
	require.Equal(t, returns.ReasonNotRefundable, check(lines(line(1, 1))))
}

// A receipt is one by its event's ID, in whatever order and however often it comes.
func TestReceiptsAreCountedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := returns.State{Lines: []returns.Line{{Line: 1, SKU: "tea", Quantity: 5}, {Line: 2, SKU: "tea", Quantity: 1}}}
		s.ID, s.Decision = "42", saga.GoForward
		counted := map[string]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			id := fmt.Sprint("r-", rapid.IntRange(1, 4).Draw(t, "receipt"))
			raw, err := json.Marshal(returns.Receipt{Lines: []refund.RequestLine{{SKU: "tea", Quantity: int64(len(id))}}})
			require.NoError(t, err)
			row := returns.Flow.Steps[2]
			fact := saga.Fact{Type: event.ReturnReceived, ID: id, Data: raw}
			result := row.Parts.Interpret(&s, &fact)
			if counted[id] {
				require.Equal(t, saga.PartNothing, result.Meaning)
				continue
			}
			switch result.Meaning {
			case saga.PartEvent:
				d, err := json.Marshal(result.Data)
				require.NoError(t, err)
				require.NoError(t, returns.Flow.Own(&s, event.Record{Entry: event.Entry{Event: event.Event{Type: event.ReturnItemsReceived, SchemaVersion: 1, Data: d}}}))
				counted[id] = true
			case saga.PartLast:
				require.Equal(t, int64(3), s.Lines[0].Received+s.Lines[1].Received)
				return
			default:
				require.Equal(t, saga.PartUnusable, result.Meaning)
			}
		}
	})
}
