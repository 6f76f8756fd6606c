package mongo

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/checkpoint"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/deadletter/deadlettertest"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/mongo/mongofake"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// actionsOf are the privilege actions that the server checks for a command.
var actionsOf = map[string]string{
	"find": "find", "aggregate": "find", "insert": "insert", "update": "update", "delete": "remove", "createIndexes": "createIndex",
}

// recorder answers commands as a database without documents does, but for leaves of a checkpoint, and records the actions that they need, by collection.
type recorder struct {
	mu      sync.Mutex
	actions map[string][]string
	unknown []string
}

func (r *recorder) handle(c mongofake.Command) bson.D {
	r.mu.Lock()
	defer r.mu.Unlock()
	collection, _ := c.Body.Lookup(c.Name).StringValueOK()
	action, known := actionsOf[c.Name]
	if !known {
		r.unknown = append(r.unknown, c.Name)
	}
	needed := []string{action}
	for _, statement := range c.Documents {
		if upsert, ok := statement.Lookup("upsert").BooleanOK(); c.Name == "update" && ok && upsert {
			needed = append(needed, "insert")
		}
	}
	for _, a := range needed {
		if !slices.Contains(r.actions[collection], a) {
			r.actions[collection] = append(r.actions[collection], a)
		}
	}
	if _, err := c.Body.LookupErr("projection"); action == "find" && collection == "audit_leaves" && err == nil {
		return mongofake.Found("fake."+collection, byID(chunkID(1, "aa", 0)), byID(chunkID(1, "bb", 0)))
	}
	if action == "find" {
		return mongofake.Found("fake." + collection)
	}
	return bson.D{{Key: "n", Value: len(c.Documents)}, {Key: "nModified", Value: 0}}
}

// TestRoleGrantsWhatTheStoresUse calls what writes and reads each collection, and compares the actions that the commands need with the role file.
func TestRoleGrantsWhatTheStoresUse(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("..", "..", "deploy", "mongo", "role.js"))
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(file), "const collections = ")
	object, _, _ := strings.Cut(after, ";\n")
	var granted map[string][]string
	require.NoError(t, json.Unmarshal([]byte(object), &granted))

	r := &recorder{actions: map[string][]string{}}
	db := fake(t, r.handle)
	useLog(t, db)
	useLists(t, db)
	useLetters(t, db)
	useAudit(t, db)

	require.Empty(t, r.unknown, "commands without an action")
	for collection := range r.actions {
		slices.Sort(r.actions[collection])
	}
	require.Equal(t, granted, r.actions, "the role grants what is not used, or not what is")
}

func useLog(t *testing.T, db *DB) {
	t.Helper()
	ctx, log := t.Context(), open(t, db)
	require.NoError(t, Setup(ctx, log.RecordedIndexes()))
	_, err := log.Read(ctx, "order-1", 0, 0)
	require.NoError(t, err)
	_, _, err = log.Find(ctx, "order-1", "accepted")
	require.NoError(t, err)
	_, err = log.HeadsSince(ctx, time.Time{})
	require.NoError(t, err)
	_, err = log.Heads(ctx, []string{"order-1", "order-2"})
	require.NoError(t, err)
	for _, err := range log.Streams(ctx, "", "") {
		require.NoError(t, err)
	}
	for _, err := range log.Walk(ctx, eventlog.Selection{}) {
		require.NoError(t, err)
	}
	for _, err := range log.Stored(ctx, eventlog.Selection{}) {
		require.NoError(t, err)
	}
	_, _, err = log.Append(ctx, "order-1", event.Head{}, entries("accepted"))
	require.NoError(t, err)

	registry, keys := NewSKUs(db), NewAPIKeys(db)
	require.NoError(t, registry.Add(ctx, "A-1"))
	_, err = registry.List(ctx, "", 10)
	require.NoError(t, err)
	_, err = keys.Insert(ctx, auth.Record{Name: "shop", Secret: 1})
	require.NoError(t, err)
	_, err = keys.All(ctx)
	require.NoError(t, err)
}

func useLists(t *testing.T, db *DB) {
	t.Helper()
	ctx := t.Context()
	for _, l := range []*List{NewOrders(db), NewSagas(db)} {
		require.NoError(t, Setup(ctx, l.Indexes()))
		require.NoError(t, l.Put(ctx, sample(1, 1, order.Statuses[0])))
		_, _, err := l.List(ctx, readmodel.Filter{Limit: 10})
		require.NoError(t, err)
		_, err = l.Tally(ctx)
		require.NoError(t, err)
		_, err = l.Counts(ctx, order.Flow.Name, []saga.Status{saga.Completed})
		require.NoError(t, err)
	}
	for _, l := range []*List{NewOrders(db), NewSagas(db), NewLate(db)} {
		for _, err := range l.All(ctx) {
			require.NoError(t, err)
		}
		_, err := l.Remove(ctx, "o-001")
		require.NoError(t, err)
	}
}

func useLetters(t *testing.T, db *DB) {
	t.Helper()
	ctx, letters, letter := t.Context(), sealedLetters(t, db), deadlettertest.Letter(1, []byte("{}"))
	_, err := letters.Insert(ctx, letter)
	require.NoError(t, err)
	_, _, err = letters.Get(ctx, letter.ID)
	require.NoError(t, err)
	_, _, err = letters.List(ctx, deadletter.Filter{Limit: 10})
	require.NoError(t, err)
	_, err = letters.OpenByReason(ctx)
	require.NoError(t, err)
	require.NoError(t, letters.Mark(ctx, letter.ID, deadletter.StatusReplayed, 2))
	require.NoError(t, letters.Delete(ctx, letter.ID))
	for _, keys := range []*Keys{NewKeys(db), NewLetterKeys(db)} {
		_, err := keys.Add(ctx, "c-1", sealed.Key{ID: "a"})
		require.NoError(t, err)
		for _, err := range keys.All(ctx) {
			require.NoError(t, err)
		}
		_, err = keys.Replace(ctx, "c-1", sealed.Key{ID: "a"}, sealed.Key{ID: "a", Master: "m"})
		require.NoError(t, err)
		require.NoError(t, keys.Erase(ctx, "c-1"))
	}
}

func useAudit(t *testing.T, db *DB) {
	t.Helper()
	ctx, a := t.Context(), NewAudit(db)
	require.NoError(t, a.SaveLeaves(ctx, 1, "aa", []audit.Leaf{{Stream: "order-1", Version: 1, Hash: "h"}}))
	_, err := a.Leaves(ctx, 1, "aa", 1)
	require.NoError(t, err)
	require.NoError(t, a.DropLeaves(ctx, map[int64]string{1: "aa"}))
	require.NoError(t, a.SaveTiles(ctx, map[string][]byte{"tile/0/000": []byte("t")}))
	_, err = a.Tiles(ctx, []string{"tile/0/000"})
	require.NoError(t, err)
	require.NoError(t, a.Cover(ctx, []checkpoint.Covered{{Stream: "order-1", Version: 1}}))
	_, err = a.Covered(ctx, []string{"order-1"})
	require.NoError(t, err)
	require.NoError(t, a.SetTime(ctx, "swept", time.Time{}))
	_, err = a.Time(ctx, "swept")
	require.NoError(t, err)
	require.NoError(t, a.SetNumber(ctx, "finished", 1))
	_, err = a.Number(ctx, "finished")
	require.NoError(t, err)
}
