// Package e2e tests the service as users run it, on real servers, which the tests stop and kill. Run it with `make test`, or with
// `devstack exec -- go test ./test/e2e`.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// binary is the service, built once for all tests, with the race detector when the tests have it.
var binary string

// binaryVariable names a binary of the service that is built already.
const binaryVariable = "ORDERSAGA_E2E_BINARY"

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (int, error) {
	if asked, err := runParticipant(); asked {
		return 1, err
	}
	if err := contract.install(); err != nil {
		return 1, err
	}
	folder, err := os.MkdirTemp("", "ordersaga-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "ordersaga")
	if built := os.Getenv(binaryVariable); built != "" {
		binary = built
	} else if os.Getenv("MONGODB_URI") != "" {
		args := append([]string{"build", "-o", binary}, raceFlags...)
		build := exec.Command("go", append(args, "../../cmd/ordersaga")...)
		build.Stdout, build.Stderr = os.Stdout, os.Stderr
		if err := build.Run(); err != nil {
			return 1, fmt.Errorf("build the service: %w", err)
		}
	}
	code := m.Run()
	if code == 0 {
		if err := testenv.Leaks(time.Minute); err != nil {
			return 1, err
		}
	}
	return code, nil
}

// stack has the servers, the service and the clients of a test.
type stack struct {
	t        *testing.T
	ctx      context.Context
	service  *harness.Service
	client   harness.Client
	bus      *harness.Bus
	tap      *harness.Tap
	db       *mongo.Database
	temporal client.Client
	database string
	// namespace is the Temporal namespace that the test works in.
	namespace string
	// crowds counts the orders that were sent in crowds: no two orders have the same key.
	crowds int

	mu      sync.Mutex
	changed chan struct{}
}

// current returns the client of the running service, and a channel that is closed when another process replaces it.
func (s *stack) current() (harness.Client, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client, s.changed
}

// testTimeout bounds one test. It is much longer than a test takes: a slow machine must not cause a failure.
func testTimeout() time.Duration {
	if os.Getenv("ORDERSAGA_LONG") != "" {
		return 40 * time.Minute
	}
	return 20 * time.Minute
}

const (
	// patience bounds how long a test waits for something that must happen. It only prevents that a test hangs. It is longer than the delay of
	// the longest wait queue: a message that failed three times is delivered again after five minutes.
	patience = 6 * time.Minute
	// longestWait is the longest time for which a request may wait for the end of an order.
	longestWait = time.Minute
)

// sharedVariable names a folder. Processes with the same folder share the tests; each of them has its own servers.
const sharedVariable = "ORDERSAGA_E2E_SHARED"

// taken are the tests that this process runs.
var taken sync.Map

// take skips a test that another process runs: the first process that reaches a test runs it.
func take(t *testing.T) {
	t.Helper()
	folder := os.Getenv(sharedVariable)
	if folder == "" {
		return
	}
	if _, again := taken.Load(t.Name()); again {
		return
	}
	f, err := os.OpenFile(filepath.Join(folder, url.PathEscape(t.Name())), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		t.Skip("another process runs this test")
	}
	require.NoError(t, err)
	require.NoError(t, f.Close())
	taken.Store(t.Name(), true)
}

// newStack connects to the servers and creates a database for the test. Tests run one after the other, because a service works on all sagas of
// the namespace.
func newStack(t *testing.T) *stack {
	t.Helper()
	take(t)
	t.Cleanup(func() { contract.fails(t) })
	uri, database := testenv.MongoDB(t)
	amqp, address := testenv.AMQP(t), testenv.Temporal(t)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout())
	t.Cleanup(cancel)
	mongoClient, err := mongo.Connect(options.Client().ApplyURI(uri))
	require.NoError(t, err)
	s := &stack{t: t, ctx: ctx, db: mongoClient.Database(database), database: database, namespace: "default", changed: make(chan struct{})}
	t.Cleanup(func() {
		clean, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = s.db.Drop(clean)
		_ = mongoClient.Disconnect(clean)
	})
	s.temporal = s.dialTemporal(address, "default")
	t.Cleanup(s.temporal.Close)
	s.bus, err = harness.Dial(amqp)
	require.NoError(t, err)
	t.Cleanup(func() { s.bus.Close() })
	s.tap, err = s.bus.Tap("#")
	require.NoError(t, err)
	t.Cleanup(s.leaveNothing)
	return s
}

// dialTemporal connects to a namespace. By default the SDK waits only five seconds for the capabilities of the server.
func (s *stack) dialTemporal(address, namespace string) client.Client {
	s.t.Helper()
	c, err := client.DialContext(s.ctx, client.Options{
		HostPort: address, Namespace: namespace, Logger: tlog.NewStructuredLogger(discard),
		ConnectionOptions: client.ConnectionOptions{GetSystemInfoTimeout: patience},
	})
	require.NoError(s.t, err)
	return c
}

// leaveNothing removes the sagas of a failed test: their log is deleted, and they would disturb the next test.
func (s *stack) leaveNothing() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	open, err := s.temporal.ListOpenWorkflow(ctx, &workflowservice.ListOpenWorkflowExecutionsRequest{Namespace: s.namespace, MaximumPageSize: 1000})
	if err != nil {
		s.t.Logf("list open workflows: %v", err)
		return
	}
	for _, delay := range []string{"", ".wait.5s", ".wait.30s", ".wait.5m"} {
		s.bus.Purge(harness.Inbox + delay)
	}
	s.bus.Purge(harness.DeadQueue)
	for _, w := range open.GetExecutions() {
		_ = s.temporal.TerminateWorkflow(ctx, w.GetExecution().GetWorkflowId(), w.GetExecution().GetRunId(), "the test has ended")
	}
}

// start runs the service and ends it with the test.
func (s *stack) start(env ...string) *harness.Service {
	s.t.Helper()
	return s.startWith(harness.Options{}, env...)
}

// startWith is start with options.
func (s *stack) startWith(o harness.Options, env ...string) *harness.Service {
	s.t.Helper()
	// Tests share Temporal, and reconcile would report the sagas of other tests.
	o.Binary, o.Env = binary, append([]string{"MONGODB_DATABASE=" + s.database, "LOG_LEVEL=info", "LOG_FORMAT=json", "RECONCILE_EVERY=0"}, env...)
	service, err := harness.Start(s.ctx, o)
	require.NoError(s.t, err)
	s.mu.Lock()
	s.service, s.client = service, harness.Client{URL: service.URL, HTTP: o.HTTP, Patient: true}
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	var once sync.Once
	s.t.Cleanup(func() {
		once.Do(func() {
			service.Kill()
			if s.t.Failed() {
				s.t.Logf("the end of the service's log:\n%s", interesting(service.Log()))
			}
		})
	})
	return service
}

// interesting leaves out successful requests: a thousand of them would hide the failure.
func interesting(log string) string {
	lines := strings.Split(log, "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool {
		return strings.Contains(l, `"msg":"request"`) && strings.Contains(l, `"status":2`)
	})
	return strings.Join(lines, "\n")
}

// sku makes a SKU with stock.
func (s *stack) sku(quantity int64) string {
	s.t.Helper()
	sku := "sku-" + uuid.NewString()[:8]
	if quantity > 0 {
		require.NoError(s.t, s.client.Receive(s.ctx, sku, quantity))
	}
	return sku
}

// place places an order and waits for its end.
func (s *stack) place(o harness.Order) harness.Resource {
	s.t.Helper()
	placed, err := s.client.Place(s.ctx, o, longestWait)
	require.NoError(s.t, err)
	return placed
}

// audit checks the raw documents and expects that every order has ended.
func (s *stack) audit() *audit.Report {
	s.t.Helper()
	report, err := audit.Run(s.ctx, s.db)
	require.NoError(s.t, err)
	require.Empty(s.t, report.Violations)
	require.Empty(s.t, report.Open(), "every order has ended")
	return report
}

// published waits until every event of an order was on the bus, and compares their IDs and their order with the log.
func (s *stack) published(report *audit.Report, orderID string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	stream := report.Streams["order-"+orderID]
	messages, err := s.tap.Await(ctx, orderID, func(m []harness.Message) bool { return len(harness.Outbound(m)) >= len(stream) })
	require.NoError(s.t, err)
	var ids, got []string
	for _, d := range stream {
		ids = append(ids, d.EventID)
	}
	for _, m := range harness.Outbound(messages) {
		got = append(got, m.ID)
	}
	require.Equal(s.t, ids, got, "the bus got the same events by id, in order")
}

// devstack stops, starts or kills a component.
func (s *stack) devstack(verb, component string) {
	s.t.Helper()
	out, err := exec.CommandContext(s.ctx, testenv.Control(s.t), verb, component).CombinedOutput()
	require.NoError(s.t, err, "%s", out)
}
