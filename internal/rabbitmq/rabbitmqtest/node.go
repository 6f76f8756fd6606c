package rabbitmqtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

// Node controls the private RabbitMQ node of the tests.
type Node struct{ devstack, control, management string }

// NewNode returns the node of the surrounding devstack.
func NewNode(t testing.TB) *Node {
	t.Helper()
	return &Node{devstack: testenv.Control(t), control: testenv.RabbitMQControl(t), management: testenv.Management(t)}
}

// nodeTimeout bounds one command. devstack allows ten minutes for a start.
const nodeTimeout = 12 * time.Minute

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), nodeTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return strings.TrimSpace(string(out))
}

// Stop stops the node and waits until it has stopped.
func (n *Node) Stop(t testing.TB) { t.Helper(); run(t, n.devstack, "stop", "rabbitmq") }

// Start starts the node and waits until it is ready.
func (n *Node) Start(t testing.TB) { t.Helper(); run(t, n.devstack, "start", "rabbitmq") }

// Eval evaluates an Erlang expression on the node.
func (n *Node) Eval(t testing.TB, expression string) string {
	t.Helper()
	return run(t, n.control, "eval", expression)
}

// MemoryAlarm raises the memory alarm until reset is called or the test ends.
func (n *Node) MemoryAlarm(t testing.TB) (reset func()) {
	t.Helper()
	reset = func() { run(t, n.control, "set_vm_memory_high_watermark", "0.9") }
	t.Cleanup(reset)
	run(t, n.control, "set_vm_memory_high_watermark", "absolute", "1MB")
	return reset
}

// ConsumerTimeout lowers consumer_timeout of the broker, for channels that are opened later, until reset is called or the test ends.
func (n *Node) ConsumerTimeout(t testing.TB, timeout time.Duration) (reset func()) {
	t.Helper()
	reset = func() {
		n.Eval(t, "application:set_env(rabbit, consumer_timeout, 1800000), application:set_env(rabbit, channel_tick_interval, 60000).")
	}
	t.Cleanup(reset)
	n.Eval(t, fmt.Sprintf("application:set_env(rabbit, consumer_timeout, %d), application:set_env(rabbit, channel_tick_interval, %d).",
		timeout.Milliseconds(), timeout.Milliseconds()/2))
	return reset
}

// User adds a user with permissions, given as regular expressions, until the test ends.
func (n *Node) User(t testing.TB, name, password, configure, write, read string) {
	t.Helper()
	run(t, n.control, "add_user", name, password)
	t.Cleanup(func() { run(t, n.control, "delete_user", name) })
	run(t, n.control, "set_permissions", name, configure, write, read)
}

// LoseDeadLetterWorkers stops the supervisor of the dead-letter workers, a state that RabbitMQ 3.10 can get into, until restart is called
// or the test ends.
func (n *Node) LoseDeadLetterWorkers(t testing.TB) (restart func()) {
	t.Helper()
	var once sync.Once
	restart = func() { once.Do(func() { n.Stop(t); n.Start(t) }) }
	t.Cleanup(restart)
	n.Eval(t, "supervisor:terminate_child(rabbit_sup, rabbit_fifo_dlx_sup).")
	return restart
}

// CloseConnections makes the broker close the connections with a name prefix, like an operator with the management API. It returns when at
// least one is closed.
func (n *Node) CloseConnections(t testing.TB, name string) {
	t.Helper()
	var last atomic.Value // the last answer of the API
	require.Eventually(t, func() bool {
		closed, err := n.closeConnections(name)
		last.Store(fmt.Sprintf("%d closed, %v", closed, err))
		return closed > 0
	}, 2*Timeout, 100*time.Millisecond, "the broker lists its connections with a delay: %v", testenv.LazyString(last.Load))
}

// closeConnections closes the listed connections and returns how many it closed.
func (n *Node) closeConnections(name string) (closed int, err error) {
	var connections []struct {
		Name  string `json:"name"`
		Given string `json:"user_provided_name"`
	}
	raw, err := n.request(http.MethodGet, "/api/connections")
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(raw, &connections); err != nil {
		return 0, err
	}
	for _, c := range connections {
		if !strings.HasPrefix(c.Given, name) {
			continue
		}
		if _, err := n.request(http.MethodDelete, "/api/connections/"+url.PathEscape(c.Name)); err != nil {
			return closed, err
		}
		closed++
	}
	return closed, nil
}

// request sends a request to the management API. A connection that does not exist counts as closed.
func (n *Node) request(method, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(n.management, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	defer http.DefaultClient.CloseIdleConnections()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch response.StatusCode {
	case http.StatusOK, http.StatusNoContent, http.StatusNotFound:
		return body, err
	}
	return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, body)
}
