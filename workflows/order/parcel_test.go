package order_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

var parcelTiming = order.DefaultTiming()

// shipping is an order at its delivery, whose participants answer at once.
type shipping struct {
	t interface {
		require.TestingT
		Helper()
	}
	o     order.Order
	s     order.State
	facts order.Facts
	log   []event.Record
	now   time.Time
	count int
}

func newShipping(t require.TestingT, lines ...order.Line) *shipping {
	o := order.Order{
		ID: "42", CustomerID: "c-7", Currency: "EUR", Lines: lines, Payment: order.PaymentMethod{Method: "tok_visa"}, Fulfillment: order.Shipment,
	}.Normalize()
	w := &shipping{t: t.(interface {
		require.TestingT
		Helper()
	}), o: o, now: time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)}
	w.append(order.Accept(o, "c", "", w.now))
	w.run()
	return w
}

func (w *shipping) append(entries ...event.Entry) {
	for _, e := range entries {
		if slices.ContainsFunc(w.log, func(r event.Record) bool { return r.Key == e.Key }) {
			require.Fail(w.t, "the slot "+e.Key+" is taken twice")
		}
		if problems := w.invalid(e); problems != "" {
			require.Fail(w.t, problems)
		}
		r := event.Record{Stream: event.OrderStream(w.o.ID), Version: w.s.Head.Version + 1, Entry: e}
		next, err := w.s.Fold([]event.Record{r})
		require.NoError(w.t, err)
		w.s, w.log = next, append(w.log, r)
	}
}

func (w *shipping) invalid(e event.Entry) string {
	if !json.Valid(e.Data) {
		return "the data of " + e.Type + " is no JSON"
	}
	return ""
}

// run drives the order until it waits or has ended.
func (w *shipping) run() {
	for range 1000 {
		// As a run does: what says nothing new is forgotten.
		w.facts.Received = slices.DeleteFunc(w.facts.Received, func(f saga.Fact) bool {
			m := w.meaning(f)
			return m == saga.PartNothing || m == saga.PartUnusable
		})
		a := order.Next(w.s, w.facts, w.now, parcelTiming)
		switch a.Kind {
		case order.Record:
			w.append(a.Entry)
			w.facts.Resolutions = slices.DeleteFunc(w.facts.Resolutions, func(r saga.Resolution) bool { return w.s.Recorded(r.ID) })
		case order.Do:
			w.append(w.done(a)...)
		default:
			return
		}
	}
	require.Fail(w.t, "the order does not come to rest: "+strings.Join(w.types(), ", "))
}

func (w *shipping) meaning(f saga.Fact) saga.PartMeaning {
	if w.s.Decision != order.Forward {
		return saga.PartEvent
	}
	for i := range order.Flow.Steps {
		if p := order.Flow.Steps[i].Parts; p != nil {
			return p.Interpret(&w.s, &f).Meaning
		}
	}
	return saga.PartNothing
}

func (w *shipping) done(a order.Action) []event.Entry {
	paid := map[string]any{"paymentId": "p1", "amount": w.o.TotalAmount, "currency": w.o.Currency}
	outcome := saga.Done(paid)
	switch a.Step {
	case order.StepReserve, order.StepCommit:
		outcome = saga.Done(map[string]any{"lines": w.o.Items()})
	case order.StepRefund:
		for _, r := range w.s.Refunds {
			if r.Item == a.Item {
				paid["amount"] = r.Amount
			}
		}
	}
	entries, err := order.Flow.Entries(saga.StepInput[order.State]{State: w.s, Item: a.Item}, a.Step, outcome, w.now)
	require.NoError(w.t, err)
	return entries
}

func (w *shipping) types() []string {
	types := make([]string, len(w.log))
	for i, r := range w.log {
		types[i] = r.Type
	}
	return types
}

// since are the types of the events after the commit of the stock.
func (w *shipping) since() []string {
	types := w.types()
	return types[slices.Index(types, event.InventoryCommitted)+1:]
}

type parcelEvent struct {
	kind   order.ShipmentKind
	parcel string
	lines  []order.ShipmentLine
}

func goes(parcel string, lines ...order.ShipmentLine) parcelEvent {
	return parcelEvent{order.ShipmentDispatched, parcel, lines}
}

func arrives(parcel string, lines ...order.ShipmentLine) parcelEvent {
	return parcelEvent{order.ShipmentDelivered, parcel, lines}
}

func missed(parcel string, lines ...order.ShipmentLine) parcelEvent {
	return parcelEvent{order.ShipmentLost, parcel, lines}
}

func (w *shipping) fact(e parcelEvent) saga.Fact {
	w.count++
	id := fmt.Sprintf("e%d", w.count)
	return order.FactOf(w.o.ID, order.ShipmentSignal{Kind: e.kind, ShipmentFact: order.ShipmentFact{ID: id, Cause: id, ParcelID: e.parcel, Lines: e.lines}})
}

// hear has the order hear events, one after the other.
func (w *shipping) hear(events ...parcelEvent) *shipping {
	for _, e := range events {
		w.facts.AddFact(w.fact(e))
		w.run()
	}
	return w
}

func (w *shipping) resolve(action saga.ResolutionAction) *shipping {
	w.count++
	r := saga.Resolution{ID: fmt.Sprintf("r%d", w.count), Action: action, Note: "decided", Reference: "T-1", Attention: w.s.Attention.Count}
	require.Empty(w.t, w.s.RejectResolution(r))
	w.facts.Resolutions = append(w.facts.Resolutions, r)
	w.run()
	return w
}

func line(n int, quantity int64) order.ShipmentLine {
	return order.ShipmentLine{Line: n, Quantity: quantity}
}

var twoLines = []order.Line{{SKU: "tea", Quantity: 2, UnitAmount: 500}, {SKU: "pot", Quantity: 1, UnitAmount: 2900}}

func statuses(s order.State) map[string]order.ParcelStatus {
	all := make(map[string]order.ParcelStatus)
	for _, p := range s.ParcelsView() {
		all[p.Ref()] = p.Status
	}
	return all
}

func TestParcels(t *testing.T) {
	const shippedP, deliveredP, lostP = event.OrderParcelDispatched, event.OrderParcelDelivered, event.OrderParcelLost
	asks, resolved := event.OrderNeedsAttention, event.OrderAttentionResolved
	sku := func(sku string, quantity int64) order.ShipmentLine {
		return order.ShipmentLine{SKU: sku, Quantity: quantity}
	}
	for name, c := range map[string]struct {
		do   func(w *shipping)
		want []string
	}{
		"one parcel": {func(w *shipping) { w.hear(goes(""), arrives("")) }, []string{event.OrderDelivered, event.OrderCompleted}},
		"one parcel with a name that the delivery does not have": {func(w *shipping) { w.hear(goes("a"), arrives("")) },
			[]string{event.OrderDelivered, event.OrderCompleted}},
		"one parcel that is delivered under another name": {func(w *shipping) { w.hear(goes("a"), arrives("b")) },
			[]string{event.OrderDelivered, event.OrderCompleted}},
		"two in order": {func(w *shipping) {
			w.hear(goes("a", line(1, 2)), goes("b", line(2, 1)), arrives("a"), arrives("b"))
		}, []string{shippedP, deliveredP, event.OrderDelivered, event.OrderCompleted}},
		"two in reverse": {func(w *shipping) {
			w.hear(arrives("b", line(2, 1)), goes("b", line(2, 1)), arrives("a", sku("tea", 2)), goes("a", line(1, 2)))
		}, []string{event.OrderDelivered, event.OrderCompleted}},
		"the rest is in the second parcel": {func(w *shipping) {
			w.hear(goes("a", line(1, 2)), goes("b"), arrives("b"), arrives("a"))
		}, []string{shippedP, deliveredP, event.OrderDelivered, event.OrderCompleted}},
		"the rest is heard of first": {func(w *shipping) {
			w.hear(goes("b"), goes("a", line(1, 2)), arrives("b"), arrives("a"))
		}, []string{shippedP, deliveredP, event.OrderDelivered, event.OrderCompleted}},
		"the rest is never dispatched by name": {func(w *shipping) {
			w.hear(goes("a", line(1, 2)), arrives("a"), arrives("b"))
		}, []string{deliveredP, event.OrderDelivered, event.OrderCompleted}},
		"everything is delivered by an event without a name": {func(w *shipping) {
			w.hear(goes("a", line(1, 2)), goes("b", line(2, 1)), arrives(""))
		}, []string{shippedP, event.OrderDelivered, event.OrderCompleted}},
		"parcels without names": {func(w *shipping) {
			w.hear(goes("", line(1, 2)), goes("", line(2, 1)), arrives("", sku("pot", 1)), arrives("", line(1, 2)))
		}, []string{shippedP, deliveredP, event.OrderDelivered, event.OrderCompleted}},
		"a parcel that is not known, when everything is in others": {func(w *shipping) {
			w.hear(goes("a", line(1, 2)), goes("b", line(2, 1)), arrives("c"), arrives("c", line(1, 2)))
		}, []string{shippedP, deliveredP}},
		"the same events with other IDs": {func(w *shipping) {
			w.hear(goes("a", line(1, 2)), goes("a", line(1, 2)), arrives("a"), arrives("a"), arrives("a", line(1, 2)))
		}, []string{deliveredP}},
		"a part of a parcel, twice": {func(w *shipping) { w.hear(goes("a"), arrives("a", line(1, 1)), arrives("a", line(1, 1))) },
			[]string{deliveredP}},
		"a parcel in three parts": {func(w *shipping) {
			w.hear(goes("a"), arrives("a", line(1, 1)), arrives("a", line(2, 1)), arrives("a"))
		}, []string{deliveredP, deliveredP, event.OrderDelivered, event.OrderCompleted}},
		"too many": {func(w *shipping) {
			w.hear(goes("a", line(1, 5)), arrives("a"), goes("b", line(1, 5)), arrives("b"))
		}, []string{deliveredP, shippedP, deliveredP}},
		"lines that are not known": {func(w *shipping) {
			w.hear(goes("a", line(7, 1), sku("cup", 1)), arrives("a"), arrives("b", sku("cup", 3)))
		}, []string{deliveredP, deliveredP}},
		"a lost one of one, skipped": {func(w *shipping) { w.hear(goes(""), missed("")).resolve(order.Skip) },
			[]string{asks, event.OrderStepSkipped, resolved, event.OrderCompleted}},
		"a lost one of one, delivered": {func(w *shipping) { w.hear(goes(""), missed(""), arrives("")) },
			[]string{asks, resolved, event.OrderDelivered, event.OrderCompleted}},
		"a lost one of one, refunded": {func(w *shipping) { w.hear(goes(""), missed("")).resolve(order.Refund) },
			[]string{asks, event.OrderRefundRequested, resolved, event.PaymentRefunded, event.OrderCompleted}},
		"a lost one of one, sent again": {func(w *shipping) {
			w.hear(goes("a"), missed("")).resolve(order.Resend).hear(missed(""), missed("a"), goes("b"), arrives("b"))
		}, []string{asks, event.OrderResendRequested, resolved, shippedP, event.OrderDelivered, event.OrderCompleted}},
		"a lost one of two, written off": {func(w *shipping) {
			w.hear(goes("a", line(1, 2)), goes("b"), missed("b"), missed("b")).resolve(order.Skip).hear(arrives("b"), arrives("a"))
		}, []string{shippedP, lostP, asks, event.OrderStepSkipped, resolved, event.OrderDelivered, event.OrderCompleted}},
		"a lost one of two, refunded": {func(w *shipping) {
			w.hear(goes("a", line(1, 2)), goes("b"), missed("b")).resolve(order.Refund).hear(arrives("b"), arrives("a"))
		}, []string{shippedP, lostP, asks, event.OrderRefundRequested, resolved, event.PaymentRefunded, event.OrderDelivered, event.OrderCompleted}},
		"a lost one of two, refunded last": {func(w *shipping) {
			w.hear(goes("a", line(1, 2)), goes("b"), arrives("a"), missed("b")).resolve(order.Refund)
		}, []string{shippedP, deliveredP, lostP, asks, event.OrderRefundRequested, resolved, event.PaymentRefunded, event.OrderCompleted}},
		"a lost one of two, sent again": {func(w *shipping) {
			w.hear(goes("a", line(1, 2)), goes("b"), missed("b")).resolve(order.Resend)
			w.hear(arrives("a"), goes("b2"), arrives("b2"))
		}, []string{shippedP, lostP, asks, event.OrderResendRequested, resolved, deliveredP, shippedP, event.OrderDelivered, event.OrderCompleted}},
		"sent again under the same name": {func(w *shipping) {
			w.hear(goes("a", line(1, 2)), goes("b"), missed("b")).resolve(order.Resend)
			w.hear(goes("b"), missed("b")).resolve(order.Resend).hear(goes("b"), arrives("b"), arrives("a"))
		}, []string{shippedP, lostP, asks, event.OrderResendRequested, resolved, shippedP, lostP, asks, event.OrderResendRequested, resolved,
			shippedP, deliveredP, event.OrderDelivered, event.OrderCompleted}},
		"lost, then delivered": {func(w *shipping) { w.hear(goes("a", line(1, 2)), missed("a"), arrives("a"), missed("a"), arrives("b")) },
			[]string{lostP, asks, deliveredP, resolved, event.OrderDelivered, event.OrderCompleted}},
		"both lost": {func(w *shipping) {
			w.hear(goes("a", line(1, 2)), goes("b"), missed("b"), missed("a")).resolve(order.Refund).resolve(order.Refund)
		}, []string{shippedP, lostP, asks, lostP, event.OrderRefundRequested, resolved, event.PaymentRefunded, asks, event.OrderRefundRequested, resolved,
			event.PaymentRefunded, event.OrderCompleted}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newShipping(t, twoLines...)
			c.do(w)
			require.Equal(t, c.want, w.since(), "%v", statuses(w.s))
		})
	}
}

// TestParcelsInAnyOrder: the events of parcels that name their lines come in any order, before the order waits for them, several times with
// other IDs, and the order completes with the last delivery, not before.
func TestParcelsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lines []order.Line
		for i := range rapid.IntRange(1, 4).Draw(t, "lines") {
			lines = append(lines, order.Line{SKU: fmt.Sprintf("sku-%d", i/2), Quantity: rapid.Int64Range(1, 5).Draw(t, "quantity"), UnitAmount: 100})
		}
		// Each unit goes into one parcel.
		in := make([]map[int]int64, rapid.IntRange(1, 5).Draw(t, "parcels"))
		for i, l := range lines {
			for range l.Quantity {
				n := rapid.IntRange(0, len(in)-1).Draw(t, "parcel")
				if in[n] == nil {
					in[n] = make(map[int]int64)
				}
				in[n][i+1]++
			}
		}
		var events []parcelEvent
		full := 0
		for n, content := range in {
			if content == nil {
				continue
			}
			full++
			name, bySKU := fmt.Sprintf("p/%d", n), rapid.Bool().Draw(t, "bySKU")
			var named []order.ShipmentLine
			for i := range lines {
				if content[i+1] == 0 {
					continue
				}
				if bySKU {
					named = append(named, order.ShipmentLine{SKU: lines[i].SKU, Quantity: content[i+1]})
				} else {
					named = append(named, line(i+1, content[i+1]))
				}
			}
			if !bySKU {
				for range rapid.IntRange(0, 2).Draw(t, "dispatched") {
					events = append(events, goes(name, named...))
				}
			}
			for range rapid.IntRange(1, 2).Draw(t, "delivered") {
				events = append(events, arrives(name, named...))
			}
		}
		mixed := slices.ContainsFunc(events, func(e parcelEvent) bool { return e.lines[0].SKU != "" })
		events = rapid.Permutation(events).Draw(t, "order")
		w := newShipping(t, lines...)
		come := make(map[string]bool)
		atOnce := rapid.IntRange(1, 4).Draw(t, "at once")
		for i, e := range events {
			if w.s.Ended {
				break
			}
			if e.kind == order.ShipmentDelivered {
				come[e.parcel] = true
			}
			w.facts.AddFact(w.fact(e))
			if (i+1)%atOnce == 0 || i == len(events)-1 {
				w.run()
			}
			if w.s.Ended && len(come) < full {
				t.Fatalf("the order completes with %d of %d parcels: %v", len(come), full, w.types())
			}
		}
		// A SKU of several lines may be attributed to one that another event names: then a person looks at it.
		if !w.s.Ended && !mixed {
			t.Fatalf("the order does not complete: %v", statuses(w.s))
		}
	})
}

// TestAParcelOfEveryName: any name of 200 bytes is a parcel's, and has slots of its own.
func TestAParcelOfEveryName(t *testing.T) {
	for _, name := range []string{strings.Repeat("ü", 100), strings.Repeat("包", 66), "a/b", "a~2", "~", ".."} {
		w := newShipping(t, twoLines...).hear(goes("x", line(1, 2)), goes(name, line(2, 1)), missed(name))
		require.Equal(t, name, order.ParcelName(w.s.Attention.Item), "the attention names the parcel")
		w.resolve(order.Refund).hear(arrives("x"))
		require.Equal(t, order.StatusCompleted, w.s.Status, name)
	}
}

// TestParcelsAreBounded: an order of thousand pieces in as many parcels knows of so many; the others are not delivered.
func TestParcelsAreBounded(t *testing.T) {
	w := newShipping(t, order.Line{SKU: "tea", Quantity: 1000, UnitAmount: 5})
	for n := range 300 {
		w.hear(goes(fmt.Sprintf("p%d", n), line(1, 1)), arrives(fmt.Sprintf("p%d", n)))
	}
	require.Len(t, w.s.Parcels, order.MaxParcels)
	require.False(t, w.s.Ended)
	raw, err := json.Marshal(w.s)
	require.NoError(t, err)
	require.Less(t, len(raw), 256<<10)
	w.now = w.now.Add(100 * 24 * time.Hour)
	w.run()
	w.resolve(order.Refund)
	require.Equal(t, order.StatusCompleted, w.s.Status)
	last := w.log[len(w.log)-1]
	require.Contains(t, string(last.Data), `"totalAmount":1000,`, "800 of 1000 pieces are refunded")
}

// TestUnreadEventsOfParcelsAreBounded: what has no room is kept as a late event, without its data, which would mean all lines.
func TestUnreadEventsOfParcelsAreBounded(t *testing.T) {
	c := order.Flow.Collect("42", false)
	for n := range 150 {
		id := fmt.Sprintf("e%d", n)
		c.Add(order.FactOf("42", order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: id, Cause: id, ParcelID: id}}))
	}
	c.Before(saga.Resume{Late: []saga.LateEvent{{ID: "l", EventID: "l", Type: event.ShipmentDelivered, Identity: "i"}}})
	require.Len(t, c.Merged().Received, 100)
	require.Len(t, c.Facts(), 151)
	unused := 0
	for _, f := range c.Facts() {
		if f.Unused {
			unused++
			require.Empty(t, f.Data)
		}
	}
	require.Equal(t, 51, unused)
}
