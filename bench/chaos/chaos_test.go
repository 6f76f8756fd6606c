package main

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// TestPlanIsAFunctionOfTheSeed: two plans of one seed are equal, those of two seeds are not, and a plan hits everything in its window.
func TestPlanIsAFunctionOfTheSeed(t *testing.T) {
	const duration, processes = 10 * time.Minute, 4
	first := plan(1, duration, 100, processes)
	require.Equal(t, first, plan(1, duration, 100, processes))
	require.NotEqual(t, plan(1, duration, 100, processes), plan(2, duration, 100, processes))
	from, to := window(duration)
	for seed := range uint64(20) {
		hit := map[string]bool{}
		for i, f := range plan(seed, duration, 100, processes) {
			require.True(t, f.At >= from && f.At <= to && f.For >= shortest && f.For <= longest[f.Kind], "%v", f)
			require.Less(t, f.Process, processes)
			hit[f.Component+" "+f.Kind] = true
			if i == len(components)-1 {
				require.Len(t, targets(hit), 4, "a turn hits every component")
			}
		}
		for component, kinds := range kinds {
			for _, kind := range kinds {
				require.True(t, hit[component+" "+kind], "seed %d: %s %s", seed, kind, component)
			}
		}
	}
}

// targets are the components of "<component> <kind>".
func targets(hit map[string]bool) map[string]bool {
	components := map[string]bool{}
	for key := range hit {
		var component, kind string
		_, _ = fmt.Sscan(key, &component, &kind)
		components[component] = true
	}
	return components
}

// TestOrdersAreAFunctionOfTheSeed: also every kind of order occurs, and what is done later finds its order by the ID.
func TestOrdersAreAFunctionOfTheSeed(t *testing.T) {
	seen := map[string]bool{}
	for i := range 5000 {
		p := place(3, i)
		require.Equal(t, p, place(3, i))
		require.True(t, p.id != "" || len(p.kind.on) == 0 && !p.byEvent)
		seen[p.kind.name] = true
	}
	require.Len(t, seen, len(orderKinds))
}

// sample is the log of one completed order, and what clients and subscriber know of it.
func sample() ([]audit.Document, evidence) {
	var documents []audit.Document
	add := func(stream, key, eventType string, data bson.D) {
		version := int64(1)
		for _, d := range documents {
			if d.Stream == stream {
				version = d.Version + 1
			}
		}
		documents = append(documents, audit.Document{
			ID: fmt.Sprintf("%s@%010d", stream, version), Stream: stream, Version: version, Key: key,
			EventID: fmt.Sprintf("%s/%s", stream, key), Type: eventType, Data: data,
		})
	}
	amount := bson.D{{Key: "amount", Value: int64(2000)}}
	stock := func(quantity, onHand, reserved int64) bson.D {
		return bson.D{{Key: "orderId", Value: "o-1"}, {Key: "quantity", Value: quantity}, {Key: "onHand", Value: onHand}, {Key: "reserved", Value: reserved}}
	}
	lines := bson.A{bson.D{{Key: "sku", Value: "tea"}, {Key: "quantity", Value: int64(2)}}}
	for _, eventType := range []string{
		"order.accepted", "inventory.reserved", "payment.authorized", "order.settling", "payment.captured", "inventory.committed", "order.completed",
	} {
		add("order-o-1", eventType, eventType, bson.D{{Key: "orderId", Value: "o-1"}, {Key: "totalAmount", Value: int64(2000)}, {Key: "lines", Value: lines}})
	}
	add("payment-o-1", "authorize", "charge.authorized", amount)
	add("payment-o-1", "settle", "charge.captured", amount)
	add("sku-tea", "add", "stock.added", stock(10, 10, 0))
	add("sku-tea", "o-1/reserve", "stock.reserved", stock(2, 10, 2))
	add("sku-tea", "o-1/settle", "stock.committed", stock(2, 8, 0))
	e := evidence{placed: map[string]placement{"o-1": {kind: orderKinds[0]}}, added: map[string]int64{"tea": 10}, bus: map[string][]message{}}
	for _, d := range documents {
		if d.Stream == "order-o-1" {
			e.bus["o-1"] = append(e.bus["o-1"], message{ID: d.EventID, Type: d.Type})
		}
	}
	return documents, e
}

// TestTheCheckFindsPlantedDamage: each damage of the log, and each difference between the log and what was acknowledged, is named.
func TestTheCheckFindsPlantedDamage(t *testing.T) {
	documents, e := sample()
	report := audit.Examine(documents)
	missed, planted := undetected(e, report)
	require.Empty(t, missed)
	require.Equal(t, len(damages), planted)

	report.Violations = nil // the documents of the sample have no hashes
	require.Zero(t, judge(e, report).Count(), "%v", judge(e, report))
	for name, c := range map[string]struct {
		plant func(*evidence)
		class func(Violations) []string
	}{
		"an acknowledged order is not there":      {func(e *evidence) { e.placed["o-2"] = placement{} }, func(v Violations) []string { return v.Lost }},
		"an order that was not placed":            {func(e *evidence) { delete(e.placed, "o-1") }, func(v Violations) []string { return v.Doubled }},
		"a wrong end":                             {func(e *evidence) { e.placed["o-1"] = placement{kind: kind{ends: []string{rejected}}} }, func(v Violations) []string { return v.Wrong }},
		"a cancellation was acknowledged":         {func(e *evidence) { e.cancelled = map[string]bool{"o-1": true} }, func(v Violations) []string { return v.Wrong }},
		"an intervention was acknowledged":        {func(e *evidence) { e.resolved = map[string]int{"o-1": 1} }, func(v Violations) []string { return v.Lost }},
		"a receipt is not there":                  {func(e *evidence) { e.added["tea"]++ }, func(v Violations) []string { return v.Leaked }},
		"a receipt was booked twice":              {func(e *evidence) { e.added["tea"] -= 5 }, func(v Violations) []string { return v.Leaked }},
		"an event did not reach the bus":          {func(e *evidence) { e.bus["o-1"] = e.bus["o-1"][:6] }, func(v Violations) []string { return v.Unpublished }},
		"events reached the bus in another order": {func(e *evidence) { b := e.bus["o-1"]; b[2], b[3] = b[3], b[2] }, func(v Violations) []string { return v.Unpublished }},
		"an event that is not in the log":         {func(e *evidence) { e.bus["o-1"] = append(e.bus["o-1"], message{ID: "x"}) }, func(v Violations) []string { return v.Doubled }},
		"an answer contradicts another one":       {func(e *evidence) { e.contradictions = []string{"x"} }, func(v Violations) []string { return v.Wrong }},
	} {
		t.Run(name, func(t *testing.T) {
			documents, e := sample()
			report := audit.Examine(documents)
			report.Violations = nil
			c.plant(&e)
			require.NotEmpty(t, c.class(judge(e, report)))
		})
	}
}

// TestAnOrderIsAcknowledgedOnce: two answers for one key that name different orders are a contradiction.
func TestAnOrderIsAcknowledgedOnce(t *testing.T) {
	l := newLedger()
	l.accept(placement{index: 1}, "a")
	l.accept(placement{index: 1}, "a")
	l.accept(placement{index: 2, id: "chaos-2"}, "chaos-2")
	require.Empty(t, l.contradictions)
	l.accept(placement{index: 1}, "b")
	l.accept(placement{index: 2, id: "chaos-2"}, "c")
	require.Len(t, l.contradictions, 3)
}

// TestTheOperatorRetriesOnlyWhatCanSucceed: what an outage has stopped is retried, what is stuck for good is decided.
func TestTheOperatorRetriesOnlyWhatCanSucceed(t *testing.T) {
	item := harness.AttentionItem{Step: "capture", Attention: 3, Actions: []string{"retry", "skip", "substitute"}}
	require.Equal(t, "retry", decision(placement{}, item).Action)
	stuck := placement{kind: kind{stuck: []string{"capture"}}}
	require.Equal(t, "skip", decision(stuck, item).Action)
	stuck.index = 1
	require.Equal(t, "substitute", decision(stuck, item).Action)
}

// TestLinks: a connection that was cut or dropped ends, and after the fault there are new ones.
func TestLinks(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	l, err := newLink("echo", server.Addr().String())
	require.NoError(t, err)
	defer l.Stop()
	echo := func() net.Conn {
		c, err := net.Dial("tcp", l.Listen)
		require.NoError(t, err)
		_, err = c.Write([]byte("hello"))
		require.NoError(t, err)
		_, err = io.ReadFull(c, make([]byte, 5))
		require.NoError(t, err)
		return c
	}
	for _, f := range []Fault{{Kind: cut}, {Kind: blackhole}} {
		open := echo()
		require.NoError(t, l.hit(f))
		_, _ = open.Write([]byte("lost"))
		require.NoError(t, l.heal(t.Context(), f))
		_, err := io.ReadAll(open)
		_ = err // the connection may end with a reset
		require.NoError(t, open.Close())
		require.NoError(t, echo().Close())
	}
	late := Fault{Kind: slow, Latency: 20 * time.Millisecond}
	open := echo()
	require.NoError(t, l.hit(late))
	require.NoError(t, echo().Close())
	require.NoError(t, l.heal(t.Context(), late))
	require.NoError(t, open.Close())
}

// TestFaultsAfterTheEndAreSkipped: a target that recovers slowly does not prolong the run.
func TestFaultsAfterTheEndAreSkipped(t *testing.T) {
	faults := plan(1, time.Minute, 10, 4)
	i := &injector{}
	require.NoError(t, i.run(t.Context(), time.Now().Add(-time.Hour), time.Now().Add(-time.Minute), faults))
	require.Equal(t, len(faults), i.skipped)
	require.Empty(t, i.struck)
}

// TestMarkdown: each end is a row, each component a row with its kinds of faults.
func TestMarkdown(t *testing.T) {
	r := &Result{Ends: map[string]int{"completed": 7, "failed": 1}, Components: []Recovery{{Component: temporal, Kinds: map[string]int{kill: 3}}}}
	text, err := r.Markdown()
	require.NoError(t, err)
	require.Contains(t, text, "\n| ended as completed | 7 |\n| ended as failed | 1 |\n| REST requests")
	require.Contains(t, text, "\n| temporal | 3 | 0 | 0 | 0 | 0 | 0 | 0.0 s | 0.0 s |\n")
}

// TestRecovery: only orders count that were accepted after the fault.
func TestRecovery(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	e := ends{
		accepted:  map[string]time.Time{"before": at(9), "first": at(10), "second": at(11)},
		completed: map[string]time.Time{"before": at(11), "first": at(14), "second": at(13)},
		ended:     map[string]time.Time{"before": at(11), "first": at(14), "second": at(13), "rejected": at(19)},
	}
	require.Equal(t, 3*time.Second, e.recovery(at(10)))
	require.Zero(t, e.recovery(at(20)))
	require.InDelta(t, 0.4, e.rate(at(10), at(20)), 0.001)
}
