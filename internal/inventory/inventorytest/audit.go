package inventorytest

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
)

// Totals are the sums over a SKU's records.
type Totals struct {
	Added, Adjusted, Returned, Committed, OnHand int64
	// Held are the open reservations, by order.
	Held map[string]int64
}

// Reserved is the sum of Held.
func (s Totals) Reserved() int64 {
	var sum int64
	for _, quantity := range s.Held {
		sum += quantity
	}
	return sum
}

// Audit sums up the records of a SKU, independently of the ledger. The test fails if they violate a rule: the hash chain, the slots, the running
// balance, "never negative", and added + adjusted + returned = on hand + committed.
func Audit(t require.TestingT, log eventlog.Reader, sku string) Totals {
	if helper, ok := t.(testing.TB); ok {
		helper.Helper()
	}
	records, err := log.Read(context.Background(), event.StockStream(sku), 0, 0)
	require.NoError(t, err)
	require.NoError(t, eventlog.Verify(event.StockStream(sku), event.Head{}, records))
	eventtest.CheckRecords(t, records...)
	sums := Totals{Held: make(map[string]int64)}
	do := make(map[string]string)
	keys := make(map[string]bool)
	for _, r := range records {
		m, err := event.Decode[inventory.Movement](r.Event)
		require.NoError(t, err)
		require.False(t, keys[r.Key], "duplicate key %s", r.Key)
		keys[r.Key] = true
		require.Equal(t, sku, m.SKU)
		sums.add(t, r, m, do)
		require.Equal(t, sums.OnHand, m.OnHand, "on hand at version %d (%s)", r.Version, r.Type)
		require.Equal(t, sums.Reserved(), m.Reserved, "reserved at version %d (%s)", r.Version, r.Type)
		require.GreaterOrEqual(t, m.Reserved, int64(0), "version %d", r.Version)
		require.GreaterOrEqual(t, m.OnHand, int64(0), "version %d", r.Version)
		if r.Type == event.StockReserved || r.Type == event.StockAdjusted && m.Counted == nil && m.Quantity < 0 {
			require.GreaterOrEqual(t, m.OnHand, m.Reserved, "version %d", r.Version)
		}
	}
	require.Equal(t, sums.Added+sums.Adjusted+sums.Returned, sums.OnHand+sums.Committed)
	return sums
}

// add applies one record. do has the types of the records in the orders' Do slots.
func (s *Totals) add(t require.TestingT, r event.Record, m inventory.Movement, do map[string]string) {
	suffix := "/reserve"
	switch r.Type {
	case event.StockAdded:
		suffix = "/receipt"
		s.Added += m.Quantity
		s.OnHand += m.Quantity
	case event.StockAdjusted:
		suffix = "/adjustment"
		if m.Counted != nil {
			suffix = "/count"
			require.Equal(t, *m.Counted, m.OnHand, "version %d", r.Version)
		}
		s.Adjusted += m.Quantity
		s.OnHand += m.Quantity
	case event.StockReturned:
		suffix = r.Key[strings.LastIndex(r.Key, "/return/"):]
		s.Returned += m.Quantity
		s.OnHand += m.Quantity
	case event.StockReserved:
		s.Held[m.OrderID] = m.Quantity
	case event.StockRefused, event.StockFenced:
	case event.StockReleased, event.StockCommitted:
		suffix = "/settle"
		held, holds := s.Held[m.OrderID]
		require.True(t, holds, "version %d ends a reservation that order %s does not have", r.Version, m.OrderID)
		require.Equal(t, held, m.Quantity, "version %d", r.Version)
		delete(s.Held, m.OrderID)
		if r.Type == event.StockCommitted {
			s.Committed += m.Quantity
			s.OnHand -= m.Quantity
		}
	default:
		require.Fail(t, "unexpected type in a stock stream: "+r.Type)
	}
	require.True(t, strings.HasSuffix(r.Key, suffix), "%s has the key %s", r.Type, r.Key)
	if suffix == "/reserve" {
		require.Empty(t, do[m.OrderID], "the Do slot of order %s is written twice", m.OrderID)
		do[m.OrderID] = r.Type
	}
}
