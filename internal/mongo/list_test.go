package mongo

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// fill writes n orders and returns them newest first.
func fill(t *testing.T, s *List, n int) []readmodel.Order {
	t.Helper()
	var all []readmodel.Order
	for i := range n {
		o := sample(i, 1, order.Statuses[i%len(order.Statuses)])
		o.TotalAmount += int64(i % 5)
		o.Reason = []string{"", "no_stock"}[i%2]
		require.NoError(t, s.Put(t.Context(), o))
		all = append(all, o)
	}
	slices.Reverse(all)
	return all
}

// pages reads all pages of a filter.
func pages(t *testing.T, s *List, f readmodel.Filter) []readmodel.Order {
	t.Helper()
	var all []readmodel.Order
	for {
		items, next, err := s.List(t.Context(), f)
		require.NoError(t, err)
		if f.Limit > 0 {
			require.LessOrEqual(t, len(items), f.Limit)
		}
		all = append(all, items...)
		if next == "" {
			return all
		}
		require.Len(t, items, f.Limit, "only the last page is short")
		f.Cursor = next
	}
}

func TestList(t *testing.T) {
	s := openOrders(t, connect(t))
	items, next, err := s.List(t.Context(), readmodel.Filter{})
	require.NoError(t, err)
	require.Empty(t, items)
	require.NotNil(t, items, "an empty list, not null")
	require.Empty(t, next)

	all := fill(t, s, 40)
	keep := func(f func(o readmodel.Order) bool) []readmodel.Order {
		return slices.DeleteFunc(slices.Clone(all), func(o readmodel.Order) bool { return !f(o) })
	}
	amount := sample(0, 1, order.StatusAccepted).TotalAmount
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	for name, c := range map[string]struct {
		filter readmodel.Filter
		want   []readmodel.Order
	}{
		"all":        {readmodel.Filter{}, all},
		"one status": {readmodel.Filter{Statuses: []order.Status{order.StatusAccepted}}, keep(func(o readmodel.Order) bool { return o.Status == order.StatusAccepted })},
		"two statuses": {readmodel.Filter{Statuses: []order.Status{order.StatusFailed, order.StatusAccepted}},
			keep(func(o readmodel.Order) bool {
				return o.Status == order.StatusAccepted || o.Status == order.StatusFailed
			})},
		"customer": {readmodel.Filter{CustomerID: "c-1"}, keep(func(o readmodel.Order) bool { return o.CustomerID == "c-1" })},
		"nobody":   {readmodel.Filter{CustomerID: "c-9"}, keep(func(readmodel.Order) bool { return false })},
		"reason":   {readmodel.Filter{Reason: "no_stock"}, keep(func(o readmodel.Order) bool { return o.Reason == "no_stock" })},
		"amounts": {readmodel.Filter{MinAmount: new(amount + 1), MaxAmount: new(amount + 3)},
			keep(func(o readmodel.Order) bool { return o.TotalAmount > amount && o.TotalAmount < amount+4 })},
		"time": {readmodel.Filter{CreatedFrom: at(3), CreatedTo: at(9)},
			keep(func(o readmodel.Order) bool { return !o.CreatedAt.Before(at(3)) && o.CreatedAt.Before(at(9)) })},
		"time between moments": {readmodel.Filter{CreatedFrom: at(3.0000001), CreatedTo: at(9.0000001)},
			keep(func(o readmodel.Order) bool { return o.CreatedAt.After(at(3)) && !o.CreatedAt.After(at(9)) })},
		"everything at once": {readmodel.Filter{Statuses: order.Statuses[:7], CustomerID: "c-2", CreatedFrom: at(1), CreatedTo: at(12)},
			keep(func(o readmodel.Order) bool {
				return slices.Contains(order.Statuses[:7], o.Status) && o.CustomerID == "c-2" &&
					!o.CreatedAt.Before(at(1)) && o.CreatedAt.Before(at(12))
			})},
	} {
		for _, limit := range []int{1, 2, 7, 40, 500} {
			f := c.filter
			f.Limit = limit
			got := pages(t, s, f)
			if len(c.want) == 0 {
				require.Empty(t, got, name)
				continue
			}
			require.Equal(t, c.want, got, "%s, limit %d", name, limit)
		}
	}
}

func TestPagesAreStable(t *testing.T) {
	s := openOrders(t, connect(t))
	all := fill(t, s, 20)
	first, next, err := s.List(t.Context(), readmodel.Filter{Limit: 8})
	require.NoError(t, err)
	// Newer orders are placed, and older ones change.
	for n := 20; n < 30; n++ {
		require.NoError(t, s.Put(t.Context(), sample(n, 1, order.StatusAccepted)))
	}
	for n := range 20 {
		require.NoError(t, s.Put(t.Context(), sample(n, 9, order.StatusCompleted)))
	}
	second := pages(t, s, readmodel.Filter{Limit: 8, Cursor: next})
	var ids []string
	for _, o := range append(first, second...) {
		ids = append(ids, o.ID)
	}
	var want []string
	for _, o := range all {
		want = append(want, o.ID)
	}
	require.Equal(t, want, ids)
}

// The document is a format: other programs read it.
func TestEntryFormat(t *testing.T) {
	raw, err := bson.Marshal(toEntry(sample(1, 3, order.StatusShipped)))
	require.NoError(t, err)
	text, err := bson.MarshalExtJSON(bson.Raw(raw), true, false)
	require.NoError(t, err)
	number := func(n int64) string { return fmt.Sprintf(`{"$numberLong":"%d"}`, n) }
	require.Equal(t, `{"_id":"o-001","customerId":"c-1","status":"shipped","reason":"","version":`+number(3)+
		`,"currency":"EUR","totalAmount":`+number(3998+1<<35)+`,"fulfillment":"shipment","lines":[`+
		`{"sku":"A-1","quantity":`+number(2)+`,"unitAmount":`+number(1999)+`},`+
		`{"sku":"B-2","quantity":`+number(1)+`,"unitAmount":`+number(1<<35)+`}],"paymentMethod":"tok_visa",`+
		`"createdAt":{"$date":`+number(start.UnixMilli())+`},"updatedAt":{"$date":`+number(start.Add(3*time.Hour).UnixMilli())+
		`},"correlationId":"corr"}`, string(text))
}
