//go:build race

package e2e

// raceFlags are for building the service as the tests are built.
var raceFlags = []string{"-race"}
