// Package testenv gives tests the addresses of the servers that they use. The environment comes from
// devstack; `make test` sets ORDERSAGA_REQUIRE_STACK, so that a missing server fails there. A plain `go test`
// without servers skips these tests and says so.
//
// Only tests import it.
package testenv

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Timeout is how long a test waits for a server that runs but does not respond: on a busy machine any process may stop for seconds.
const Timeout = 2 * time.Minute

// serial makes names unique within the process.
var serial atomic.Int64

// need returns the variable's value, or ends the test.
func need(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value != "" {
		return value
	}
	if os.Getenv("ORDERSAGA_REQUIRE_STACK") != "" {
		t.Fatalf("%s is not set: run the tests with `make test` or `devstack exec -- go test ./...`", name)
	}
	t.Skipf("%s is not set: this test needs servers; run it with `devstack exec -- go test ./...`", name)
	return ""
}

// MongoDB returns the URI of a server and the name of a database that no other test uses. The test drops the
// database when it is done with it.
func MongoDB(t testing.TB) (uri, database string) {
	t.Helper()
	return need(t, "MONGODB_URI"), Unique("test")
}

// AMQP returns the URL of a RabbitMQ broker. Names of what a test declares there must come from Unique.
func AMQP(t testing.TB) string { t.Helper(); return need(t, "AMQP_URL") }

// Temporal returns the address of a Temporal server.
func Temporal(t testing.TB) string { t.Helper(); return need(t, "TEMPORAL_ADDRESS") }

// OwnBroker skips a test that restarts the broker unless the broker is there for such tests alone: `make test-restart`.
func OwnBroker(t testing.TB) {
	t.Helper()
	if os.Getenv("ORDERSAGA_OWN_BROKER") == "" {
		t.Skip("this test restarts RabbitMQ: run it with `devstack exec -- make test-restart`")
	}
}

// Control returns the binary of a devstack whose components the test may stop, kill and start.
func Control(t testing.TB) string {
	t.Helper()
	need(t, "DEVSTACK_CONTROL")
	return need(t, "DEVSTACK_BIN")
}

// RabbitMQControl returns the path of rabbitmqctl for the private node that the test runs against.
func RabbitMQControl(t testing.TB) string { t.Helper(); return need(t, "DEVSTACK_RABBITMQCTL") }

// Management returns the URL of the broker's management API, with user and password.
func Management(t testing.TB) string { t.Helper(); return need(t, "RABBITMQ_MANAGEMENT_URL") }

// Unique returns a name that no other test of this or another process uses: lower-case letters, digits and _.
func Unique(prefix string) string {
	return strings.ToLower(fmt.Sprintf("%s_%s_%d_%d", prefix, time.Now().UTC().Format("150405"), os.Getpid(), serial.Add(1)))
}

// leakTimeout is how long goroutines may take to end after the last test.
const leakTimeout = 30 * time.Second

// Main runs the tests of a package and then looks for leaked goroutines, as goleak.VerifyTestMain does. That
// waits for less than half a second, and on a busy machine a goroutine may take longer to end.
func Main(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	if code == 0 {
		if err := Leaks(leakTimeout, options...); err != nil {
			fmt.Fprintf(os.Stderr, "leaked goroutines: %v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}

// Leaks returns an error if goroutines still run after the given time.
func Leaks(within time.Duration, options ...goleak.Option) error {
	deadline := time.Now().Add(within)
	for {
		if err := goleak.Find(options...); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// LazyString is formatted when a wait has failed, not when it begins: the message shows the state at that time.
type LazyString func() any

// String implements fmt.Stringer.
func (l LazyString) String() string { return fmt.Sprintf("%+v", l()) }

// WholeMatrix is the variable with which tests run every cell of their matrix, and not a sample.
const WholeMatrix = "ORDERSAGA_WHOLE_MATRIX"

// Draw is a number that draws the sample of a matrix, another one each time. ORDERSAGA_SAMPLE runs the same sample again.
func Draw(t testing.TB) int {
	t.Helper()
	n := rand.IntN(1000)
	if given := os.Getenv("ORDERSAGA_SAMPLE"); given != "" {
		var err error
		if n, err = strconv.Atoi(given); err != nil {
			t.Fatalf("ORDERSAGA_SAMPLE: %v", err)
		}
	}
	t.Logf("ORDERSAGA_SAMPLE=%d", n)
	return n
}
