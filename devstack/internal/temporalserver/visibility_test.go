package temporalserver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	persistence "go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/schema/sqlite"
)

// databases are a database as Temporal makes it, and one as Run makes it.
func databases(t testing.TB) map[string]sqlplugin.DB {
	t.Helper()
	cfg := Config{Dir: t.TempDir()}
	plain, reduced := cfg.store("plain.db"), cfg.store("reduced.db")
	require.NoError(t, sqlite.SetupSchema(plain))
	require.NoError(t, makeDatabase(t.Context(), *reduced))
	reduced.PluginName = visibilityPlugin
	open := func(store *config.SQL) sqlplugin.DB {
		db, err := persistence.NewSQLDB(sqlplugin.DbKindVisibility, store, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
		require.NoError(t, err)
		return db
	}
	return map[string]sqlplugin.DB{sqliteplugin.PluginName: open(plain), visibilityPlugin: open(reduced)}
}

const namespace = "7b3f2f4c-2f3e-4b37-9d66-dcb8c4cf4a0e"

var monday = time.Date(2026, 11, 30, 8, 0, 0, 123_456_789, time.FixedZone("", 3600))

// row is what the server writes for the execution i when it starts, changes and closes.
func row(i int, version int64) *sqlplugin.VisibilityRow {
	id := fmt.Sprintf("order-%d", i)
	r := &sqlplugin.VisibilityRow{
		NamespaceID: namespace, RunID: fmt.Sprintf("%036d", i), StartTime: monday.Add(time.Duration(i) * time.Second), WorkflowID: id, WorkflowTypeName: "order",
		Status: 1, Encoding: "Proto3", TaskQueue: "orders", Memo: []byte("memo"), RootWorkflowID: id, RootRunID: id, Version: version,
		SearchAttributes: &sqlplugin.VisibilitySearchAttributes{"Keyword01": "accepted", "Keyword02": fmt.Sprintf("customer-%d", i%7), "Bool01": i%5 == 0},
	}
	if version > 1 {
		(*r.SearchAttributes)["BuildIds"] = []string{"unversioned", "unversioned:" + id}
	}
	if version > 2 {
		closed, events := r.StartTime.Add(time.Second), int64(5)
		r.CloseTime, r.Status, r.HistoryLength, r.HistorySizeBytes = &closed, 2, &events, &events
		(*r.SearchAttributes)["Keyword01"] = "completed"
	}
	return r
}

// TestVisibilityIsThatOfTheSchema writes the same rows to Temporal's own schema and to the reduced one, in any order, and compares the answers of
// queries, those of the full-text tables included.
func TestVisibilityIsThatOfTheSchema(t *testing.T) {
	ctx := t.Context()
	dbs := databases(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range 600 {
		i, version := random.IntN(40), 1+random.Int64N(5)
		action := random.IntN(8)
		texts := random.IntN(3)
		for name, db := range dbs {
			r := row(i, version)
			switch texts {
			case 1:
				(*r.SearchAttributes)["Text01"] = fmt.Sprintf("Blue boots %d", version)
			case 2:
				(*r.SearchAttributes)["KeywordList01"] = []string{"blue", fmt.Sprintf("size %d", version)}
				(*r.SearchAttributes)["Datetime01"] = r.StartTime
			}
			var err error
			switch action {
			case 0:
				_, err = db.DeleteFromVisibility(ctx, sqlplugin.VisibilityDeleteFilter{NamespaceID: namespace, RunID: r.RunID})
			case 1:
				r.ExecutionTime = r.StartTime
				_, err = db.InsertIntoVisibility(ctx, r)
			default:
				_, err = db.ReplaceIntoVisibility(ctx, r)
			}
			require.NoError(t, err, name)
		}
	}
	query := func(condition string, args ...any) sqlplugin.VisibilitySelectFilter {
		return sqlplugin.VisibilitySelectFilter{
			Query: "SELECT run_id, _version, workflow_id, workflow_type_name, start_time, execution_time, status, close_time, history_length, " +
				"memo, encoding, task_queue, search_attributes, root_workflow_id FROM executions_visibility WHERE " + condition + " ORDER BY run_id",
			QueryArgs: args,
		}
	}
	found := 0
	for _, q := range []sqlplugin.VisibilitySelectFilter{
		query("namespace_id = ?", namespace),
		query("namespace_id = ? AND Keyword02 = ?", namespace, "customer-3"),
		query("namespace_id = ? AND Bool01", namespace),
		query("namespace_id = ? AND history_length = 5", namespace),
		query("namespace_id = ? AND TemporalNamespaceDivision = ?", namespace, "TemporalScheduler"),
		query("rowid IN (SELECT rowid FROM executions_visibility_fts_text WHERE executions_visibility_fts_text MATCH ?)", "boots"),
		query("rowid IN (SELECT rowid FROM executions_visibility_fts_text WHERE executions_visibility_fts_text MATCH ?)", "Text01: 3"),
		query("rowid IN (SELECT rowid FROM executions_visibility_fts_keyword_list WHERE executions_visibility_fts_keyword_list MATCH ?)", `BuildIds: "unversioned"`),
		query("rowid IN (SELECT rowid FROM executions_visibility_fts_keyword_list WHERE executions_visibility_fts_keyword_list MATCH ?)", `KeywordList01: "size 4"`),
	} {
		want, err := dbs[sqliteplugin.PluginName].SelectFromVisibility(ctx, q)
		require.NoError(t, err)
		got, err := dbs[visibilityPlugin].SelectFromVisibility(ctx, q)
		require.NoError(t, err)
		assert.Equal(t, want, got, q.Query)
		found += len(want)
	}
	assert.Greater(t, found, 60, "the queries must find something")
}

// TestQueriesUseIndexes explains the queries of ordersaga and of the Web UI.
func TestQueriesUseIndexes(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	store := cfg.store("visibility.db")
	require.NoError(t, makeDatabase(t.Context(), *store))
	db, err := openSQLite(*store)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	order := " ORDER BY COALESCE(close_time, '9999-12-31 23:59:59+00:00') DESC, start_time DESC, run_id"
	for condition, index := range map[string]string{
		"TemporalNamespaceDivision IS NULL":               "default_idx",
		"workflow_id = 'order-1'":                         "by_workflow_id",
		"workflow_type_name = 'order'":                    "by_workflow_type",
		"status = 1":                                      "by_status",
		"Keyword03 = 'accepted'":                          "by_keyword_03",
		"Bool01 = true":                                   "by_bool_01",
		"TemporalNamespaceDivision = 'TemporalScheduler'": "by_temporal_namespace_division",
	} {
		var plan []struct{ Detail string }
		require.NoError(t, db.Unsafe().Select(&plan, "EXPLAIN QUERY PLAN SELECT run_id FROM executions_visibility WHERE namespace_id = ? AND "+condition+order, namespace))
		require.NotEmpty(t, plan)
		assert.Regexp(t, `USING (COVERING )?INDEX `+index+`\b`, plan[0].Detail, condition)
	}
}

// BenchmarkVisibility writes the three rows of a workflow that sets a search attribute.
func BenchmarkVisibility(b *testing.B) {
	for name, db := range databases(b) {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				i++
				_, err := db.InsertIntoVisibility(context.Background(), row(i, 1))
				require.NoError(b, err)
				for version := range int64(2) {
					_, err := db.ReplaceIntoVisibility(context.Background(), row(i, 2+version))
					require.NoError(b, err)
				}
			}
		})
	}
}
