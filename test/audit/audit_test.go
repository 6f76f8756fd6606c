package audit_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/test/audit"
)

// fact is an event of a stream, in short.
type fact struct {
	key, kind string
	data      map[string]any
}

// documents seals facts as the service does, and makes the documents of them.
func documents(t *testing.T, stream string, facts ...fact) []audit.Document {
	t.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	entries := make([]event.Entry, len(facts))
	for i, f := range facts {
		entries[i] = event.New(stream, f.key, f.kind, "42", at, f.data)
	}
	records, err := eventlog.Seal(stream, event.Head{}, entries)
	require.NoError(t, err)
	list := make([]audit.Document, len(records))
	for i, r := range records {
		var data bson.D
		decoder := json.NewDecoder(strings.NewReader(string(r.Data)))
		decoder.UseNumber()
		var fields map[string]any
		require.NoError(t, decoder.Decode(&fields))
		for name, value := range fields {
			if n, ok := value.(json.Number); ok {
				integer, err := n.Int64()
				require.NoError(t, err)
				value = integer
			}
			data = append(data, bson.E{Key: name, Value: value})
		}
		list[i] = audit.Document{
			ID: fmt.Sprintf("%s@%010d", stream, r.Version), Stream: stream, Version: r.Version, Key: r.Key, EventID: r.ID,
			Type: r.Type, Source: r.Source, Subject: r.Subject, Time: r.Time, SchemaVersion: int32(r.SchemaVersion),
			Data: data, Hash: r.Hash, PrevHash: r.PrevHash,
		}
	}
	return list
}

// shop is a completed order with its stock and its money.
func shop(t *testing.T) (order, stock, money []fact) {
	t.Helper()
	of := func(more map[string]any) map[string]any {
		more["orderId"] = "42"
		return more
	}
	order = []fact{
		{"accept", "order.accepted", of(map[string]any{"totalAmount": 500})}, {"reserve", "inventory.reserved", of(map[string]any{})},
		{"authorize", "payment.authorized", of(map[string]any{})}, {"decide", "order.settling", of(map[string]any{})},
		{"capture", "payment.captured", of(map[string]any{})}, {"commit", "inventory.committed", of(map[string]any{})},
		{"end", "order.completed", of(map[string]any{})},
	}
	stock = []fact{
		{"r/receipt", "stock.added", map[string]any{"quantity": 5, "onHand": 5, "reserved": 0}},
		{"42/reserve", "stock.reserved", of(map[string]any{"quantity": 2, "onHand": 5, "reserved": 2})},
		{"42/settle", "stock.committed", of(map[string]any{"quantity": 2, "onHand": 3, "reserved": 0})},
	}
	money = []fact{
		{"authorize", "charge.authorized", of(map[string]any{"amount": 500})}, {"settle", "charge.captured", of(map[string]any{"amount": 500})},
	}
	return order, stock, money
}

func examine(t *testing.T, order, stock, money []fact) *audit.Report {
	t.Helper()
	var all []audit.Document
	for stream, facts := range map[string][]fact{"order-42": order, "sku-tea": stock, "payment-42": money} {
		if len(facts) > 0 {
			all = append(all, documents(t, stream, facts...)...)
		}
	}
	return audit.Examine(all)
}

func TestCorrectDataHasNoViolation(t *testing.T) {
	order, stock, money := shop(t)
	report := examine(t, order, stock, money)
	require.Empty(t, report.Violations)
	require.Empty(t, report.Open())
	require.Equal(t, int64(3), report.OnHand["tea"])
	require.Equal(t, int64(500), report.Net["42"])
}

// lost has a part of the goods of an order refunded, as they were lost.
func lost(t *testing.T, plant func(order, money, ledger []fact)) *audit.Report {
	t.Helper()
	order, stock, money := shop(t)
	end := order[len(order)-1]
	order = append(order[:len(order)-1],
		fact{"parcel/p-1/lost", "order.parcel_lost", map[string]any{"orderId": "42"}},
		fact{"attention/1/decided", "order.refund_requested", map[string]any{"orderId": "42", "step": "deliver", "amount": 200}},
		fact{"refund/p-1", "payment.refunded", map[string]any{"orderId": "42", "amount": 200}}, end)
	money = append(money, fact{"refund/42/refund/p-1", "charge.refunded", map[string]any{"orderId": "42", "amount": 200}})
	ledger := []fact{{"reserve/refund/p-1", "refunds.reserved", map[string]any{
		"orderId": "42", "key": "refund/p-1", "source": "captured", "amount": 200, "limit": 500, "currency": "EUR",
	}}}
	plant(order, money, ledger)
	all := documents(t, "order-42", order...)
	for stream, facts := range map[string][]fact{"sku-tea": stock, "payment-42": money, "refunds-42": ledger} {
		all = append(all, documents(t, stream, facts...)...)
	}
	return audit.Examine(all)
}

func TestRefundOfLostGoods(t *testing.T) {
	require.Empty(t, lost(t, func(_, _, _ []fact) {}).Violations)
	require.Contains(t, strings.Join(lost(t, func(_, money, _ []fact) { money[2].data["amount"] = 100 }).Violations, "; "), "was charged 400 instead of 300")
	require.Contains(t, strings.Join(lost(t, func(_, _, ledger []fact) { ledger[0].data["amount"] = 100 }).Violations, "; "),
		"gives back 200, and the refund ledger reserves 100 for it")
}

func TestEveryKindOfViolationIsFound(t *testing.T) {
	plants := map[string]struct {
		plant func(order, stock, money []fact) (o, s, m []fact)
		found string
	}{
		"captured, and nothing completed": {func(o, s, m []fact) ([]fact, []fact, []fact) {
			o[3].kind, o[4].kind, o[5].kind, o[6].kind = "order.compensating", "payment.voided", "inventory.released", "order.cancelled"
			return o, s, m
		}, "was charged 500 instead of 0"},
		"not charged": {func(o, s, m []fact) ([]fact, []fact, []fact) { return o, s, m[:1] }, "was charged 0 instead of 500"},
		"an authorization that was not voided": {func(o, s, m []fact) ([]fact, []fact, []fact) {
			o[3].kind, o[4].kind, o[5].kind, o[6].kind = "order.compensating", "payment.voided", "inventory.released", "order.failed"
			return o, s, m[:1]
		}, "stands after order.failed"},
		"goes on after its end": {func(o, s, m []fact) ([]fact, []fact, []fact) {
			return append(o, fact{"x", "order.delivered", map[string]any{}}), s, m
		}, "goes on after order.completed"},
		"captured before it was decided": {func(o, s, m []fact) ([]fact, []fact, []fact) {
			o[3], o[4] = o[4], o[3]
			return o, s, m
		}, `payment.captured after ""`},
		"undone after it was decided forward": {func(o, s, m []fact) ([]fact, []fact, []fact) {
			o[5].kind = "inventory.released"
			return o, s, m
		}, `inventory.released after "order.settling"`},
		"holds stock for ever": {func(o, s, m []fact) ([]fact, []fact, []fact) { return o, s[:2], m }, "holds 2 of tea"},
		"sold more than there is": {func(o, s, m []fact) ([]fact, []fact, []fact) {
			s[1].data["quantity"], s[1].data["reserved"] = 6, 6
			return o, s[:2], m
		}, "5 on hand, 6 reserved"},
		"a balance that is not true": {func(o, s, m []fact) ([]fact, []fact, []fact) {
			s[2].data["onHand"] = 4
			return o, s, m
		}, "claims 4 on hand"},
		"charged twice": {func(o, s, m []fact) ([]fact, []fact, []fact) {
			return o, s, append(m, fact{"again", "charge.captured", map[string]any{"amount": 500}})
		}, "captured again"},
	}
	for name, p := range plants {
		t.Run(name, func(t *testing.T) {
			order, stock, money := p.plant(shop(t))
			report := examine(t, order, stock, money)
			require.Contains(t, strings.Join(report.Violations, "; "), p.found)
		})
	}
}

// What an operator has decided is an exception, as long as it is recorded, in the slot of the step, with its reason.
func TestOnlyRecordedResolutionsAreExceptions(t *testing.T) {
	undone := func(o []fact) {
		o[3].kind, o[4].kind, o[5].kind, o[6].kind = "order.compensating", "payment.voided", "inventory.released", "order.cancelled"
		o[4].key, o[5].key = "undo/authorize", "undo/reserve"
	}
	exceptions := map[string]struct {
		plant func(order, stock, money []fact) (o, s, m []fact)
		// by is the place of the resolution in the order's stream.
		by    int
		found string
	}{
		"the capture": {func(o, s, m []fact) ([]fact, []fact, []fact) { return o, s, m[:1] }, 4, "was charged 0 instead of 500"},
		"the commit":  {func(o, s, m []fact) ([]fact, []fact, []fact) { return o, s[:2], m }, 5, "holds 2 of tea"},
		"the void of an authorization": {func(o, s, m []fact) ([]fact, []fact, []fact) {
			undone(o)
			s[2] = fact{"42/settle", "stock.released", map[string]any{"orderId": "42", "quantity": 2, "onHand": 5, "reserved": 0}}
			return o, s, m[:1]
		}, 4, "stands after order.cancelled"},
		"the void of money that was taken": {func(o, s, m []fact) ([]fact, []fact, []fact) {
			undone(o)
			s[2] = fact{"42/settle", "stock.released", map[string]any{"orderId": "42", "quantity": 2, "onHand": 5, "reserved": 0}}
			return o, s, m
		}, 4, "was charged 500 instead of 0"},
		"the release": {func(o, s, m []fact) ([]fact, []fact, []fact) {
			undone(o)
			m[1].kind = "charge.voided"
			return o, s[:2], m
		}, 5, "holds 2 of tea"},
	}
	for name, e := range exceptions {
		t.Run(name, func(t *testing.T) {
			found := func(change func(f *fact)) string {
				order, stock, money := e.plant(shop(t))
				change(&order[e.by])
				return strings.Join(examine(t, order, stock, money).Violations, "; ")
			}
			skip := func(f *fact) { f.kind, f.data = "order.step_skipped", map[string]any{"note": "looked at it"} }
			substitute := func(f *fact) { f.kind, f.data = "order.step_substituted", map[string]any{"reference": "T-7"} }
			require.Empty(t, found(skip))
			require.Empty(t, found(substitute))
			require.Contains(t, found(func(*fact) {}), e.found, "without an intervention")
			require.Contains(t, found(func(f *fact) { skip(f); f.data["note"] = "" }), e.found, "without a note")
			require.Contains(t, found(func(f *fact) { substitute(f); f.key = "elsewhere" }), e.found, "that was another step")
		})
	}
	order, stock, money := shop(t)
	order[4].kind, order[4].data = "order.step_skipped", map[string]any{"note": "looked at it", "step": "capture"}
	require.Empty(t, examine(t, order, stock, money).Violations, "it may have happened all the same")
	money[1].data["amount"] = 300
	require.Contains(t, strings.Join(examine(t, order, stock, money).Violations, "; "), "was charged 300", "no decision makes half a capture right")
}

func TestChangedChainIsFound(t *testing.T) {
	order, _, _ := shop(t)
	touches := map[string]struct {
		touch func(d []audit.Document) []audit.Document
		found string
	}{
		"a gap":           {func(d []audit.Document) []audit.Document { return append(d[:2:2], d[3:]...) }, "has version 4 where 3 should be"},
		"changed data":    {func(d []audit.Document) []audit.Document { d[0].Data[0].Value = "43"; return d }, "does not have the hash"},
		"another link":    {func(d []audit.Document) []audit.Document { d[3].PrevHash = d[1].Hash; return d }, "does not follow"},
		"a key twice":     {func(d []audit.Document) []audit.Document { d[4].Key = d[3].Key; return d }, "twice"},
		"a wrong _id":     {func(d []audit.Document) []audit.Document { d[4].ID = "order-42@5"; return d }, "has the _id"},
		"another stream":  {func(d []audit.Document) []audit.Document { return rename(d, "order-43") }, "does not follow"},
		"another moment":  {func(d []audit.Document) []audit.Document { d[1].Time = d[1].Time.Add(time.Second); return d }, "does not have the hash"},
		"not its subject": {func(d []audit.Document) []audit.Document { d[1].Subject = "1"; return d }, "does not have the hash"},
	}
	for name, c := range touches {
		t.Run(name, func(t *testing.T) {
			report := audit.Examine(c.touch(documents(t, "order-42", order...)))
			require.Contains(t, strings.Join(report.Violations, "; "), c.found)
		})
	}
}

// rename moves documents to another stream.
func rename(d []audit.Document, stream string) []audit.Document {
	for i := range d {
		d[i].ID = strings.Replace(d[i].ID, d[i].Stream, stream, 1)
		d[i].Stream = stream
	}
	return d
}
