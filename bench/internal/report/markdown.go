package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/bench/internal/stats"
)

// nothing stands where nothing is known.
const nothing = "–"

// Markdown shows a report as tables.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# ordersaga benchmark, %s\n\n", r.Began.UTC().Format("2 January 2006 15:04 UTC"))
	if r.Quick {
		b.WriteString("**A quick run: it shows that everything works. Its numbers mean nothing.**\n\n")
	}
	fmt.Fprintf(&b, "| | |\n|---|---|\n| command | `%s` |\n| seed | %d |\n| rounds | %d, interleaved; %d orders a scenario and round, %d in flight |\n",
		r.Command, r.Seed, r.Rounds, r.Orders, r.InFlight)
	fmt.Fprintf(&b, "| machine | %s |\n", r.Machine)
	for _, server := range slices.Sorted(maps.Keys(r.Servers)) {
		fmt.Fprintf(&b, "| %s | %s |\n", server, r.Servers[server])
	}
	fmt.Fprintf(&b, "| payment | %s |\n", r.Payment)
	if r.Commit != "" {
		fmt.Fprintf(&b, "| commit | %s |\n", r.Commit)
	}
	fmt.Fprintf(&b, "| took | %s |\n| checked | %s |\n\n", r.Took.Round(time.Second), r.Verdict)
	r.aims(&b)
	r.speed(&b)
	r.undone(&b)
	r.documents(&b)
	r.costs(&b)
	r.processes(&b)
	r.notes(&b)
	return b.String()
}

// speed is the table of the orders.
func (r *Report) speed(b *strings.Builder) {
	b.WriteString("## Orders\n\nMedians of the rounds, with the least and the most in brackets; ratios are taken within each round. " +
		"Percentiles are over all rounds, in milliseconds.\n\n" +
		"| scenario | payment | orders/s | to the floor | to naive, 11 activities | to naive, 6 | p50 | p95 | p99 | max |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range r.Scenarios {
		if s.Unit != UnitOrders {
			continue
		}
		rate := spread(s.PerSecond, 1)
		switch {
		case s.Paced:
			rate += " (given)"
		case s.Part:
			rate += " (the last part only)"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s |\n", s.Title, cmp.Or(s.Payment, nothing), rate, spread(s.ToFloor, 2), spread(s.ToNaive, 1), spread(s.ToNaive6, 1),
			latencies(s.Latency))
	}
	b.WriteString("\n")
}

// undone is the table of how long it takes until everything is undone.
func (r *Report) undone(b *strings.Builder) {
	head := "## Until everything is undone\n\nIn milliseconds, over all rounds.\n\n" +
		"| scenario | from, to | orders | p50 | p95 | p99 | max |\n|---|---|---|---|---|---|---|\n"
	for _, s := range r.Scenarios {
		if s.Undone == "" {
			continue
		}
		b.WriteString(head)
		head = ""
		fmt.Fprintf(b, "| %s | %s | %d | %s |\n", s.Title, s.Undone, s.Latency.Samples, latencies(s.Latency))
	}
	if head == "" {
		b.WriteString("\n")
	}
}

// documents is the table of the log by itself.
func (r *Report) documents(b *strings.Builder) {
	head := "## The log by itself\n\nLatencies are of one append, and of one batch of 100.\n\n" +
		"| | documents/s | to raw | p50 | p95 | p99 | max |\n|---|---|---|---|---|---|---|\n"
	for _, s := range r.Scenarios {
		if s.Unit == UnitOrders {
			continue
		}
		b.WriteString(head)
		head = ""
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", s.Title, spread(s.PerSecond, 0), spread(s.ToRaw, 2), latencies(s.Latency))
	}
	if head == "" {
		b.WriteString("\n")
	}
}

// costs is the table of what an order costs at the servers.
func (r *Report) costs(b *strings.Builder) {
	head := "## What an order costs at the servers\n\nCounted in a round of its own that is not timed: the events of its workflow's history, and the commands that " +
		"MongoDB has executed. The updates have findAndModify among them.\n\n" +
		"| scenario | history events | MongoDB commands | finds | inserts | updates |\n|---|---|---|---|---|---|\n"
	for _, s := range r.Scenarios {
		if s.Cost == nil || s.Unit != UnitOrders {
			continue
		}
		b.WriteString(head)
		head = ""
		history := nothing
		if s.Cost.HistoryEvents > 0 {
			history = number(s.Cost.HistoryEvents, 0)
		}
		all := slices.Collect(maps.Keys(s.Cost.Commands))
		fmt.Fprintf(b, "| %s |\n", strings.Join([]string{
			s.Title, history, s.Cost.commands(all...), s.Cost.commands("find"), s.Cost.commands("insert"), s.Cost.commands("update", "findAndModify"),
		}, " | "))
	}
	if head == "" {
		b.WriteString("\n")
	}
}

// commands is how many there are of some names together.
func (c *Cost) commands(names ...string) string {
	if c.Commands == nil {
		return nothing
	}
	all := 0.0
	for _, name := range names {
		all += c.Commands[name]
	}
	return number(all, 1)
}

// processes is the table of CPU and memory.
func (r *Report) processes(b *strings.Builder) {
	names := map[string]bool{}
	for _, s := range r.Scenarios {
		for process := range s.CPU {
			names[process] = true
		}
	}
	if len(names) == 0 {
		return
	}
	columns := slices.Sorted(maps.Keys(names))
	fmt.Fprintf(b, "## CPU and memory\n\nCPU milliseconds an order (a document, for the log by itself), then the most memory in MB, by process; "+
		"`bench` drives the load and runs the floor and the naive sagas. What the floor needs of the CPU, as a share of what an order needs, is what the "+
		"ratio to the floor would be if processors were all that counts.\n\n| scenario | all together | the floor's share | %s |\n|---|---|---|%s\n",
		strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, s := range r.Scenarios {
		fmt.Fprintf(b, "| %s | %s | %s |", s.Title, spread(s.CPUAll, 1), spread(s.CPUToFloor, 2))
		for _, process := range columns {
			cell := nothing
			if used, ok := s.CPU[process]; ok {
				cell = number(used.Median, 2) + ", " + number(float64(s.Resident[process])/1e6, 0) + " MB"
			}
			fmt.Fprintf(b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

func (r *Report) notes(b *strings.Builder) {
	if len(r.Notes) == 0 {
		return
	}
	b.WriteString("## Notes\n\n")
	for _, note := range r.Notes {
		fmt.Fprintf(b, "- %s\n", note)
	}
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

func latencies(l stats.Latency) string {
	if l.Samples == 0 {
		return strings.Join([]string{nothing, nothing, nothing, nothing}, " | ")
	}
	return strings.Join([]string{number(millis(l.P50), 1), number(millis(l.P95), 1), number(millis(l.P99), 1), number(millis(l.Max), 1)}, " | ")
}

func number(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }
