package main

import (
	"flag"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestOptions(t *testing.T) {
	o, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, scenarioNames(), o.scenarios)
	require.Equal(t, [3]int{defaultRounds, defaultOrders, defaultInFlight}, [3]int{o.rounds, o.orders, o.inFlight})
	require.NotZero(t, o.seed)
	require.GreaterOrEqual(t, o.rounds, 5, "a spread needs rounds")

	o, err = parse([]string{"--quick", "--orders", "7", "--seed", "3", "--scenarios", "floor, rest,half"}, io.Discard)
	require.NoError(t, err)
	require.True(t, o.quick)
	require.Equal(t, [3]int{quickRounds, 7, quickInFlight}, [3]int{o.rounds, o.orders, o.inFlight})
	require.Equal(t, []string{"floor", "rest", "half"}, o.scenarios)
	require.Equal(t, "bench --rounds 1 --orders 7 --in-flight 8 --seed 3 --scenarios floor,rest,half", o.String())
}

// The command that a run prints repeats it.
func TestPrintedOptionsAreParsed(t *testing.T) {
	o, err := parse([]string{"-quick", "-scenarios", "append,raw"}, io.Discard)
	require.NoError(t, err)
	again, err := parse([]string{
		"--rounds", "1", "--orders", "16", "--in-flight", "8", "--seed", "9", "--scenarios", "append,raw",
	}, io.Discard)
	require.NoError(t, err)
	o.seed = 9
	require.Equal(t, o.String(), again.String())
}

func TestInvalidOptions(t *testing.T) {
	for arg, complaint := range map[string]string{
		"--scenarios=none":     `no scenario "none"`,
		"--scenarios=":         "names none",
		"--scenarios=half":     "needs rest",
		"--scenarios=raw":      "needs append",
		"--rounds=-1":          "above 0",
		"rest":                 "is no flag",
		"--in-flight=too-many": "invalid value",
	} {
		_, err := parse([]string{arg}, io.Discard)
		require.ErrorContains(t, err, complaint, arg)
	}
	_, err := parse([]string{"--help"}, io.Discard)
	require.ErrorIs(t, err, flag.ErrHelp)
}
