package rabbitmqtest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// Memory is a bus in memory, for unit tests. Its zero value is ready.
type Memory struct {
	mu       sync.Mutex
	messages []wire.Message
	read     int
	fail     func(event.Record) error
}

// Fail makes publishing fail when f returns an error; nil resets it.
func (b *Memory) Fail(f func(event.Record) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = f
}

// PublishRecords implements Publisher.
func (b *Memory) PublishRecords(ctx context.Context, records []event.Record) (int, error) {
	for i, r := range records {
		if err := b.publish(ctx, r); err != nil {
			return i, err
		}
	}
	return len(records), nil
}

func (b *Memory) publish(ctx context.Context, r event.Record) error {
	m, err := wire.Encode(r)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fault.Wrap(err, fault.Unavailable, "publish %s", r.Type)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		if err := b.fail(r); err != nil {
			return err
		}
	}
	b.messages = append(b.messages, m)
	return nil
}

// Messages returns all messages published so far.
func (b *Memory) Messages() []wire.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.messages)
}

// Collect returns the next n messages, which must already be published.
func (b *Memory) Collect(t testing.TB, n int) []wire.Message {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.GreaterOrEqual(t, len(b.messages)-b.read, n)
	b.read += n
	return slices.Clone(b.messages[b.read-n : b.read])
}
