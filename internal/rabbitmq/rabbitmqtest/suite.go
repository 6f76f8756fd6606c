package rabbitmqtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// Publisher is the interface under test: it publishes the records of one stream, in order.
type Publisher interface {
	// PublishRecords returns the number of confirmed records.
	PublishRecords(ctx context.Context, records []event.Record) (confirmed int, err error)
}

// Subject is one implementation with its bus.
type Subject struct {
	Publisher Publisher
	// Collect returns the next n published messages.
	Collect func(t testing.TB, n int) []wire.Message
}

// Records returns n records of the stream of an order, with versions from 1.
func Records(orderID string, n int) []event.Record {
	records := make([]event.Record, n)
	stream := event.OrderStream(orderID)
	for i := range records {
		key := fmt.Sprintf("attention/%d", i)
		at := time.Date(2026, 1, 31, 12, 0, i, 0, time.UTC)
		records[i] = event.Record{Stream: stream, Version: int64(i + 1), Entry: event.New(stream, key, event.OrderNeedsAttention, orderID, at,
			map[string]any{"orderId": orderID, "step": "capture", "error": "none", "attempts": i})}
	}
	return records
}

// Run runs the contract suite of Publisher. open is called once for each test.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	t.Run("stream arrives complete and in order", func(t *testing.T) {
		s := open(t)
		records := Records("order-1", 20)
		n, err := s.Publisher.PublishRecords(t.Context(), records)
		require.NoError(t, err)
		require.Equal(t, len(records), n)
		for i, m := range s.Collect(t, len(records)) {
			e, err := wire.Decode(m)
			require.NoError(t, err)
			require.Equal(t, records[i].ID, e.ID)
			sequence, ok := wire.Sequence(m)
			require.True(t, ok)
			require.Equal(t, records[i].Version, sequence)
			require.Equal(t, records[i].ID, m.MessageID)
			require.Equal(t, records[i].Type, m.RoutingKey)
		}
	})
	t.Run("concurrent streams keep their order", func(t *testing.T) {
		s := open(t)
		const streams, each = 40, 5
		var wg sync.WaitGroup
		for i := range streams {
			wg.Go(func() {
				n, err := s.Publisher.PublishRecords(t.Context(), Records(fmt.Sprintf("order-%d", i), each))
				if err != nil || n != each {
					t.Errorf("stream %d: %d confirmed, %v", i, n, err)
				}
			})
		}
		wg.Wait()
		RequireOrdered(t, s.Collect(t, streams*each), each)
	})
	t.Run("no records", func(t *testing.T) {
		n, err := open(t).Publisher.PublishRecords(t.Context(), nil)
		require.NoError(t, err)
		require.Zero(t, n)
	})
	t.Run("records before an invalid one are published", func(t *testing.T) {
		s := open(t)
		records := Records("order-1", 3)
		records[2].Type = "order.exploded"
		n, err := s.Publisher.PublishRecords(t.Context(), records)
		require.ErrorIs(t, err, fault.UnknownType)
		require.Equal(t, 2, n)
		s.Collect(t, 2)
	})
	t.Run("cancelled context publishes nothing", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		n, err := open(t).Publisher.PublishRecords(ctx, Records("order-1", 2))
		require.ErrorIs(t, err, fault.Unavailable)
		require.Zero(t, n)
	})
}

// RequireOrdered checks that, without repetitions, each stream has the events 1 to each, in order.
func RequireOrdered(t testing.TB, messages []wire.Message, each int64) {
	t.Helper()
	heads := make(map[string]int64)
	for _, m := range messages {
		e, err := wire.Decode(m)
		require.NoError(t, err)
		sequence, ok := wire.Sequence(m)
		require.True(t, ok)
		if sequence <= heads[e.Subject] {
			continue
		}
		require.Equal(t, heads[e.Subject]+1, sequence, "%s has a gap", e.Subject)
		heads[e.Subject] = sequence
	}
	for subject, head := range heads {
		require.Equal(t, each, head, subject)
	}
}
