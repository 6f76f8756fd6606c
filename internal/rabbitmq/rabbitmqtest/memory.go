package rabbitmqtest

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// Memory is a bus in memory, for unit tests of what publishes. Its zero value is ready.
type Memory struct {
	mu       sync.Mutex
	messages []wire.Message
	read     int
	fail     func(event.Record) error
}

// Fail makes publishing fail where f returns an error; nil ends it.
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

// Messages returns everything that was published so far.
func (b *Memory) Messages() []wire.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]wire.Message(nil), b.messages...)
}

// Collect returns the next n messages, which must be there.
func (b *Memory) Collect(t testing.TB, n int) []wire.Message {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.GreaterOrEqual(t, len(b.messages)-b.read, n)
	b.read += n
	return append([]wire.Message(nil), b.messages[b.read-n:b.read]...)
}
