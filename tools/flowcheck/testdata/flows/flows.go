// Package flows declares a flow whose hooks are not deterministic where a comment says so.
package flows

import (
	"context"
	"time"

	"example.com/workflows/saga"
)

type state struct{ seen map[string]int }

// Flow is the flow.
var Flow = &saga.Flow[state]{
	Own: own,
	When: func(s *state) bool {
		for range s.seen { // ranges over a map
			return true
		}
		go func() {}() // uses concurrency
		_ = time.Now() // calls time.Now
		own(s)         // calls example.com/flows.own
		return harmless(s)
	},
}

func own(s *state) { s.seen["now"] = time.Now().Second() } // own is not deterministic

func harmless(s *state) bool { return len(s.seen) > 0 }

func activity(_ context.Context, s *state) { own(s) }

func alsoAnActivity(ctx context.Context, s *state) { activity(ctx, s) }
