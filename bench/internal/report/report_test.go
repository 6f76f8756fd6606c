package report_test

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/bench/internal/report"
	"github.com/ordersaga/ordersaga/bench/internal/stats"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { testenv.Main(m) }

// rounds are rounds at the given rates, with CPU and memory.
func rounds(perSecond ...float64) []report.Round {
	list := make([]report.Round, len(perSecond))
	for i, rate := range perSecond {
		samples := []time.Duration{time.Duration(i+1) * time.Millisecond, time.Duration(i+5) * time.Millisecond}
		list[i] = report.Round{
			Round: i + 1, Count: 2, PerSecond: rate, Latency: stats.LatencyOf(samples), Samples: samples,
			CPU: map[string]float64{"bench": 1.5 + float64(i)}, Resident: map[string]int64{"bench": 50_000_000 + int64(i)},
		}
	}
	return list
}

func example() *report.Report {
	r := &report.Report{
		Run: "r1", Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Took: 61 * time.Second, Command: "bench --rounds 3",
		Seed: 7, Rounds: 3, Orders: 2, InFlight: 32, Machine: "2 cores <test>", Payment: "simulator",
		Servers: map[string]string{"temporal": "Temporal on sqlite", "mongodb": "MongoDB 8", "rabbitmq": "RabbitMQ 4"},
		Verdict: "nothing lost", Notes: []string{"a note"},
		Scenarios: []report.Scenario{
			{Name: "floor", Title: "empty workflow", Unit: "orders", Rounds: rounds(100, 50, 80)},
			{Name: "naive", Title: "naive saga", Unit: "orders", Rounds: rounds(20, 11, 15)},
			{Name: "naive-6", Title: "shorter naive saga", Unit: "orders", Rounds: rounds(30, 15, 25)},
			{Name: "rest", Title: "by REST & one process", Unit: "orders", Payment: "in the task", Rounds: rounds(60, 30, 40), Cost: &report.Cost{
				HistoryEvents: 12, Commands: map[string]float64{"find": 1, "getMore": 0.25, "insert": 2.5, "update": 0.5, "findAndModify": 0.5},
			}},
			{Name: "half", Title: "at half the maximum", Unit: "orders", Paced: true, Rounds: rounds(30, 30, 30)},
			{
				Name: "cancelled", Title: "cancelled", Unit: "orders", Part: true, Payment: "by activities", Undone: "from the request to order.cancelled",
				Rounds: rounds(70, 70, 70),
			},
			{Name: "append", Title: "appended", Unit: "documents", Rounds: rounds(1000, 900, 1100)},
			{Name: "raw", Title: "raw", Unit: "documents", Rounds: rounds(4000, 3000, 4400)},
		},
		Aims: []report.Aim{
			{Scenario: "rest", Against: report.Floor, Want: 0.6},
			{Scenario: "rest", Against: report.Naive, Want: 3},
			{Scenario: "rest", Want: 12},
			{Scenario: "half", Against: "rest"},
			{Scenario: "unknown", Against: report.Floor, Want: 0.5},
			{Scenario: "floor", Want: 4},
		},
	}
	r.Finish()
	return r
}

func TestRatiosAreComputedPerRound(t *testing.T) {
	r := example()
	require.Equal(t, stats.Spread{Median: 1, Min: 1, Max: 1, Rounds: 3}, r.Scenarios[0].ToFloor)
	require.Equal(t, stats.Spread{Median: 0.6, Min: 0.5, Max: 0.6, Rounds: 3}, r.Scenarios[3].ToFloor)
	require.Equal(t, 3, r.Scenarios[3].ToNaive.Rounds)
	require.Equal(t, stats.Spread{Median: 2, Min: 1.6, Max: 2, Rounds: 3}, r.Scenarios[3].ToNaive6)
	require.Zero(t, r.Scenarios[4].ToFloor.Rounds, "a given rate is no maximum")
	require.Zero(t, r.Scenarios[5].ToFloor.Rounds, "neither is a part of an order")
	require.Zero(t, r.Scenarios[6].ToFloor.Rounds, "documents are no orders")
	require.Equal(t, stats.Spread{Median: 0.25, Min: 0.25, Max: 0.3, Rounds: 3}, r.Scenarios[6].ToRaw)
	require.Equal(t, 6, r.Scenarios[3].Latency.Samples)
	require.Equal(t, 7*time.Millisecond, r.Scenarios[3].Latency.Max)
	require.Equal(t, stats.Spread{Median: 2.5, Min: 1.5, Max: 3.5, Rounds: 3}, r.Scenarios[3].CPU["bench"])
	require.Equal(t, int64(50_000_002), r.Scenarios[3].Resident["bench"])
}

// The median decides; what was not measured is neither reached nor missed.
func TestAims(t *testing.T) {
	var verdicts []string
	for _, a := range example().Aims {
		switch {
		case a.Reached == nil:
			verdicts = append(verdicts, "nothing")
		case *a.Reached:
			verdicts = append(verdicts, "reached")
		default:
			verdicts = append(verdicts, "missed")
		}
	}
	require.Equal(t, []string{"reached", "missed", "reached", "nothing", "nothing", "nothing"}, verdicts)
	require.Equal(t, stats.Spread{Median: 12, Min: 12, Max: 12, Rounds: 1}, example().Aims[2].Measured)
	require.Equal(t, stats.Spread{Median: 0.75, Min: 0.5, Max: 1, Rounds: 3}, example().Aims[3].Measured, "a ratio without an aim is shown")

	r := example()
	r.Scenarios[3].Cost.HistoryEvents = 13
	r.Finish()
	require.False(t, *r.Aims[2].Reached, "events are to be few")
}

// A CPU bound machine would do as many orders as its processors have time for.
func TestBaselineCPUShare(t *testing.T) {
	r := example()
	r.Scenarios[3].Rounds[0].CPU = map[string]float64{"bench": 0.5, "service": 2.5}
	r.Scenarios[3].Rounds[1].CPU = map[string]float64{"service": 5}
	r.Scenarios[3].Rounds[2].CPU = nil
	r.Finish()
	require.Equal(t, stats.Spread{Median: 4, Min: 3, Max: 5, Rounds: 2}, r.Scenarios[3].CPUAll)
	require.Equal(t, stats.Spread{Median: 0.5, Min: 0.5, Max: 0.5, Rounds: 2}, r.Scenarios[3].CPUToFloor)
}

func TestReportNamesOtherLoad(t *testing.T) {
	r := example()
	require.Len(t, r.Notes, 1)
	for i := range r.Scenarios {
		for n := range r.Scenarios[i].Rounds {
			r.Scenarios[i].Rounds[n].Foreign = 0.25
		}
	}
	r.Finish()
	require.Contains(t, r.Notes[1], "others used 25 %")
}

func TestGolden(t *testing.T) {
	path := filepath.Join("testdata", "report.md")
	text, err := example().Markdown()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text, "write it anew with -update after a change that is meant")
}

func TestPlotIsXML(t *testing.T) {
	svg, err := example().SVG()
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal([]byte(svg), &struct{}{}))
	require.Contains(t, svg, "by REST &amp; one process")
	require.Contains(t, svg, "2 cores &lt;test&gt;")
	require.NotContains(t, svg, "at half the maximum", "what cannot be compared with the floor has no bar")
	svg, err = (&report.Report{}).SVG()
	require.NoError(t, err)
	require.NotContains(t, svg, "NaN")
}

func TestReportIsValidJSON(t *testing.T) {
	raw, err := json.Marshal(example())
	require.NoError(t, err)
	var back report.Report
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, example().Scenarios[3].ToFloor, back.Scenarios[3].ToFloor)
	require.NotContains(t, string(raw), "NaN")
}
