package event_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
)

// counted is a stream of so many records; it fails at a page.
type counted struct {
	records int64
	reads   int
	failAt  int
}

func (c *counted) Read(_ context.Context, _ string, after int64, limit int) ([]event.Record, error) {
	if c.reads++; c.reads == c.failAt {
		return nil, errors.New("no log")
	}
	var page []event.Record
	for v := after + 1; v <= c.records && len(page) < limit; v++ {
		page = append(page, event.Record{Version: v})
	}
	return page, nil
}

// last folds versions, which must come without a gap.
func last(s int64, page []event.Record) (int64, error) {
	for _, r := range page {
		if r.Version != s+1 {
			return s, errors.New("gap")
		}
		s = r.Version
	}
	return s, nil
}

func TestStreamsAreReadInPages(t *testing.T) {
	for _, c := range []struct {
		records, after int64
		reads          int
	}{{0, 0, 1}, {7, 0, 1}, {7, 7, 1}, {499, 0, 1}, {500, 0, 2}, {501, 0, 2}, {1500, 3, 3}} {
		r := &counted{records: c.records}
		got, err := event.FoldPages(t.Context(), r, "order-42", c.after, c.after, last)
		require.NoError(t, err)
		require.Equal(t, max(c.records, c.after), got)
		require.Equal(t, c.reads, r.reads, "%+v", c)
	}
}

func TestUnreadablePageEndsFold(t *testing.T) {
	got, err := event.FoldPages(t.Context(), &counted{records: 2000, failAt: 3}, "order-42", 0, 0, last)
	require.EqualError(t, err, "no log")
	require.EqualValues(t, 1000, got)
	_, err = event.FoldPages(t.Context(), &counted{records: 9}, "order-42", 1, 0, last)
	require.EqualError(t, err, "gap")
}
