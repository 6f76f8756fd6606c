package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/ordersaga/ordersaga/bench/internal/stats"
	"github.com/ordersaga/ordersaga/test/audit"
)

// Result is a run, for programs and for the page of the documentation.
type Result struct {
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"tookNanos"`
	Command string        `json:"command"`
	Seed    uint64        `json:"seed"`
	Commit  string        `json:"commit,omitempty"`
	Machine string        `json:"machine"`

	// Orders is how many were acknowledged; Ends how they ended, Kinds how many of each kind there were.
	Orders  int            `json:"orders"`
	ByEvent int            `json:"byEvent"`
	Ends    map[string]int `json:"ends"`
	Kinds   map[string]int `json:"kinds"`
	// Requests and Published are what clients sent; Repeated requests had an unknown outcome or were not served. Duplicates are placements,
	// receipts and events that were sent twice on purpose. Redelivered events reached the subscriber again.
	Requests    int `json:"requests"`
	Repeated    int `json:"repeatedRequests"`
	Published   int `json:"published"`
	Unconfirmed int `json:"unconfirmedPublishes"`
	Duplicates  int `json:"duplicates"`
	Events      int `json:"eventsOnTheBus"`
	Redelivered int `json:"redelivered"`
	// Attention is how often an order needed attention, Interventions how many were acknowledged.
	Attention     int `json:"attention"`
	Interventions int `json:"interventions"`
	// Exits counts processes of the service that ended by themselves and were started again.
	Exits int `json:"exits"`

	// Faults are those that happened; Skipped counts planned ones whose target had not recovered from others before the end.
	Faults     []Struck   `json:"faults"`
	Skipped    int        `json:"skippedFaults"`
	Components []Recovery `json:"components"`
	// FaultFree and Faulty are ended orders a second, before the first fault and while faults happened.
	FaultFree float64 `json:"ordersASecondWithoutFaults"`
	Faulty    float64 `json:"ordersASecondWithFaults"`
	// Settled is the time from the last fault until every order had ended.
	Settled    time.Duration `json:"settledNanos"`
	NotSettled string        `json:"notSettled,omitempty"`
	Reconcile  string        `json:"reconcile"`
	Violations Violations    `json:"violations"`
	// Planted damages were written into a copy of the log to test the check; Missed are those that it did not find.
	Planted int      `json:"planted"`
	Missed  []string `json:"missed"`

	faultFreeFrom, faultFreeTo, faultsFrom, faultsTo time.Time
}

// Recovery says what happened to a component, and how long after each fault the first new order completed.
type Recovery struct {
	Component string         `json:"component"`
	Kinds     map[string]int `json:"kinds"`
	Latency   stats.Latency  `json:"recovery"`
}

// summarize fills in the numbers.
func (r *run) summarize(log *audit.Report, e evidence) {
	res, s := r.result, r.shop
	res.Orders, res.Ends, res.Kinds = len(e.placed), map[string]int{}, map[string]int{}
	for id, p := range e.placed {
		if p.byEvent {
			res.ByEvent++
		}
		res.Kinds[p.kind.name]++
		res.Ends[strings.TrimPrefix(log.Orders[id], "order.")]++
		for _, d := range log.Order(id) {
			if d.Type == "order.needs_attention" {
				res.Attention++
			}
		}
		res.Interventions += e.resolved[id]
	}
	res.Requests, res.Repeated, res.Published, res.Duplicates = s.requests.get(), s.retries.get(), s.published.get(), s.duplicates.get()
	res.Unconfirmed = s.bus.retries.get()
	_, res.Events, res.Redelivered = r.record.counts()
	for _, p := range r.injector.processes {
		res.Exits += p.exits
	}
	res.Violations.Wrong = append(res.Violations.Wrong, r.crashed()...)
	times := endsOf(log)
	res.FaultFree, res.Faulty = times.rate(res.faultFreeFrom, res.faultFreeTo), times.rate(res.faultsFrom, res.faultsTo)
	res.Faults, res.Skipped = r.injector.struck, r.injector.skipped
	slices.SortFunc(res.Faults, func(a, b Struck) int { return a.Began.Compare(b.Began) })
	for i, f := range res.Faults {
		res.Faults[i].Recovered = times.recovery(f.Healed)
	}
	for _, component := range []string{service, temporal, mongodb, rabbitmq} {
		c := Recovery{Component: component, Kinds: map[string]int{}}
		var samples []time.Duration
		for _, f := range res.Faults {
			if f.Component != component {
				continue
			}
			c.Kinds[f.Kind]++
			if f.Recovered > 0 {
				samples = append(samples, f.Recovered)
			}
		}
		c.Latency = stats.LatencyOf(samples)
		res.Components = append(res.Components, c)
	}
}

//go:embed report.md.tmpl
var tables string

var markdown = template.Must(template.New("").Funcs(template.FuncMap{
	"seconds": func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) },
	"rate":    func(f float64) string { return fmt.Sprintf("%.1f", f) },
	"kinds":   func() []string { return []string{kill, stop, pause, slow, cut, blackhole} },
}).Parse(tables))

// Markdown is the result as tables.
func (res *Result) Markdown() (string, error) {
	var b strings.Builder
	err := markdown.Execute(&b, res)
	return b.String(), err
}

// leave writes chaos.json and chaos.md, and prints the latter.
func (res *Result) leave(folder string) error {
	data, err := json.MarshalIndent(res, "", " ")
	if err != nil {
		return err
	}
	text, err := res.Markdown()
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n", text)
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "chaos.json"), append(data, '\n'), 0o644),
		os.WriteFile(filepath.Join(folder, "chaos.md"), []byte(text), 0o644),
	)
}

// verdict is an error when anything does not hold.
func (res *Result) verdict() error {
	var wrong []error
	if n := res.Violations.Count(); n > 0 {
		wrong = append(wrong, fmt.Errorf("%d things do not hold:\n%s", n, res.Violations))
	}
	if res.NotSettled != "" {
		wrong = append(wrong, errors.New(res.NotSettled))
	}
	if len(res.Missed) > 0 {
		wrong = append(wrong, fmt.Errorf("the check does not find planted damages: %s", strings.Join(res.Missed, ", ")))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("seed %d: %w", res.Seed, errors.Join(wrong...))
	}
	return nil
}
