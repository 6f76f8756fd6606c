// Package leaks ends the tests of a package when no goroutine is left.
package leaks

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines on their way out are waited for: they wait for other processes, and goleak alone gives up after half a
// second.
const patience = 30 * time.Second

// Main runs the tests of a package, and fails when goroutines are left.
func Main(m *testing.M) {
	code := m.Run()
	for deadline := time.Now().Add(patience); code == 0; {
		err := goleak.Find()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
