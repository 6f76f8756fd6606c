package matrix

import (
	"flag"
	"testing"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

// Environments by whether the gateway is called inside workflow tasks. They mostly wait: many of them share two cores. With more of them workflow
// tasks are lost when other parts of the tests run at the same time.
const (
	fastEnvironments = 14
	slowEnvironments = 4
)

func TestMain(m *testing.M) {
	flag.Parse()
	// A cell runs as long as it has an environment.
	_ = flag.Set("test.parallel", "48")
	// A workflow task of a killed worker notices that it is alone when it would send its heartbeat, in a part of its timeout.
	testenv.Main(m)
}
