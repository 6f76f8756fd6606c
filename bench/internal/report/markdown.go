package report

import (
	_ "embed"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/ordersaga/ordersaga/bench/internal/stats"
)

// nothing is printed for unknown values.
const nothing = "–"

//go:embed report.md.tmpl
var page string

var markdown = template.Must(template.New("").Funcs(template.FuncMap{"spread": spread, "latencies": latencies}).Parse(page))

// Markdown shows a report as tables.
func (r *Report) Markdown() (string, error) {
	var b strings.Builder
	err := markdown.Execute(&b, r)
	return b.String(), err
}

// Of are the scenarios that count in a unit.
func (r *Report) Of(unit string) []Scenario {
	return r.scenarios(func(s Scenario) bool { return (s.Unit == UnitOrders) == (unit == UnitOrders) })
}

// Undone are the scenarios whose latencies end with everything undone.
func (r *Report) Undone() []Scenario {
	return r.scenarios(func(s Scenario) bool { return s.Undone != "" })
}

// Counted are those of orders whose cost at the servers is known.
func (r *Report) Counted() []Scenario {
	return r.scenarios(func(s Scenario) bool { return s.Cost != nil && s.Unit == UnitOrders })
}

func (r *Report) scenarios(which func(Scenario) bool) []Scenario {
	return slices.DeleteFunc(slices.Clone(r.Scenarios), func(s Scenario) bool { return !which(s) })
}

// Processes are the names of those whose CPU and memory are known.
func (r *Report) Processes() []string {
	names := map[string]bool{}
	for _, s := range r.Scenarios {
		for process := range s.CPU {
			names[process] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Process is what is known of one process.
func (s Scenario) Process(name string) string {
	used, ok := s.CPU[name]
	if !ok {
		return nothing
	}
	return number(used.Median, 2) + ", " + number(float64(s.Resident[name])/1e6, 0) + " MB"
}

// History is how many events a history has.
func (c *Cost) History() string {
	if c.HistoryEvents == 0 {
		return nothing
	}
	return number(c.HistoryEvents, 0)
}

// All is how many commands there are, Named how many of some names together.
func (c *Cost) All() string { return c.Named(slices.Collect(maps.Keys(c.Commands))...) }

// Named is how many commands there are of some names together.
func (c *Cost) Named(names ...string) string {
	if c.Commands == nil {
		return nothing
	}
	all := 0.0
	for _, name := range names {
		all += c.Commands[name]
	}
	return number(all, 1)
}

// spread is a median with its range.
func spread(s stats.Spread, digits int) string {
	switch s.Rounds {
	case 0:
		return nothing
	case 1:
		return number(s.Median, digits)
	}
	return number(s.Median, digits) + " [" + number(s.Min, digits) + "–" + number(s.Max, digits) + "]"
}

// latencies are four cells.
func latencies(l stats.Latency) string {
	if l.Samples == 0 {
		return strings.Join([]string{nothing, nothing, nothing, nothing}, " | ")
	}
	return strings.Join([]string{number(millis(l.P50), 1), number(millis(l.P95), 1), number(millis(l.P99), 1), number(millis(l.Max), 1)}, " | ")
}

func number(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }
