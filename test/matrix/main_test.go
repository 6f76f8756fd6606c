package matrix

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Lanes by whether the gateway is called inside workflow tasks. They mostly wait: many of them share two cores.
const (
	fastLanes = 18
	slowLanes = 14
)

func TestMain(m *testing.M) {
	flag.Parse()
	// A cell runs as long as it has a lane.
	_ = flag.Set("test.parallel", "48")
	code := m.Run()
	if code == 0 {
		if err := leaks(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// leaks finds goroutines that are left. A workflow task of a killed worker notices that it is alone when it would send
// its heartbeat, in a part of its timeout.
func leaks() error {
	deadline := time.Now().Add(2 * workflowTaskTimeout)
	for {
		if err := goleak.Find(); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
