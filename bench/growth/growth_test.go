package main

import (
	"context"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/bench/internal/command"
	"github.com/ordersaga/ordersaga/bench/internal/stats"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// TestGrowth fills and measures at sizes that mean nothing, on whatever server there is: it looks whether it works.
func TestGrowth(t *testing.T) {
	uri, _ := testenv.MongoDB(t)
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer out.Close()
	o, err := parse([]string{"--sizes", "200,300", "--samples", "2", "--writers", "8", "--seed", "7"}, io.Discard)
	require.NoError(t, err)
	r, err := run(t.Context(), uri, o, out)
	require.NoError(t, err)
	require.Len(t, r.Sizes, 2)
	for i, s := range r.Sizes {
		require.InDelta(t, o.sizes[i], s.Events, float64(o.sizes[i])/10)
		require.InDelta(t, o.sizes[i]/eventsPerSKU, s.SKUs, 2)
		require.GreaterOrEqual(t, s.Walk.Events, s.Events)
		require.Positive(t, s.Longest)
		for _, op := range s.Operations {
			require.Equal(t, 2, op.Latency.Samples, op.Name)
			require.Positive(t, op.Latency.P50, op.Name)
		}
	}
	require.NotContains(t, r.Server, "does not say")
	folder := filepath.Join(t.TempDir(), "results")
	require.NoError(t, command.Leave(folder, "growth", r))
	for _, name := range []string{"growth.json", "growth.md", "growth.svg"} {
		require.FileExists(t, filepath.Join(folder, name))
	}
	text, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	require.Contains(t, string(text), "seed 7")
}

// TestGeneratedStreamsAreValid: what is filled in is what a saga writes.
func TestGeneratedStreamsAreValid(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		waits  bool
		status order.Status
		types  []string
	}{
		{false, order.StatusCompleted, []string{
			event.OrderAccepted, event.InventoryReserved, event.PaymentAuthorized, event.OrderSettling, event.PaymentCaptured,
			event.InventoryCommitted, event.OrderCompleted,
		}},
		{true, order.StatusAwaitingShipment, []string{
			event.OrderAccepted, event.InventoryReserved, event.PaymentAuthorized, event.OrderConfirmed,
		}},
	} {
		p := placed{id: "o-1", customer: "c-1", sku: "SKU-1", at: at, waits: c.waits}
		entries, state, err := p.stream()
		require.NoError(t, err)
		require.Equal(t, c.status, state.Status)
		var types []string
		for _, e := range entries {
			types = append(types, e.Type)
		}
		require.Equal(t, c.types, types)
		records, err := eventlog.Seal(event.OrderStream("o-1"), event.Head{}, entries)
		require.NoError(t, err)
		require.Equal(t, state.Head, records[len(records)-1].HeadOf(), "the stream is the one that the state was folded from")

		s := shelf{sku: "SKU-1"}
		s.open(at)
		s.sell(p)
		require.Equal(t, int64(openedWith), s.onHand+map[bool]int64{true: 0, false: 1}[c.waits])
		require.Equal(t, map[bool]int64{true: 1, false: 0}[c.waits], s.reserved)
	}
}

// grown is a result in which one operation costs so many times as much at the largest size.
func grown(times float64) *Result {
	size := func(events int, p50 time.Duration) Size {
		return Size{Events: events, Walk: Walk{Events: events, Took: time.Second}, Operations: []Operation{
			{Name: "flat", Latency: stats.LatencyOf([]time.Duration{time.Millisecond})},
			{Name: "read <all>", Latency: stats.LatencyOf([]time.Duration{p50})},
		}}
	}
	return &Result{
		Most: defaultMost, Judged: true, Machine: "a machine", Server: "a server",
		Sizes: []Size{size(10_000, time.Millisecond), size(1_000_000, time.Duration(times*float64(time.Millisecond)))},
	}
}

func TestResult(t *testing.T) {
	require.NoError(t, grown(2.4).Verdict())
	err := grown(2.6).Verdict()
	require.ErrorContains(t, err, "read <all> (2.6 times)")
	require.NotContains(t, err.Error(), "flat")
	page := func(r *Result) string {
		text, err := r.Markdown()
		require.NoError(t, err)
		return text
	}
	require.Contains(t, page(grown(2.6)), "at 1 000 000 events these cost more than 2.5 times as much as at 10 000: read")
	require.Contains(t, page(grown(2.4)), "Nothing costs more than 2.5 times as much")
	notJudged := grown(100)
	notJudged.Judged = false
	require.NoError(t, notJudged.Verdict())
	require.Contains(t, page(notJudged), "Not judged")
}

func TestPlotIsXML(t *testing.T) {
	svg, err := grown(2).SVG()
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal([]byte(svg), &struct{}{}))
	require.Contains(t, svg, "1 000 000")
}

func TestOptions(t *testing.T) {
	o, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []int{500, 2000}, o.on(mongo.FerretDB1).sizes)
	o = o.on(mongo.MongoDB)
	require.Equal(t, []int{10_000, 100_000, 1_000_000}, o.sizes)
	require.Equal(t, o.sizes, o.on(mongo.FerretDB1).sizes, "what was given stays")
	require.NotZero(t, o.seed)
	o.seed = 5
	require.Equal(t, "growth --sizes 10000,100000,1000000 --samples 200 --seed 5", o.String())
	for _, args := range [][]string{
		{"--sizes", "100000,10000"}, {"--sizes", "10"}, {"--sizes", ","}, {"--samples", "0"}, {"--most", "0.5"}, {"more"},
	} {
		_, err := parse(args, io.Discard)
		require.Error(t, err, "%v", args)
	}
	_, err = parse([]string{"-h"}, io.Discard)
	require.ErrorIs(t, err, flag.ErrHelp)
	t.Setenv("MONGODB_URI", "")
	require.ErrorContains(t, do(context.Background(), nil), "MONGODB_URI")
}

func TestNumbers(t *testing.T) {
	for n, text := range map[int]string{0: "0", 999: "999", 1000: "1 000", 1234567: "1 234 567"} {
		require.Equal(t, text, number(n))
	}
}
