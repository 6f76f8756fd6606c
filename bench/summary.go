package main

import (
	"fmt"
	"os"
	"time"

	"github.com/ordersaga/ordersaga/bench/internal/report"
)

// report puts the results together.
func (r *runner) report(began time.Time, versions map[string]string) *report.Report {
	result := &report.Report{
		Run: r.stack.Run, Began: began, Took: time.Since(began), Command: r.o.String(), Quick: r.o.quick, Seed: r.o.seed, Rounds: r.o.rounds,
		Orders: r.o.orders, InFlight: r.o.inFlight, Commit: report.Commit(), Machine: report.Machine(r.alone), Servers: versions, Payment: gateway(), Aims: report.Aims(),
		Verdict: fmt.Sprintf("%d orders, each by the audit over the raw documents, those of the service by `ordersaga reconcile` too: "+
			"none is lost, doubled, or ended as it must not", r.placed),
		Notes: append(r.notes,
			"Closed loop but for the scenario at half of the maximum: what a stalled service keeps its clients from sending is not in "+
				"their percentiles. At half of the maximum orders come by a timetable, and a latency counts from when the order was due.",
			"A rate ends when the bus has told the last order's end, so that nothing is left to publish; a latency over REST ends with the answer.",
			"The floor is seen to end when the server answers the worker's completion; no client asks the server for it.",
		),
	}
	for _, s := range r.chosen {
		result.Scenarios = append(result.Scenarios, *r.results[s.name])
	}
	if r.o.profile != "" {
		result.Notes = append(result.Notes, "Round 1 was profiled: its rates are a little lower for it.")
	}
	result.Finish()
	return result
}

// gateway is how orders are paid.
func gateway() string {
	if named := otherGateway(); named != "" {
		return named + " for ordersaga, the simulator for the naive sagas"
	}
	return "simulator, whose books are in the event log"
}

// otherGateway is the gateway that the environment names, when it is not the simulator.
func otherGateway() string {
	if named := os.Getenv("PAYMENT_GATEWAY"); named != "simulator" {
		return named
	}
	return ""
}

// payment is how the orders of a scenario are paid.
func payment(s scenario) string {
	switch {
	case s.side == inside && s.name != report.Naive && s.name != report.Naive6:
		return "" // no payment
	case s.side != inside && otherGateway() != "":
		return "as " + otherGateway() + " says"
	case s.side == inside || s.side == regular:
		return "regular activities"
	}
	return "in the workflow task"
}
