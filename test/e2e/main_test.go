// Package e2e runs the service as its users do, on real servers, and pulls plugs. Run it with `make test`, or with
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
	folder, err := os.MkdirTemp("", "ordersaga-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "ordersaga")
	if os.Getenv("MONGODB_URI") != "" {
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

// stack is what a test has around it.
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
	// crowds counts what was sent in crowds, so that no two orders have the same key.
	crowds int

	mu      sync.Mutex
	changed chan struct{}
}

// current returns the client of the running service, and a channel that is closed when another one takes over.
func (s *stack) current() (harness.Client, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client, s.changed
}

// testTimeout bounds one test. It is far from what a test takes: a machine at a tenth of its speed is no failure.
func testTimeout() time.Duration {
	if os.Getenv("ORDERSAGA_LONG") != "" {
		return 40 * time.Minute
	}
	return 20 * time.Minute
}

const (
	// patience is how long a test waits for what must come. It guards against hanging alone, and is bounded by testTimeout too.
	// It is longer than the longest wait queue: what the service could not handle three times comes again after five minutes.
	patience = 6 * time.Minute
	// longestWait is the longest that the service lets a client wait for the end of an order.
	longestWait = time.Minute
)

// sharedVariable names a folder that processes have in common which divide the tests among themselves, each with servers of its own.
const sharedVariable = "ORDERSAGA_E2E_SHARED"

// taken are the tests that this process runs.
var taken sync.Map

// take skips a test that another process runs: the first one that comes to a test takes it.
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

// newStack connects to the servers. The database is the test's own; tests run one after the other, because a
// service works on everything in the namespace.
func newStack(t *testing.T) *stack {
	t.Helper()
	take(t)
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

// dialTemporal connects to a namespace. The SDK gives a server five seconds to say what it can.
func (s *stack) dialTemporal(address, namespace string) client.Client {
	s.t.Helper()
	c, err := client.DialContext(s.ctx, client.Options{
		HostPort: address, Namespace: namespace, Logger: tlog.NewStructuredLogger(discard),
		ConnectionOptions: client.ConnectionOptions{GetSystemInfoTimeout: patience},
	})
	require.NoError(s.t, err)
	return c
}

// leaveNothing removes the sagas of a failed test, so that the next one is not disturbed by sagas whose
// log is gone.
func (s *stack) leaveNothing() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	open, err := s.temporal.ListOpenWorkflow(ctx, &workflowservice.ListOpenWorkflowExecutionsRequest{Namespace: s.namespace, MaximumPageSize: 1000})
	if err != nil {
		s.t.Logf("list what runs: %v", err)
		return
	}
	for _, delay := range []string{"", ".wait.5s", ".wait.30s", ".wait.5m"} {
		s.bus.Purge(harness.Inbox + delay)
	}
	s.bus.Purge(harness.DeadQueue)
	for _, w := range open.GetExecutions() {
		_ = s.temporal.TerminateWorkflow(ctx, w.GetExecution().GetWorkflowId(), w.GetExecution().GetRunId(), "its test is over")
	}
}

// start runs the service and makes sure that it is gone when the test ends.
func (s *stack) start(env ...string) *harness.Service {
	s.t.Helper()
	return s.startWith(harness.Options{}, env...)
}

// startWith is start with options.
func (s *stack) startWith(o harness.Options, env ...string) *harness.Service {
	s.t.Helper()
	// Tests share Temporal, and a check would take the sagas of the others for its own.
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

// interesting leaves out the requests that were answered as they should be: a thousand of them would hide the failure.
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

// published waits until the bus has got every event of an order, and compares ids and order with the log.
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
