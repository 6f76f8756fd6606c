package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/ordersaga/ordersaga/internal/notify/notifytest"
	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// TestUpgradeWithSagasInFlight: an older binary opens sagas of every flow and brings them into every state in which they wait. The replay check
// says that they continue. Then both binaries run on the same servers, and finally only this one: every saga ends as without an upgrade.
func TestUpgradeWithSagasInFlight(t *testing.T) {
	old := olderBinary(t)
	s := newMailed(t)
	u := &openSagas{upgradeRecorder: &upgradeRecorder{mailed: s}}
	s.server.Answer(notifytest.Script{"mail": "451 4.3.0 later"})
	u.env = append(slices.Clone(s.env), earlyAttention, "RESERVE_DEADLINE=1h", "SIMULATOR_OUTAGE=20s", "TEMPORAL_NAMESPACE="+s.registerNamespace())

	s.with(old, func() {
		u.overdue()
		s.start(u.env...)
		u.waiting()
		u.shortage()
		u.immediate()
		u.short()
		require.NoError(t, s.service.Stop(patience))
		u.customers()
	})
	flows := u.open()
	for _, flow := range []string{"OrderSaga", "LateSaga", "CustomerSaga", "NoticeSaga", "ShortageSaga"} {
		require.Positive(t, flows[flow], "%v", flows)
	}
	u.gate()

	var before *harness.Service
	s.with(old, func() { before = s.start(u.env...) })
	s.start(u.env...)
	u.mixed()
	require.NoError(t, before.Stop(patience))

	for _, a := range u.actors {
		a.limit, a.arrived = len(a.Then), false
	}
	s.server.Answer(nil)
	s.act(u.actors)
	u.ended()
}

// openSagas are the sagas of the test.
type openSagas struct{ *upgradeRecorder }

// overdue opens orders whose deadlines expire during the upgrade.
func (u *openSagas) overdue() {
	u.start(append(slices.Clone(u.env), "PAYMENT_PENDING_DEADLINE=30s", "SHIPMENT_DEADLINE=30s")...)
	for _, p := range upgradePaths {
		if p.name == "never paid" || p.name == "never dispatched" {
			a := u.cast(p, "in-flight", 0)
			_, err := u.client.AwaitStatus(u.ctx, a.ID, "awaiting_payment", "awaiting_shipment")
			require.NoError(u.t, err)
			u.actors = append(u.actors, a)
		}
	}
	require.NoError(u.t, u.service.Stop(patience))
}

// waiting opens orders in every state in which an order of their path waits.
func (u *openSagas) waiting() {
	var actors []*actor
	for _, p := range upgradePaths {
		for stop := range p.script {
			if p.overdue == "" {
				actors = append(actors, u.cast(p, fmt.Sprintf("in-flight-%d", stop), stop))
			}
		}
	}
	u.act(actors)
	u.actors = append(u.actors, actors...)
}

// immediate opens an immediate order whose gateway does not answer.
func (u *openSagas) immediate() {
	a := u.cast(upgradePath{name: "gateway away", method: "tok_unavailable", status: "completed"}, "in-flight", 0)
	_, err := u.client.AwaitStatus(u.ctx, a.ID, "reserved", "completed")
	require.NoError(u.t, err)
	u.actors = append(u.actors, a)
}

// short counts fewer goods than an order with a stuck compensation holds: the shortage saga waits for it.
func (u *openSagas) short() {
	p := upgradePaths[slices.IndexFunc(upgradePaths, func(p upgradePath) bool { return p.name == "stuck void" })]
	p.stock = 2
	holder := u.cast(p, "in-flight-short", 1)
	u.act([]*actor{holder})
	u.actors = append(u.actors, holder)
	var none int64
	require.NoError(u.t, u.react(holder.ID, reaction{Count: &none, SKU: "sku-" + holder.ID}, 0))
	require.Eventually(u.t, func() bool { return u.open()["ShortageSaga"] > 0 }, patience, tick)
}

// customers registers customers while the mail server accepts nothing, and others while no worker runs.
func (u *openSagas) customers() {
	u.start(u.env...)
	u.registers("c-mailed", "c-mailed-1", "c-mailed@example.com", time.Now())
	u.awaitEnds([]string{"notice-welcome-c-mailed"}, "notice.not_accepted")
	require.NoError(u.t, u.service.Stop(patience))

	consumer, err := harness.Start(u.ctx, harness.Options{
		Binary: binary, Role: "consumer", Env: append([]string{"MONGODB_DATABASE=" + u.database, "LOG_FORMAT=json", "RECONCILE_EVERY=0"}, u.env...),
	})
	require.NoError(u.t, err)
	defer consumer.Kill()
	u.registers("c-registered", "c-registered-1", "c-registered@example.com", time.Now())
	require.Eventually(u.t, func() bool { return u.open()["CustomerSaga"] > 0 }, patience, tick)
	require.NoError(u.t, consumer.Stop(patience))
}

// open counts the open workflows by type.
func (u *openSagas) open() map[string]int {
	u.t.Helper()
	listed, err := u.temporal.ListOpenWorkflow(u.ctx, &workflowservice.ListOpenWorkflowExecutionsRequest{Namespace: u.namespace, MaximumPageSize: 1000})
	require.NoError(u.t, err)
	types := map[string]int{}
	for _, w := range listed.GetExecutions() {
		types[w.GetType().GetName()]++
	}
	return types
}

// gate replays all open sagas with this version, before it works on them.
func (u *openSagas) gate() {
	u.t.Helper()
	var report struct {
		Checked, OK int
		Findings    []map[string]any
	}
	require.Zero(u.t, u.replay(&report, "--from-temporal"), "%v", report.Findings)
	require.GreaterOrEqual(u.t, report.OK, len(u.actors)/2)
	require.Equal(u.t, report.Checked, report.OK)
	require.Zero(u.t, u.replay(&report, "--from-temporal", "WorkflowType = 'LateSaga'"))
	require.Positive(u.t, report.OK)
	require.Zero(u.t, u.replay(&report, "--from-temporal", "WorkflowType = 'None'"))
	require.Zero(u.t, report.Checked)
	require.Equal(u.t, 2, u.replay(&report, "--from-temporal", "Nonsense = 1"))
}

// replay runs the command of this version and returns its exit code.
func (s *stack) replay(report any, args ...string) int {
	s.t.Helper()
	cmd := exec.CommandContext(s.ctx, binary, append([]string{"replay", "--json"}, args...)...)
	cmd.Env = append(environ(), "TEMPORAL_NAMESPACE="+s.namespace, "MONGODB_URI=mongodb://127.0.0.1:1", "AMQP_URL=amqp://127.0.0.1:1")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(s.t, err)
	}
	if len(out) > 0 {
		require.NoError(s.t, json.Unmarshal(out, report), "%s", out)
	}
	return cmd.ProcessState.ExitCode()
}

// mixed runs both versions at the same time: new orders take every path.
func (u *openSagas) mixed() {
	var actors []*actor
	for _, p := range upgradePaths {
		if p.overdue == "" {
			actors = append(actors, u.cast(p, "mixed", len(p.script)))
		}
	}
	u.act(actors)
	u.actors = append(u.actors, actors...)
}

// ended checks that every saga has ended as its path says, and that no violation is found.
func (u *openSagas) ended() {
	t := u.t
	streams := []string{"customer-c-mailed", "customer-c-registered", "notice-welcome-c-mailed", "notice-welcome-c-registered"}
	u.awaitEnds(streams, "customer.onboarded", "notice.sent")
	for mail, n := range accepted(u.server) {
		require.Equal(t, 1, n, mail)
	}
	var found []string
	require.Eventually(t, func() (content bool) {
		found, content = u.reconcile("--stale", "1s")
		return content && len(u.open()) == 0
	}, patience, 10*tick, "everything holds: %v", &found)
	report, err := audit.RunAll(u.ctx, u.db)
	require.NoError(t, err)
	require.Empty(t, report.Violations)
	require.Empty(t, report.Open())
	require.Empty(t, report.Late)
	require.Empty(t, report.Notices)
	for _, a := range u.actors {
		stream := report.Streams["order-"+a.ID]
		if a.adopted(stream) {
			a.Status, a.Reason = "completed", ""
		}
		last := stream[len(stream)-1]
		require.Equal(t, "order."+a.Status, last.Type, a.ID)
		require.Equal(t, a.Reason, field(last, "reason"), a.ID)
		require.Equal(t, a.Late, lateTypes(report.Streams["late-"+a.ID]), a.ID)
		u.published(report, a.ID)
	}
	require.NotContains(t, strings.ToLower(u.service.Log()), "nondeterminis")
}
