package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/bench/internal/report"
	"github.com/ordersaga/ordersaga/bench/internal/shop"
)

func TestScenariosAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenarios {
		require.False(t, seen[s.name], "%s is there twice", s.name)
		seen[s.name] = true
		require.NotEmpty(t, s.title)
		require.NotNil(t, s.run)
		require.Contains(t, sides, s.side)
		require.Equal(t, s.side != inside, len(casts[s.side].roles) > 0)
		require.LessOrEqual(t, len("mwr4l3gf-"+s.name+"-99-100000"), 64, "its order ids are fit")
	}
	for _, named := range []string{report.Floor, report.Naive, report.Naive6, report.Raw, "rest", "half", "append"} {
		require.True(t, seen[named], "%s is named elsewhere", named)
	}
	for _, a := range report.Aims() {
		require.True(t, seen[a.Scenario], "%s is aimed at", a.Scenario)
		require.True(t, a.Against == "" || seen[a.Against], "%s is compared with", a.Against)
	}
}

// The report says of each scenario how its orders are paid, whatever the environment says of the others.
func TestPaymentModeOfScenarios(t *testing.T) {
	ways := map[string]string{}
	for _, s := range scenarios {
		ways[s.name] = payment(s)
	}
	require.Equal(t, "in the workflow task", ways["rest"])
	require.Equal(t, "in the workflow task", ways["replicas-3-hot"])
	require.Equal(t, "regular activities", ways["regular"])
	require.Equal(t, "regular activities", ways[report.Naive6])
	require.Empty(t, ways[report.Floor])
	for _, c := range casts {
		require.Len(t, c.env, 1, "no side leaves it to the environment")
	}
	t.Setenv("PAYMENT_GATEWAY", "stripe")
	require.Equal(t, "as stripe says", payment(scenario{name: "rest", side: serve}))
	require.Contains(t, gateway(), "stripe for ordersaga")
}

// Each round begins with another scenario; a scenario that needs another one runs after it.
func TestRoundsRotate(t *testing.T) {
	require.Equal(t, []int{2, 3, 1}, rotated([]int{1, 2, 3}, 4))
	require.Empty(t, rotated([]int(nil), 4))
	firsts := map[string]bool{}
	for n := range 20 {
		now := &round{runner: &runner{chosen: scenarios}, number: n}
		list := now.of(serve)
		firsts[list[0].name] = true
		names := make([]string, len(list))
		for i, s := range list {
			names[i] = s.name
		}
		require.Less(t, slices.Index(names, "rest"), slices.Index(names, "half"))
		require.Equal(t, "raw", now.of(inside)[len(now.of(inside))-1].name)
	}
	require.Greater(t, len(firsts), 8)
}

func TestTurnSize(t *testing.T) {
	r := &runner{o: options{orders: 240, rounds: 5}, chosen: []scenario{{name: "a"}, {name: "b", share: 0.25}}}
	require.Equal(t, 240, r.size(r.chosen[0], 1))
	require.Equal(t, 60, r.size(r.chosen[1], 1))
	require.Equal(t, countedOrders, r.size(r.chosen[0], 0))
	require.Equal(t, 5*300+60+15, r.pieces())
	r.o.orders = 1
	require.Equal(t, 1, r.size(r.chosen[1], 1))
}

func TestNaiveSagaGetsTheSameOrder(t *testing.T) {
	o := shop.Basket{Lines: 3, Declined: 1}.Orders(1, 7, "x")[0]
	v := valueOf(o)
	require.Equal(t, o.ID, v.ID)
	require.Equal(t, "tok_declined", v.Payment.Method)
	require.Len(t, v.Lines, 3)
	require.NoError(t, v.Validate())
	require.Positive(t, v.TotalAmount)
}

// Without a terminal there is a line for each result and nothing that moves.
func TestProgressWithoutATerminal(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer out.Close()
	p := newProgress(out, 2)
	p.doing(0, "rest")
	p.step()
	p.done(2, "rest", report.Round{PerSecond: 41.25, Elapsed: 6 * time.Second})
	p.end()
	text, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	require.Equal(t, "round 2   rest               41.2/s  p50     0.0 ms  p99     0.0 ms    6.0 s\n", string(text))
}
