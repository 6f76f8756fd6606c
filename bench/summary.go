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
		Orders: r.o.orders, InFlight: r.o.inFlight, Commit: report.Commit(), Machine: report.Machine(r.alone), Servers: versions, Payment: gateway(),
		Verdict: fmt.Sprintf("%d orders, each by the audit over the raw documents, those of the service by `ordersaga reconcile` too: "+
			"none is lost, doubled, or ended as it must not", r.placed),
		Notes: append(r.notes,
			"Closed loop but for the scenario at half of the maximum: what a stalled service keeps its clients from sending is not in "+
				"their percentiles. At half of the maximum orders come by a timetable, and a latency counts from when the order was due.",
			"A rate ends when the bus has told the last order's end, so that nothing is left to publish; a latency over REST ends with the answer.",
			"The floor is seen to end when the server answers the worker's completion; nobody asks the server for it.",
		),
	}
	for _, s := range r.chosen {
		result.Scenarios = append(result.Scenarios, *r.results[s.name])
	}
	result.Finish()
	return result
}

// gateway is how orders are paid.
func gateway() string {
	named := os.Getenv("PAYMENT_GATEWAY")
	if named == "" || named == "simulator" {
		return "simulator, whose books are in the event log; ordersaga calls it inside the workflow task"
	}
	return named + " for ordersaga, the simulator for the naive sagas"
}
