package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/checkpoint"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// checkpoints has count signed checkpoints; the last one covers the orders of covered.
type checkpoints struct {
	log     *eventlog.Follower
	count   int64
	covered []string
	// verified is the answer about proofs.
	verified bool
}

func (c *checkpoints) summary(n int64) checkpoint.Summary {
	root := tlog.RecordHash([]byte(strconv.FormatInt(n, 10)))
	note := audit.Checkpoint{N: n, Origin: "log.example", Tree: tlog.Tree{N: n, Hash: root}, Time: at}.Text() + "\n— log.example AAAA\n"
	return checkpoint.Summary{N: n, Size: n, RootHash: root.String(), KeyID: "0123abcd", Note: note, Time: at.Add(time.Duration(n) * time.Second)}
}

func (c *checkpoints) List(_ context.Context, after int64, limit int) (list []checkpoint.Summary, err error) {
	for n := after + 1; n <= c.count && len(list) < limit; n++ {
		list = append(list, c.summary(n))
	}
	return list, nil
}

func (c *checkpoints) Get(_ context.Context, n int64) (checkpoint.Summary, error) {
	if n < 1 || n > c.count {
		return checkpoint.Summary{}, fault.New(fault.NotFound, "there is no signed checkpoint %d", n)
	}
	return c.summary(n), nil
}

func (c *checkpoints) Prove(ctx context.Context, orderID string) (audit.Proof, bool, error) {
	for i, id := range c.covered {
		if id != orderID {
			continue
		}
		records, err := c.log.Read(ctx, event.OrderStream(id), 0, 0)
		if err != nil {
			return audit.Proof{}, false, err
		}
		head := records[len(records)-1]
		leaf := audit.Leaf{Stream: head.Stream, Version: head.Version, Hash: head.Hash}
		proof, err := audit.NewProof(leaf, int64(i), tlog.RecordProof{leaf.TreeHash()}, c.summary(c.count).Note, records)
		return proof, c.verified, err
	}
	return audit.Proof{}, false, fault.New(fault.NotCheckpointed, "no checkpoint has order %s yet", orderID)
}

func newAuditFixture(t *testing.T, c *checkpoints) *guarded {
	t.Helper()
	g := newGuarded(t, func(config *api.Config) { config.Checkpoints = c })
	c.log = g.log
	for _, id := range []string{"shop-1", "shop-2"} {
		g.append(id, timeline(id)...)
	}
	return g
}

func TestOrderAudit(t *testing.T) {
	c := &checkpoints{count: 3, covered: []string{"shop-1"}, verified: true}
	g := newAuditFixture(t, c)
	key := g.key("auditor", auth.Audit)
	head, _, err := g.log.Head(t.Context(), event.OrderStream("shop-1"))
	require.NoError(t, err)
	leaf := audit.Leaf{Stream: head.Stream, Version: head.Version, Hash: head.Hash}
	for _, verified := range []bool{true, false} {
		c.verified = verified
		a := g.as(key, http.MethodGet, "/v1/orders/shop-1/audit", "")
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.JSONEq(t, fmt.Sprintf(`{"stream":"order-shop-1","head":{"version":7,"hash":%q},"leafIndex":0,"proof":[%q],"checkpoint":3,"verified":%t}`,
			head.Hash, leaf.TreeHash().String(), verified), a.body)
	}
	for id, code := range map[string]string{"shop-2": "not_checkpointed", "unknown": "not_found"} {
		a := g.as(key, http.MethodGet, "/v1/orders/"+id+"/audit", "")
		require.Equal(t, http.StatusNotFound, a.status)
		require.Equal(t, code, a.problem(t).Code, id)
	}
}

func TestListCheckpoints(t *testing.T) {
	g := newAuditFixture(t, &checkpoints{count: 3})
	key := g.key("auditor", auth.Audit)
	a := g.as(key, http.MethodGet, "/v1/audit/checkpoints?limit=2", "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Contains(t, a.body, `"n":2,"size":2,`)
	require.Contains(t, a.body, `"nextCursor":"2"`)
	a = g.as(key, http.MethodGet, "/v1/audit/checkpoints?limit=2&cursor=2", "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Contains(t, a.body, `"n":3,"size":3,`)
	require.NotContains(t, a.body, `"n":2,`)
	require.Contains(t, a.body, `"nextCursor":null`)
	for _, query := range []string{"limit=0", "limit=x", "cursor=-1", "cursor=x", "after=1"} {
		a := g.as(key, http.MethodGet, "/v1/audit/checkpoints?"+query, "")
		require.Equal(t, http.StatusUnprocessableEntity, a.status, query)
	}
}

func TestGetCheckpoint(t *testing.T) {
	c := &checkpoints{count: 3}
	g := newAuditFixture(t, c)
	key := g.key("auditor", auth.Audit)
	a := g.as(key, http.MethodGet, "/v1/audit/checkpoints/3", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, c.summary(3).Note, a.body)
	require.True(t, strings.HasPrefix(a.header.Get("Content-Type"), "text/plain"))
	for _, n := range []string{"0", "-1", "4", "01", "+1", "1.0", "x", "9223372036854775807", "9223372036854775808"} {
		a := g.as(key, http.MethodGet, "/v1/audit/checkpoints/"+n, "")
		require.Equal(t, http.StatusNotFound, a.status, n)
		require.Equal(t, "not_found", a.problem(t).Code, n)
	}
}

// TestAuditNeedsItsScope: every other scope together is refused. Without checkpoints, the routes answer as before the first one.
func TestAuditNeedsItsScope(t *testing.T) {
	var others []auth.Scope
	for _, scope := range auth.Scopes {
		if scope != auth.Audit {
			others = append(others, scope)
		}
	}
	g := newAuditFixture(t, &checkpoints{count: 3, covered: []string{"shop-1"}})
	key := g.key("shop", others...)
	none := newGuarded(t)
	none.append("shop-1", timeline("shop-1")...)
	auditor := none.key("auditor", auth.Audit)
	for path, status := range map[string]int{
		"/v1/orders/shop-1/audit": http.StatusNotFound, "/v1/audit/checkpoints": http.StatusOK, "/v1/audit/checkpoints/1": http.StatusNotFound,
	} {
		require.Equal(t, http.StatusForbidden, g.as(key, http.MethodGet, path, "").status, path)
		require.Equal(t, http.StatusUnauthorized, g.do(http.MethodGet, path, "").status, path)
		require.Equal(t, status, none.as(auditor, http.MethodGet, path, "").status, path)
	}
}
