package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Components that faults hit. The processes of the service are one component.
const (
	service  = "service"
	temporal = "temporal"
	mongodb  = "mongodb"
	rabbitmq = "rabbitmq"
)

// Kinds of faults.
const (
	kill      = "kill"      // SIGKILL; it is started again when the fault is over
	stop      = "stop"      // an orderly end; it is started again when the fault is over
	pause     = "pause"     // SIGSTOP, then SIGCONT
	slow      = "slow"      // every answer of the server to the service is late
	cut       = "cut"       // connections between service and server are closed, new ones are refused
	blackhole = "blackhole" // what service and server send each other is dropped; in the end the connections are closed
)

// components are hit in turn, the service twice a turn.
var components = []string{service, temporal, service, mongodb, rabbitmq}

// kinds are what can happen to a component, with the longest duration.
var kinds = map[string][]string{
	service:  {kill, stop, pause, kill},
	temporal: {kill, cut, pause, stop, slow, blackhole},
	mongodb:  {kill, slow, pause, stop, cut, blackhole},
	rabbitmq: {kill, pause, cut, stop, slow, blackhole},
}

// longest bounds how long a fault lasts, without the time that the component takes to end and to start.
var longest = map[string]time.Duration{
	kill: 5 * time.Second, stop: 5 * time.Second, pause: 12 * time.Second, slow: 12 * time.Second, cut: 8 * time.Second, blackhole: 12 * time.Second,
}

// shortest is how long a fault lasts at least; slowest is the latency that slow adds at most.
const (
	shortest = 200 * time.Millisecond
	slowest  = 400 * time.Millisecond
)

// Fault is a fault as it is planned.
type Fault struct {
	// At is when it begins, counted from the start of the load. Faults of one target wait for each other: then it begins later.
	At time.Duration `json:"atNanos"`
	// For is how long it lasts.
	For       time.Duration `json:"forNanos"`
	Component string        `json:"component"`
	Kind      string        `json:"kind"`
	// Process is the process of the service that is hit, counted from 0.
	Process int `json:"process,omitempty"`
	// Latency is what slow adds to each answer.
	Latency time.Duration `json:"latencyNanos,omitempty"`
}

// Target is what is hit: a server, or a process of the service.
func (f Fault) Target() string {
	if f.Component == service {
		return fmt.Sprintf("%s %d", service, f.Process+1)
	}
	return f.Component
}

// String is the fault in a line of the plan.
func (f Fault) String() string {
	text := fmt.Sprintf("%7.1f s  %-9s %-10s for %.1f s", f.At.Seconds(), f.Kind, f.Target(), f.For.Seconds())
	if f.Latency > 0 {
		text += fmt.Sprintf(", %d ms more", f.Latency.Milliseconds())
	}
	return text
}

// window is the part of a run in which faults happen: before it the throughput without faults is measured, after it orders are
// still placed, so that the recovery from the last fault is seen.
func window(duration time.Duration) (from, to time.Duration) {
	return duration / 10, duration - duration/20
}

// plan says which faults happen in a run. It depends on its arguments alone. What a fault meets depends on timing, which a seed
// cannot repeat.
func plan(seed uint64, duration time.Duration, faults, processes int) []Fault {
	random := rand.New(rand.NewPCG(seed, 0x63686f73))
	from, to := window(duration)
	next := map[string][]string{}
	planned := make([]Fault, faults)
	var turn []string
	for i := range planned {
		if len(turn) == 0 {
			turn = shuffled(random, components)
		}
		f := Fault{Component: turn[0]}
		turn = turn[1:]
		if len(next[f.Component]) == 0 {
			next[f.Component] = shuffled(random, kinds[f.Component])
		}
		f.Kind, next[f.Component] = next[f.Component][0], next[f.Component][1:]
		slot := (to - from) / time.Duration(faults)
		f.At = (from + time.Duration(i)*slot + time.Duration(random.Int64N(int64(slot)+1))).Round(time.Millisecond)
		f.For = (shortest + time.Duration(random.Int64N(int64(longest[f.Kind]-shortest)))).Round(time.Millisecond)
		if f.Component == service {
			f.Process = random.IntN(processes)
		}
		if f.Kind == slow {
			f.Latency = (slowest/10 + time.Duration(random.Int64N(int64(slowest*9/10)))).Round(time.Millisecond)
		}
		planned[i] = f
	}
	return planned
}

func shuffled(random *rand.Rand, of []string) []string {
	s := append([]string(nil), of...)
	random.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
	return s
}

// listing is the plan as it is printed.
func listing(faults []Fault) string {
	var b strings.Builder
	for _, f := range faults {
		fmt.Fprintln(&b, " ", f)
	}
	return b.String()
}
