package event_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// contested is a stream to which another writer appends before each of the first appends.
type contested struct {
	records []event.Record
	others  int
	fail    error
}

func (c *contested) Read(_ context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	if after >= int64(len(c.records)) {
		return nil, nil
	}
	return c.records[after:min(int64(len(c.records)), after+int64(limit))], nil
}

func (c *contested) Append(_ context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	if c.fail != nil {
		return head, nil, c.fail
	}
	if c.others > 0 {
		c.others--
		c.add(stream, event.New(stream, "other", "x.other", "7", time.Time{}, nil))
	}
	if head.Version != int64(len(c.records)) {
		return head, nil, fault.New(fault.Concurrency, "another writer was faster")
	}
	for _, e := range entries {
		c.add(stream, e)
	}
	return head, c.records[head.Version:], nil
}

func (c *contested) add(stream string, e event.Entry) {
	c.records = append(c.records, event.Record{Stream: stream, Version: int64(len(c.records)) + 1, Entry: e})
}

// appendOnce appends an entry unless there are limit records, and returns how many there are.
func appendOnce(t *testing.T, c *contested, limit int) (int, error) {
	t.Helper()
	count := func(n int, page []event.Record) (int, error) { return n + len(page), nil }
	return event.AppendUntil(t.Context(), c, "x-7", 0, count, func(n int) ([]event.Entry, error) {
		if n >= limit {
			return nil, nil
		}
		return []event.Entry{event.New("x-7", "mine", "x.mine", "7", time.Time{}, nil)}, nil
	})
}

func TestAppendUntil(t *testing.T) {
	c := &contested{others: 3}
	n, err := appendOnce(t, c, 100)
	require.NoError(t, err)
	require.Equal(t, 4, n, "what others wrote is folded before it is decided again")
	require.Equal(t, "x.mine", c.records[3].Type)

	n, err = appendOnce(t, &contested{others: 3}, 2)
	require.NoError(t, err)
	require.Equal(t, 2, n, "what others wrote makes it superfluous")

	_, err = appendOnce(t, &contested{others: 1000}, 10_000)
	require.ErrorIs(t, err, fault.Unavailable)

	broken := errors.New("no disk")
	_, err = appendOnce(t, &contested{fail: broken}, 100)
	require.ErrorIs(t, err, broken)
}
