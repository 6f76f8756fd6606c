package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestAuditNamesDamage signs real orders, damages them in the database, and expects that the verification names the damage.
func TestAuditNamesDamage(t *testing.T) {
	s := newStack(t)
	dir := t.TempDir()
	key := filepath.Join(dir, "audit.key")
	public := strings.TrimSpace(s.printed("audit", "key", "new", "shop.example.com/orders", "--out", key))
	t.Setenv("AUDIT_SIGNING_KEY_FILE", key)
	s.start("AUDIT_SIGNING_KEY_FILE="+key, "AUDIT_CHECKPOINT_EVERY=0")
	sku := s.sku(10)
	order := harness.Order{CustomerID: "c", Currency: "EUR", Lines: []harness.Line{{SKU: sku, Quantity: 1, UnitAmount: 100}}}
	order.Payment.Method = "tok_visa"
	first := s.place(order)
	response, err := s.client.Do(s.ctx, http.MethodGet, "/v1/orders/"+first.ID+"/audit", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, response.Status)
	require.Contains(t, string(response.Body), "not_checkpointed")

	require.Contains(t, s.printed("audit", "checkpoint"), "checkpoint 1 is signed")
	second := s.place(order)
	require.Contains(t, s.printed("audit", "checkpoint"), "checkpoint 2 is signed")
	response, err = s.client.Do(s.ctx, http.MethodGet, "/v1/orders/"+first.ID+"/audit", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.Status)
	require.Contains(t, string(response.Body), `"verified":true`)
	response, err = s.client.Do(s.ctx, http.MethodGet, "/v1/audit/checkpoints/2", nil)
	require.NoError(t, err)
	require.Contains(t, string(response.Body), "ordersaga checkpoint 2 ")
	require.Contains(t, s.printed("audit", "verify"), "0 damages")

	proof := filepath.Join(dir, "proof.json")
	require.NoError(t, os.WriteFile(proof, []byte(s.printed("audit", "prove", second.ID)), 0o600))
	require.Contains(t, s.printed("audit", "verify", "--proof", proof, "--key", public), "0 damages")
	export := filepath.Join(dir, "export")
	s.printed("audit", "export", export)
	require.Contains(t, s.printed("audit", "verify", "--export", export, "--key", public), "0 damages")
	s.audit()

	events := s.db.Collection("events")
	_, err = events.UpdateOne(s.ctx, bson.D{{Key: "stream", Value: "order-" + first.ID}, {Key: "version", Value: 3}}, bson.D{{Key: "$set", Value: bson.D{{Key: "subject", Value: "x"}}}})
	require.NoError(t, err)
	_, err = events.DeleteMany(s.ctx, bson.D{{Key: "stream", Value: "order-" + second.ID}, {Key: "version", Value: bson.D{{Key: "$gt", Value: 5}}}})
	require.NoError(t, err)
	_, err = events.DeleteMany(s.ctx, bson.D{{Key: "stream", Value: "sku-" + sku}})
	require.NoError(t, err)
	out, err := s.cli("audit", "verify")
	require.Error(t, err)
	for _, damage := range []string{"changed      order-" + first.ID + "@3", "truncated    order-" + second.ID + "@6", "stream gone  sku-" + sku + "@1", "3 damages"} {
		require.Contains(t, out, damage)
	}
}
