// Package report is what a run of the benchmark comes to: the results as data, and how they are shown: JSON, a Markdown
// table, a plot. It does no I/O.
package report

import (
	"fmt"
	"time"

	"github.com/ordersaga/ordersaga/bench/internal/stats"
)

// Report is a whole run.
type Report struct {
	Run     string        `json:"run"`
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"tookNanos"`
	Command string        `json:"command"`
	// Quick reports whether the run was too short for its numbers to mean anything.
	Quick    bool   `json:"quick"`
	Seed     uint64 `json:"seed"`
	Rounds   int    `json:"rounds"`
	Orders   int    `json:"ordersARound"`
	InFlight int    `json:"inFlight"`
	Commit   string `json:"commit,omitempty"`
	Machine  string `json:"machine"`
	// Servers name what ran: temporal, mongodb, rabbitmq.
	Servers map[string]string `json:"servers"`
	Payment string            `json:"payment"`
	// Verdict says what was checked about everything that was placed.
	Verdict   string     `json:"verdict"`
	Notes     []string   `json:"notes,omitempty"`
	Scenarios []Scenario `json:"scenarios"`
	Aims      []Aim      `json:"aims,omitempty"`
}

// Scenario is what was measured of one scenario.
type Scenario struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Unit is what is counted: orders, or documents.
	Unit string `json:"unit"`
	// Paced reports whether the load was given: the rate says nothing about the maximum.
	Paced bool `json:"paced,omitempty"`
	// Part reports whether only a part of the orders' lives was measured: the rate cannot be compared with that of whole ones.
	Part bool `json:"part,omitempty"`
	// Payment is how its orders are paid: in the workflow task or by regular activities; empty without payments.
	Payment string `json:"payment,omitempty"`
	// Undone says from when to when a latency goes where it ends with everything undone; empty elsewhere.
	Undone string  `json:"undone,omitempty"`
	Rounds []Round `json:"rounds"`

	PerSecond stats.Spread `json:"perSecond"`
	// Latency is over the samples of all rounds.
	Latency stats.Latency `json:"latency"`
	// P50 and P99 are those of the rounds, in milliseconds: how far they went apart.
	P50 stats.Spread `json:"p50Millis"`
	P99 stats.Spread `json:"p99Millis"`
	// ToFloor, ToNaive and ToNaive6 compare with the same round's floor and naive sagas.
	ToFloor  stats.Spread `json:"toFloor"`
	ToNaive  stats.Spread `json:"toNaive"`
	ToNaive6 stats.Spread `json:"toNaive6"`
	// ToRaw compares documents through the log with the same documents inserted raw.
	ToRaw stats.Spread `json:"toRaw,omitzero"`
	// CPUAll is the CPU time of all processes together, in milliseconds an order; CPUToFloor is the floor's share of it, which is
	// what the ratio to the floor would be if processors were all that counts. It hardly depends on who else uses the machine.
	CPUAll     stats.Spread `json:"cpuMillisAnOrderAll,omitzero"`
	CPUToFloor stats.Spread `json:"cpuToFloor,omitzero"`
	// CPU is in milliseconds an order, Resident the largest memory in bytes, by process.
	CPU      map[string]stats.Spread `json:"cpuMillisAnOrder,omitempty"`
	Resident map[string]int64        `json:"residentBytes,omitempty"`
	// Cost is what was counted in the counting round; nil when there was none.
	Cost *Cost `json:"cost,omitempty"`
}

// Round is one round of a scenario.
type Round struct {
	Round     int                `json:"round"`
	Count     int                `json:"count"`
	Elapsed   time.Duration      `json:"elapsedNanos"`
	PerSecond float64            `json:"perSecond"`
	Latency   stats.Latency      `json:"latency"`
	CPU       map[string]float64 `json:"cpuMillisAnOrder,omitempty"`
	Resident  map[string]int64   `json:"residentBytes,omitempty"`
	// Foreign is the share of the machine that others used meanwhile, 0 to 1.
	Foreign float64 `json:"foreign"`
	// Samples are the latencies themselves, for the percentiles over all rounds.
	Samples []time.Duration `json:"-"`
}

// Cost is what an order costs at the servers.
type Cost struct {
	// HistoryEvents is the median of some workflows; 0 when unknown.
	HistoryEvents float64 `json:"historyEvents,omitempty"`
	// Commands are MongoDB's, by name, an order; nil when unknown.
	Commands map[string]float64 `json:"mongodbCommands,omitempty"`
}

// Names of the scenarios that others are compared with.
const (
	Floor = "floor"
	// FloorDefaults is the floor with the defaults of the SDK.
	FloorDefaults = "floor-defaults"
	Naive         = "naive"
	Naive6        = "naive-6"
	Raw           = "raw"
)

// foreignTooMuch is the share of the machine from which on a report says that it was not alone. The kernel's work for the
// network is a part of the CPU time that belongs to no process.
const foreignTooMuch = 0.2

// Finish computes what follows from the rounds.
func (r *Report) Finish() {
	rates, work, history := map[string]map[int]float64{}, map[string]map[int]float64{}, map[string]float64{}
	var foreign []float64
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		s.finish()
		rates[s.Name], work[s.Name] = map[int]float64{}, map[int]float64{}
		if s.Cost != nil {
			history[s.Name] = s.Cost.HistoryEvents
		}
		for _, round := range s.Rounds {
			rates[s.Name][round.Round] = round.PerSecond
			if all := round.cpu(); all > 0 {
				work[s.Name][round.Round] = 1 / all
			}
			foreign = append(foreign, round.Foreign)
		}
	}
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		switch {
		case s.Paced || s.Part:
		case s.Unit == UnitOrders:
			s.ToFloor = stats.Ratios(rates[s.Name], rates[Floor])
			s.CPUToFloor = stats.Ratios(work[s.Name], work[Floor])
			s.ToNaive = stats.Ratios(rates[s.Name], rates[Naive])
			s.ToNaive6 = stats.Ratios(rates[s.Name], rates[Naive6])
		default:
			s.ToRaw = stats.Ratios(rates[s.Name], rates[Raw])
		}
	}
	for i := range r.Aims {
		r.Aims[i].measure(rates, history)
	}
	if others := stats.SpreadOf(foreign); others.Median > foreignTooMuch {
		r.Notes = append(r.Notes, fmt.Sprintf("The machine was not alone: others used %.0f %% of it (median of all turns; up to %.0f %%). "+
			"Rates and latencies are lower bounds; CPU times are valid.", 100*others.Median, 100*others.Max))
	}
}

// cpu is the CPU time of all processes together.
func (r Round) cpu() (all float64) {
	for _, used := range r.CPU {
		all += used
	}
	return all
}

// UnitOrders is the unit of what can be compared with the floor.
const UnitOrders = "orders"

func (s *Scenario) finish() {
	var rates, p50, p99, together []float64
	var samples []time.Duration
	cpu := map[string][]float64{}
	s.Resident = map[string]int64{}
	for _, r := range s.Rounds {
		rates = append(rates, r.PerSecond)
		if all := r.cpu(); all > 0 {
			together = append(together, all)
		}
		samples = append(samples, r.Samples...)
		p50, p99 = append(p50, millis(r.Latency.P50)), append(p99, millis(r.Latency.P99))
		for process, used := range r.CPU {
			cpu[process] = append(cpu[process], used)
		}
		for process, bytes := range r.Resident {
			s.Resident[process] = max(s.Resident[process], bytes)
		}
	}
	s.PerSecond, s.Latency = stats.SpreadOf(rates), stats.LatencyOf(samples)
	s.P50, s.P99 = stats.SpreadOf(p50), stats.SpreadOf(p99)
	s.CPUAll, s.CPU = stats.SpreadOf(together), map[string]stats.Spread{}
	for process, used := range cpu {
		s.CPU[process] = stats.SpreadOf(used)
	}
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
