package report

import (
	"fmt"

	"github.com/ordersaga/ordersaga/bench/internal/stats"
)

// Aim is a performance target of a scenario. The report shows whether it is reached; a run that misses one does not fail.
type Aim struct {
	Scenario string `json:"scenario"`
	// Against is the scenario whose rate it is compared with in the same round; "" for the events of a workflow's history.
	Against string `json:"against,omitempty"`
	// Want is the least that a ratio should be, or the most events; 0 shows the ratio without an aim.
	Want float64 `json:"want,omitempty"`
	// Measured is empty when one of the scenarios was not run, or nothing was counted.
	Measured stats.Spread `json:"measured,omitzero"`
	// Reached is about the median; nil without an aim.
	Reached *bool `json:"reached,omitempty"`
}

// Aims are the aims of the project.
func Aims() []Aim {
	return []Aim{
		{Scenario: "rest", Against: Floor, Want: 0.6},
		{Scenario: "rest", Against: FloorDefaults},
		{Scenario: "rest", Against: Naive, Want: 3},
		{Scenario: "rest", Against: Naive6, Want: 3},
		{Scenario: "rest", Want: 12},
		{Scenario: "regular", Against: Floor, Want: 0.4},
		{Scenario: "declined-10", Against: Floor, Want: 0.5},
		{Scenario: "hot", Against: "rest", Want: 0.8},
		{Scenario: "event", Against: "rest", Want: 0.9},
		{Scenario: "append", Against: Raw, Want: 0.8},
		{Scenario: "replicas-3", Against: "rest"},
		{Scenario: "replicas-3-hot", Against: "replicas-3"},
	}
}

// measure holds an aim against the rates of the rounds and what was counted.
func (a *Aim) measure(rates map[string]map[int]float64, history map[string]float64) {
	most := a.Against == ""
	if most {
		a.Measured = stats.Spread{}
		if events := history[a.Scenario]; events > 0 {
			a.Measured = stats.SpreadOf([]float64{events})
		}
	} else {
		a.Measured = stats.Ratios(rates[a.Scenario], rates[a.Against])
	}
	a.Reached = nil
	if a.Want > 0 && a.Measured.Rounds > 0 {
		reached := a.Measured.Median >= a.Want
		if most {
			reached = a.Measured.Median <= a.Want
		}
		a.Reached = &reached
	}
}

// What is what is compared with what.
func (a Aim) What() string {
	if a.Against == "" {
		return fmt.Sprintf("history events of a workflow, %#q", a.Scenario)
	}
	return fmt.Sprintf("%#q to %#q", a.Scenario, a.Against)
}

// Least is the value that the aim requires.
func (a Aim) Least() string {
	switch {
	case a.Want == 0:
		return nothing
	case a.Against == "":
		return "at most " + number(a.Want, 0)
	}
	return "at least " + number(a.Want, 1)
}

// Verdict says whether the aim is reached.
func (a Aim) Verdict() string {
	switch {
	case a.Want == 0:
		return nothing
	case a.Reached == nil:
		return "not measured"
	case *a.Reached:
		return "yes"
	}
	return "no"
}
