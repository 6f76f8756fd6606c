package e2e

import (
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/client"
)

// TestCommandsOverREST: the command line places, shows, watches and resolves over REST. It gets no address of a server but that of the API.
func TestCommandsOverREST(t *testing.T) {
	s := newStack(t)
	service := s.start("API_AUTH=keys", "ATTENTION_AFTER=1s")
	key := strings.TrimSpace(printed(t, append(environ(), "MONGODB_DATABASE="+s.database), "keys", "create", "--name", "cli", "--scopes",
		"orders:read,orders:write,sagas:write,stock:read,stock:write,operate"))
	s.client.Token = key
	nowhere := []string{"MONGODB_URI=mongodb://127.0.0.1:1", "AMQP_URL=amqp://127.0.0.1:1", "TEMPORAL_ADDRESS=127.0.0.1:1", "ORDERSAGA_URL=" + service.URL}
	run := func(args ...string) (string, int) {
		t.Helper()
		out, err := command(t, append(nowhere, "ORDERSAGA_API_KEY="+key), args...)
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return out, exit.ExitCode()
		}
		require.NoError(t, err)
		return out, 0
	}
	done := func(args ...string) string {
		t.Helper()
		out, code := run(args...)
		require.Zero(t, code, out)
		return out
	}

	require.Contains(t, done("stock", "receive", "tea", "10"), "tea  10       0         10")
	place := []string{"place", "--id", "cli-1", "--customer", "c-1", "--currency", "EUR", "--line", "tea:2:450", "--payment", "tok_visa", "--wait", "10m", "--json"}
	var placed client.Order
	require.NoError(t, json.Unmarshal([]byte(done(place...)), &placed))
	require.Equal(t, []any{"cli-1", "completed", int64(900)}, []any{placed.ID, placed.Status, placed.TotalAmount})
	require.Contains(t, done("get", "cli-1"), "7  ")
	require.NotContains(t, done("get", "cli-1", "--until", "4"), "payment.captured")
	require.Contains(t, done("get", "cli-1", "--until", "4", "--json"), `"status": "settling"`)
	require.Contains(t, done("sagas", "order", "cli-1"), "✓ capture")
	require.Contains(t, done("watch", "cli-1"), "order.completed")
	require.Contains(t, done("stock", "tea"), "tea  8 ")

	out, code := run(append(slices.Clone(place), "--id", "cli-2", "--payment", "tok_declined")...)
	require.Equal(t, 7, code, out)
	require.Contains(t, out, "payment_declined")
	out, code = run("cancel", "cli-1", "--reason", "too late")
	require.Equal(t, 4, code, out)
	require.Contains(t, out, "next: ordersaga watch")
	out, code = run("get", "unknown")
	require.Equal(t, 3, code, out)
	out, code = run("place", "--data", `{"customerId": "c-1", "colour": "red"}`)
	require.Equal(t, 2, code, out)
	_, err := command(t, append(nowhere, "ORDERSAGA_API_KEY=osk_wrong"), "list")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 5, exit.ExitCode())

	// Attention, and dead letters.
	stuck, code := run(append(slices.Clone(place), "--wait", "5s", "--id", "cli-3", "--payment", "tok_capture_stuck")...)
	require.Equal(t, 7, code, stuck)
	_, err = s.client.AwaitStuck(s.ctx, "cli-3", "capture")
	require.NoError(t, err)
	require.Contains(t, done("attention"), "cli-3")
	require.Contains(t, done("sagas", "--needs-attention"), "cli-3")
	require.Contains(t, done("resolve", "cli-3", "--action", "substitute", "--reference", "transfer 4711"), "substitute accepted")
	_, err = s.client.AwaitStatus(s.ctx, "cli-3", "completed")
	require.NoError(t, err)
	require.Contains(t, done("list", "--status", "completed", "--limit", "1"), "cli-3")

	id, err := s.bus.Publish(s.ctx, "stock.received", "tea", map[string]any{"sku": "tea", "quantity": 0})
	require.NoError(t, err)
	letter := s.dead(id)
	require.Contains(t, done("dead-letters", "list"), letter.ID)
	require.Contains(t, done("dead-letters", "show", letter.ID), "/data/quantity")
	require.Contains(t, done("dead-letters", "replay", letter.ID, "--dry-run"), "would")
	require.Contains(t, done("dead-letters", "discard", letter.ID, "--note", "not needed"), "discarded")
	out, code = run("dead-letters", "replay", letter.ID)
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "refused")
	s.audit()
	service.Kill()
	out, code = run("list")
	require.Equal(t, 6, code, out)
	require.Contains(t, out, "ORDERSAGA_URL")
}
