//go:build !race

package matrix

// raceFlags are for tests that run tests: what they run is built as they are.
var raceFlags []string
