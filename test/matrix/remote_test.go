package matrix

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// remoteFaults are what happens while an external service is called inside a workflow task: the process ends in an orderly way or at once, the answer is
// lost, and signals, cancellations and the end of the run arrive meanwhile.
var remoteFaults = []faultKind{faultStop, faultKill, faultPause, faultTimeout, faultCancel, faultSignal, faultKillCancel, faultTerminateCancel}

// remoteCells are the cells of calls of an external service inside workflow tasks: each fault at each point of each call, on one of its journeys.
func remoteCells() (list []cell) {
	seen := map[string]bool{}
	all, _ := cells()
	for _, c := range all {
		if !c.fast || c.mode != inline || !slices.Contains(gatewayCalls, c.stage.effect) {
			continue
		}
		// A process that stops is a fault of these cells only.
		for _, kind := range []faultKind{c.faultKind, faultStop} {
			if c.faultKind = kind; !slices.Contains(remoteFaults, kind) || seen[c.spot()] {
				continue
			}
			seen[c.spot()] = true
			list = append(list, c)
		}
	}
	return list
}

// TestInlineRemoteCalls runs cells whose gateway is an external service that is called inside workflow tasks. The same points as regular activities are those
// of TestMatrix with a slow gateway.
func TestInlineRemoteCalls(t *testing.T) {
	environments := newInlinePool(t, 0, slowEnvironments, timeout, 1000)
	list := remoteCells()
	for _, effect := range []op{opAuthorize, opCapture, opVoid} {
		assert.True(t, slices.ContainsFunc(list, func(c cell) bool { return c.stage.effect == effect && c.faultKind == faultStop }), effect)
	}
	t.Logf("%d cells", len(list))
	for _, c := range list {
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			l := <-environments.slow
			defer func() { environments.slow <- l }()
			c.run(t, l)
		})
	}
}
