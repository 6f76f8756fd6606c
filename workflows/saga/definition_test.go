package saga_test

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/workflows/saga"
)

type (
	step = saga.Calls[input, output]
	call = saga.ActivityCall[input, output]
)

// input and output are what the steps of the tests' sagas take and give.
type (
	input  struct{ Step, Mode string }
	output struct{ Answer string }
)

// participant does the work of the steps.
type participant struct{}

func (participant) Work(context.Context, input) (output, error) { return output{}, nil }

func within(in input) time.Duration { return time.Minute }

// doing is a call with a deadline, must is one without.
func doing(name string) *saga.ActivityCall[input, output] {
	return saga.Activity(name, participant.Work, call{Queue: "q", Summary: "do " + name, Deadline: within})
}

func must(name string) *saga.ActivityCall[input, output] {
	return saga.Activity(name, participant.Work, call{Queue: "q", Summary: "do " + name})
}

// sound is a saga that nothing is wrong with.
func sound() []step {
	return []step{
		{Name: "pack", Do: doing("Pack"), Lookup: doing("FindPack"), Undo: must("Unpack")},
		{Name: "hire", Do: doing("Hire"), Undo: must("Dismiss")},
		{Name: "decide"},
		{Name: "send", Do: must("Send")},
	}
}
