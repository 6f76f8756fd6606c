package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/harness"
)

const (
	// leastNode is the oldest version of Node.js that NestJS 12 and the tools of the TypeScript client support.
	leastNode = 20
	// npmTimeout bounds each command of npm.
	npmTimeout = 8 * time.Minute
)

// lackingNode ends a test that needs Node.js: the test fails if ORDERSAGA_REQUIRE_NODE is set, otherwise it is skipped.
func lackingNode(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("ORDERSAGA_REQUIRE_NODE") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// nestShop installs, builds and tests examples/nestjs in a folder of its own.
func nestShop(t *testing.T) string {
	t.Helper()
	folder := nodeProject(t, t.TempDir(), "../../examples/nestjs", "src")
	for _, script := range []string{"build", "test"} {
		out, err := npm(t.Context(), folder, nil, "run", script)
		require.NoError(t, err, out)
	}
	return folder
}

// nodeProject copies a project to a folder and installs its packages, from its lock file and without running any package's scripts.
func nodeProject(t *testing.T, folder, source string, folders ...string) string {
	t.Helper()
	version, err := exec.CommandContext(t.Context(), "node", "--version").Output()
	if err != nil {
		lackingNode(t, "no Node.js: "+source+" is not run")
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(version), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < leastNode {
		lackingNode(t, source+" needs Node.js 20, and this is "+strings.TrimSpace(string(version)))
	}
	if _, err := exec.LookPath("npm"); err != nil {
		lackingNode(t, "no npm: "+source+" is not run")
	}
	for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json"} {
		content, err := os.ReadFile(filepath.Join(source, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), content, 0o600))
	}
	for _, name := range folders {
		require.NoError(t, os.CopyFS(filepath.Join(folder, name), os.DirFS(filepath.Join(source, name))))
	}
	install := []string{"ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"}
	out, err := npm(t.Context(), folder, nil, install...)
	if err != nil {
		out, err = npm(t.Context(), folder, nil, install...)
	}
	if err != nil {
		lackingNode(t, "npm ci failed twice: "+out)
	}
	return folder
}

func npm(ctx context.Context, folder string, env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, npmTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", args...)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// shopOrder is an order as the NestJS shop shows it.
type shopOrder struct {
	OrderID       string   `json:"orderId"`
	EventID       string   `json:"eventId"`
	Status        string   `json:"status"`
	Reason        string   `json:"reason"`
	CorrelationID string   `json:"correlationId"`
	Handled       []string `json:"handled"`
	Duplicates    int      `json:"duplicates"`
}

// shop is a running NestJS shop.
type shop struct {
	s *stack
	*program
	http harness.Client
}

// startShop runs the shop and waits until its queue exists and it listens.
func (s *stack) startShop(folder, queue string) shop {
	s.t.Helper()
	p := startProgram(s.t, []string{"PORT=0", "SHOP_QUEUE=" + queue, "NO_COLOR=1"}, "node", filepath.Join(folder, "dist", "main.js"))
	return shop{s: s, program: p, http: harness.Client{URL: p.await(`the shop listens on (http://\S+)$`)}}
}

// place places an order with the shop.
func (n shop) place(o harness.Order, headers ...string) shopOrder {
	n.s.t.Helper()
	response, err := n.http.Do(n.s.ctx, http.MethodPost, "/orders", o, headers...)
	require.NoError(n.s.t, err)
	var placed shopOrder
	require.NoError(n.s.t, response.Into(http.StatusAccepted, &placed))
	return placed
}

// awaits waits until the state of an order in the shop satisfies a condition. It polls: the shop is another process.
func (n shop) awaits(orderID string, enough func(shopOrder) bool) shopOrder {
	n.s.t.Helper()
	var seen shopOrder
	require.Eventually(n.s.t, func() bool {
		response, err := n.http.Do(n.s.ctx, http.MethodGet, "/orders/"+orderID, nil)
		return err == nil && response.Into(http.StatusOK, &seen) == nil && enough(seen)
	}, patience, 30*time.Millisecond, "the shop knows of order %s: %+v", orderID, &seen)
	return seen
}

// requestCancellation requests a cancellation until there is a reply: a reply may be lost, or arrive after the shop's timeout.
func (n shop) requestCancellation(path string, status int, into any) {
	n.s.t.Helper()
	var last harness.Response
	require.Eventually(n.s.t, func() bool {
		var err error
		last, err = n.http.Do(n.s.ctx, http.MethodPost, path, map[string]string{"reason": "ordered twice"})
		return err == nil && last.Status != http.StatusBadGateway
	}, patience, 30*time.Millisecond, "%s", testenv.LazyString(func() any { return last.Body }))
	require.NoError(n.s.t, last.Into(status, into))
}

func ends(o shopOrder) bool { return o.Status == "completed" || o.Status == "rejected" }

// TestANestJSShopGetsSagas: the shop of examples/nestjs publishes its plain events and CamelCase classes, listens with
// @EventPattern on a queue of its own, and sends to the inbox with its ClientProxy.
func TestANestJSShopGetsSagas(t *testing.T) {
	s := newStack(t)
	folder := nestShop(t)
	s.start()
	queue := testenv.Unique("shop")
	s.deletes(queue)
	nest := s.startShop(folder, queue)
	sku := s.sku(20)

	// An order that completes, under the correlation of the request that placed it.
	placed := nest.place(ordered("nest", sku, "tok_visa"), "x-correlation-id", "checkout-42")
	require.Equal(t, "checkout-42", placed.CorrelationID)
	seen := nest.awaits(placed.OrderID, ends)
	seen.Duplicates = 0 // the service publishes unconfirmed events again
	require.Equal(t, shopOrder{
		OrderID: placed.OrderID, Status: "completed", CorrelationID: "checkout-42", Handled: []string{"order.completed"},
	}, seen)
	created := s.awaitMessage("", "order.created") // a plain event has no subject
	require.Equal(t, placed.EventID, created.ID)
	for _, m := range harness.Outbound(s.tap.Of(placed.OrderID)) {
		require.Equal(t, "checkout-42", m.CorrelationId, "%s", m.Type)
	}

	// A repeated event or request has one effect.
	s.settled(placed.OrderID) // from here on only this test publishes about it
	before := nest.awaits(placed.OrderID, ends).Duplicates
	s.republish(created)
	s.republish(s.awaitMessage(placed.OrderID, "order.completed"))
	seen = nest.awaits(placed.OrderID, func(o shopOrder) bool { return o.Duplicates > before })
	require.Equal(t, []string{"order.completed"}, seen.Handled)

	// A rejected order, and an order that the shop ships after order.confirmed.
	refused := nest.place(ordered("nest-declined", sku, "tok_declined"))
	seen = nest.awaits(refused.OrderID, ends)
	require.Equal(t, []string{"rejected", "payment_declined", refused.CorrelationID}, []string{seen.Status, seen.Reason, seen.CorrelationID})
	parcel := ordered("nest-parcel", sku, "tok_visa")
	parcel.Fulfillment = "shipment"
	nest.place(parcel)
	seen = nest.awaits(parcel.ID, ends)
	require.Equal(t, []string{"order.confirmed", "order.completed"}, seen.Handled)
	timeline, err := s.client.Timeline(s.ctx, parcel.ID)
	require.NoError(t, err)
	require.Contains(t, marshal(t, timeline), `"trackingNumber":"SW-`+parcel.ID+`"`)

	cancelled := s.cancelsByRequest(nest, sku)

	// Events that are published while the shop is down arrive when it is up again.
	nest.kill()
	missed := ordered("nest-missed", sku, "tok_visa")
	_, err = s.bus.Publish(s.ctx, "order.created", missed.ID, missed)
	require.NoError(t, err)
	_, err = s.client.AwaitStatus(s.ctx, missed.ID, "completed")
	require.NoError(t, err)
	nest = s.startShop(folder, queue)
	require.Equal(t, []string{"order.completed"}, nest.awaits(missed.ID, ends).Handled)

	s.registers(nest)
	report := s.audit()
	require.Len(t, report.Orders, 5)
	for _, o := range []string{placed.OrderID, refused.OrderID, parcel.ID, cancelled, missed.ID} {
		s.published(report, o)
	}

	checkParticipant(t, startProgram(t, []string{
		"PORT=0", "PARTICIPANT_SECRET=" + participantSecret, "PARTICIPANT_FILE=" + filepath.Join(t.TempDir(), "participant.jsonl"), "NO_COLOR=1",
	}, "node", filepath.Join(folder, "dist", "participant", "main.js")).await(`the participant listens on (http://\S+)$`))

	// The shop survives a restart of the broker: events that it publishes meanwhile wait.
	s.devstack("stop", "rabbitmq")
	s.devstack("start", "rabbitmq")
	after := nest.place(ordered("nest-after", sku, "tok_visa"))
	require.Equal(t, "completed", nest.awaits(after.OrderID, ends).Status)
	s.audit()
}

// cancelsByRequest has the shop cancel an order with send, which waits for a reply, and returns the order's ID.
func (s *stack) cancelsByRequest(nest shop, sku string) string {
	s.t.Helper()
	unpaid := ordered("nest-cancelled", sku, "tok_pending")
	nest.place(unpaid)
	_, err := s.client.AwaitStatus(s.ctx, unpaid.ID, "awaiting_payment")
	require.NoError(s.t, err)
	var reply struct{ Status, Type, Subject string }
	nest.requestCancellation("/orders/"+unpaid.ID+"/cancellation", http.StatusAccepted, &reply)
	require.Equal(s.t, []string{"accepted", "order.cancellation_requested", unpaid.ID}, []string{reply.Status, reply.Type, reply.Subject})
	seen := nest.awaits(unpaid.ID, func(o shopOrder) bool { return o.Status == "cancelled" })
	require.Equal(s.t, "requested", seen.Reason)

	var refusal struct{ Code string }
	nest.requestCancellation("/orders/%20order/cancellation", http.StatusUnprocessableEntity, &refusal)
	require.Equal(s.t, "invalid", refusal.Code)
	return unpaid.ID
}

// registers lets the shop publish UserRegistered.
func (s *stack) registers(nest shop) {
	s.t.Helper()
	if _, known := event.Find("UserRegistered"); !known {
		s.t.Log("the catalog knows no user.registered")
		return
	}
	user := map[string]string{"userId": uuid.NewString(), "email": "ada@example.com", "username": "ada"}
	response, err := nest.http.Do(s.ctx, http.MethodPost, "/users", user)
	require.NoError(s.t, err)
	require.NoError(s.t, response.Into(http.StatusAccepted, nil))
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	_, err = s.tap.Await(ctx, user["userId"], func(m []harness.Message) bool { return len(harness.Outbound(m)) > 0 })
	require.NoError(s.t, err, "it is handled")
}

// TestTheNPMLocksNameNoRegistry: packages are installed from the registry of the user.
func TestTheNPMLocksNameNoRegistry(t *testing.T) {
	for _, project := range []string{"examples/nestjs", "clients/typescript"} {
		raw, err := os.ReadFile("../../" + project + "/package-lock.json")
		require.NoError(t, err)
		var lock struct {
			Packages map[string]struct{ Resolved, Integrity string }
		}
		require.NoError(t, json.Unmarshal(raw, &lock))
		require.Greater(t, len(lock.Packages), 20)
		for name, p := range lock.Packages {
			require.Empty(t, p.Resolved, name)
			if name != "" {
				require.NotEmpty(t, p.Integrity, name)
			}
		}
	}
}
