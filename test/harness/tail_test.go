package harness

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheLogKeepsItsEndAndTheFirstRace: the log keeps its end and the first race, however much follows.
func TestTheLogKeepsItsEndAndTheFirstRace(t *testing.T) {
	var log tail
	write := func(from, to int) {
		for n := from; n < to; n++ {
			fmt.Fprintf(&log, "line %d\n", n)
		}
	}
	write(0, 10_000)
	require.NotContains(t, log.String(), "line 1\n")
	require.True(t, strings.HasSuffix(log.String(), "line 9999"))
	fmt.Fprint(&log, "==================\nWARNING: DATA RACE\nWrite at 0x1 by goroutine 7:\n")
	require.Equal(t, 1, strings.Count(log.String(), "DATA RACE"))
	fmt.Fprint(&log, "  main.main()\n")
	write(10_000, 20_000)
	require.True(t, strings.HasPrefix(log.String(), "WARNING: DATA RACE\nWrite at 0x1 by goroutine 7:\n  main.main()\n"))
	require.True(t, strings.HasSuffix(log.String(), "line 19999"))
	require.Less(t, len(log.String()), tailBytes+raceBytes+10)
}
