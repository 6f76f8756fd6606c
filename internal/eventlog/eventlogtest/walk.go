package eventlogtest

import (
	"context"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// walkCases test Walk.
var walkCases = []testCase{
	{"streams by name and records by version", func(s *fixture) {
		// More than ten versions, to detect a textual order; names that sort around the separator of document IDs.
		for _, name := range []string{"sku-b", "order-2", "order-10", "order-1", "order-1.1", "order-1-1", "payment-1", "late-ä"} {
			var keys []string
			for i := range 12 {
				keys = append(keys, fmt.Sprintf("k%d", i))
			}
			s.must(name, event.Head{}, entries(keys...))
		}
		for want, selection := range map[string]eventlog.Selection{
			"late-ä order-1 order-1-1 order-1.1 order-10 order-2 payment-1 sku-b": {},
			"order-1 order-1-1 order-1.1 order-10 order-2":                        {From: "order-", To: "order."},
			"payment-1 sku-b": {From: "payment-"},
			"late-ä":          {To: "order-"},
			"order-2 sku-b":   {Names: []string{"sku-b", "order-2", "order-none"}},
			"":                {From: "x"},
		} {
			require.Equal(s, want, s.walk(selection))
		}
	}},
	{"an empty log", func(s *fixture) { require.Empty(s, s.walk(eventlog.Selection{})) }},
	{"a walk may be stopped", func(s *fixture) {
		s.must(s.stream, event.Head{}, entries("a", "b"))
		for r, err := range s.log.Walk(s.ctx, eventlog.Selection{}) {
			require.NoError(s, err)
			require.Equal(s, "a", r.Key)
			break
		}
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		for _, err := range s.log.Walk(ctx, eventlog.Selection{}) {
			require.ErrorIs(s, err, fault.Unavailable)
			require.ErrorIs(s, err, context.Canceled)
		}
	}},
}

// walk walks, verifies every stream, and returns the names of the streams.
func (s *fixture) walk(selection eventlog.Selection) string {
	names := ""
	var records []event.Record
	verify := func() {
		if len(records) == 0 {
			return
		}
		if names != "" {
			names += " "
		}
		names += records[0].Stream
		require.NoError(s, eventlog.Verify(records[0].Stream, event.Head{}, records))
		require.Len(s, records, 12)
		records = nil
	}
	for r, err := range s.log.Walk(s.ctx, selection) {
		require.NoError(s, err)
		if len(records) > 0 && records[0].Stream != r.Stream {
			verify()
		}
		records = append(records, r)
	}
	verify()
	return names
}
