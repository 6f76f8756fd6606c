package matrix

import (
	"flag"
	"testing"

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
	goleak.VerifyTestMain(m)
}
