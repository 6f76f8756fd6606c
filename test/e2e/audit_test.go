package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.temporal.io/api/serviceerror"

	"github.com/ordersaga/ordersaga/test/harness"
)

const checkpointSchedule = "ordersaga-audit-checkpoint"

// TestAuditNamesDamage signs real orders, by the command and by the schedule in Temporal, damages them in the database, and expects that the verification
// names the damage.
func TestAuditNamesDamage(t *testing.T) {
	s := newStack(t)
	dir := t.TempDir()
	key, notes := filepath.Join(dir, "audit.key"), filepath.Join(dir, "notes")
	require.NoError(t, os.Mkdir(notes, 0o700))
	public := strings.TrimSpace(s.printed("audit", "key", "new", "shop.example.com/orders", "--out", key))
	t.Setenv("AUDIT_SIGNING_KEY_FILE", key)
	t.Setenv("AUDIT_CHECKPOINT_DIR", notes)
	s.ownNamespace("AUDIT_CHECKPOINT_EVERY=1h")
	s.pauseSchedule(checkpointSchedule)
	sku := s.sku(10)
	first := s.place(harness.NewOrder(sku, 1, "tok_visa"))
	s.settled(first.ID)
	require.Contains(t, s.get("/v1/orders/"+first.ID+"/audit", http.StatusNotFound), "not_checkpointed")
	require.Contains(t, s.get("/v1/audit/checkpoints", http.StatusOK), `"items":[]`)
	s.get("/v1/audit/checkpoints/1", http.StatusNotFound)

	require.Contains(t, s.printed("audit", "checkpoint"), "checkpoint 1 is signed")
	second := s.place(harness.NewOrder(sku, 1, "tok_visa"))
	s.settled(second.ID)
	var created struct {
		N   int64
		New bool
	}
	details := s.trigger(checkpointSchedule, &created)
	require.True(t, created.New)
	require.EqualValues(t, 2, created.N)
	require.Contains(t, details, "checkpoint 2 has ", "the Web UI shows it")
	s.awaitMessage("shop.example.com/orders", "audit.checkpoint_signed")

	for _, id := range []string{first.ID, second.ID} {
		require.Contains(t, s.get("/v1/orders/"+id+"/audit", http.StatusOK), `"verified":true`)
	}
	require.Contains(t, s.get("/v1/audit/checkpoints?limit=1", http.StatusOK), `"nextCursor":"1"`)
	require.Contains(t, s.get("/v1/audit/checkpoints?cursor=1", http.StatusOK), `"n":2`)
	note := s.get("/v1/audit/checkpoints/2", http.StatusOK)
	require.Contains(t, note, "ordersaga checkpoint 2 ")
	written, err := os.ReadFile(filepath.Join(notes, "2"))
	require.NoError(t, err)
	require.Equal(t, note, string(written))

	sound := "0 findings"
	require.Contains(t, s.printed("audit", "verify", "--checkpoint", filepath.Join(notes, "1")), sound)
	require.Contains(t, s.printed("audit", "verify", "--since", "1"), sound)
	proof := filepath.Join(dir, "proof.json")
	require.NoError(t, os.WriteFile(proof, []byte(s.printed("audit", "prove", second.ID)), 0o600))
	require.Contains(t, s.printed("audit", "verify", "--proof", proof, "--key", public), sound)
	consistency := filepath.Join(dir, "consistency.json")
	require.NoError(t, os.WriteFile(consistency, []byte(s.printed("audit", "prove", "--since", "1")), 0o600))
	require.Contains(t, s.printed("audit", "verify", "--proof", consistency, "--key", public, "--checkpoint", filepath.Join(notes, "1")), sound)
	export := filepath.Join(dir, "export")
	s.printed("audit", "export", export)
	require.Contains(t, s.printed("audit", "verify", "--export", export, "--key", public), sound)
	s.audit()

	s.damages(sku, first.ID, second.ID)
	damage := []string{"changed      order-" + first.ID + "@3", "truncated    order-" + second.ID + "@6", "stream gone  sku-" + sku + "@1", "3 findings"}
	damaged := filepath.Join(dir, "damaged")
	s.printed("audit", "export", damaged)
	for _, args := range [][]string{{"audit", "verify"}, {"audit", "verify", "--export", damaged, "--key", public}} {
		out, err := s.cli(args...)
		require.Error(t, err)
		t.Log(out)
		for _, d := range damage {
			require.Contains(t, out, d)
		}
	}
	require.Contains(t, s.get("/v1/orders/"+first.ID+"/audit", http.StatusOK), `"verified":false`)

	// Without an interval there is no schedule.
	require.NoError(t, s.service.Stop(patience))
	s.start("TEMPORAL_NAMESPACE="+s.namespace, "AUDIT_CHECKPOINT_EVERY=0")
	require.Eventually(t, func() bool {
		_, err := s.temporal.ScheduleClient().GetHandle(s.ctx, checkpointSchedule).Describe(s.ctx)
		var gone *serviceerror.NotFound
		return isA(err, &gone)
	}, patience, tick, "the service has removed its schedule")
}

// damages changes an event of an order, removes the end of another one, and a whole stream.
func (s *stack) damages(sku, changed, truncated string) {
	s.t.Helper()
	events := s.db.Collection("events")
	event := bson.D{{Key: "stream", Value: "order-" + changed}, {Key: "version", Value: 3}}
	_, err := events.UpdateOne(s.ctx, event, bson.D{{Key: "$set", Value: bson.D{{Key: "subject", Value: "x"}}}})
	require.NoError(s.t, err)
	end := bson.D{{Key: "stream", Value: "order-" + truncated}, {Key: "version", Value: bson.D{{Key: "$gt", Value: 5}}}}
	_, err = events.DeleteMany(s.ctx, end)
	require.NoError(s.t, err)
	_, err = events.DeleteMany(s.ctx, bson.D{{Key: "stream", Value: "sku-" + sku}})
	require.NoError(s.t, err)
}

// get returns the body of an answer with a status.
func (s *stack) get(path string, status int) string {
	s.t.Helper()
	response, err := s.client.Do(s.ctx, http.MethodGet, path, nil)
	require.NoError(s.t, err)
	require.Equal(s.t, status, response.Status, "%s: %s", path, response.Body)
	return string(response.Body)
}
