package matrix

import (
	"flag"
	"testing"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

// Lanes by whether the gateway is called inside workflow tasks. They mostly wait: many of them share two cores. With more of them workflow
// tasks are lost when other parts of the tests run beside them.
const (
	fastLanes = 14
	slowLanes = 4
)

func TestMain(m *testing.M) {
	flag.Parse()
	// A cell runs as long as it has a lane.
	_ = flag.Set("test.parallel", "48")
	// A workflow task of a killed worker notices that it is alone when it would send its heartbeat, in a part of its timeout.
	testenv.Main(m)
}
