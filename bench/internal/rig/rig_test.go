package rig

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/audit"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestAddresses(t *testing.T) {
	for uri, want := range map[string]string{
		"mongodb://127.0.0.1:27017/":                        "127.0.0.1:27017",
		"mongodb://user:p%40ss@db.example:7000/x?tls=false": "db.example:7000",
		"mongodb://db.example":                              "db.example:27017",
		"mongodb://a:1,b:2/?replicaSet=rs":                  "a:1",
		"nonsense":                                          "",
	} {
		require.Equal(t, want, Stack{MongoDB: uri}.MongoAddress(), uri)
	}
	require.Equal(t, "localhost:5672", Stack{AMQP: "amqp://guest:guest@localhost/%2F"}.AMQPAddress())
}

// Earlier commands do not count, and a server without a number is not a server without commands.
func TestCommandsPerOrder(t *testing.T) {
	earlier, now := Commands{"find": 3, "insert": 10}, Commands{"find": 3, "insert": 20}
	require.Equal(t, map[string]float64{"find": 0, "insert": 2.5}, now.PerOrder(earlier, 4))
	require.Nil(t, Commands(nil).PerOrder(earlier, 4))
	require.Nil(t, now.PerOrder(nil, 4))
}

func TestRunHasUniqueNames(t *testing.T) {
	for _, name := range []string{"TEMPORAL_ADDRESS", "MONGODB_URI", "AMQP_URL"} {
		t.Setenv(name, "")
	}
	_, err := FromEnvironment("r1")
	require.ErrorContains(t, err, "make bench")
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:7233")
	t.Setenv("MONGODB_URI", "mongodb://127.0.0.1:27017/")
	t.Setenv("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")
	t.Setenv("MONGODB_DATABASE", "precious")
	s, err := FromEnvironment("r1")
	require.NoError(t, err)
	require.Equal(t, "bench_r1_2", s.Database(2))
	env := s.Env(s.Database(2))
	for _, line := range []string{
		"TEMPORAL_NAMESPACE=bench-r1", "MONGODB_DATABASE=bench_r1_2", "EVENT_EXCHANGE=bench.r1", "BROKER_PREFIX=bench.r1", "RECONCILE_EVERY=0",
	} {
		require.Contains(t, env, line)
	}
	require.NotContains(t, env, "MONGODB_DATABASE=precious")
	require.Equal(t, env, s.Environ(s.Database(2))[:len(env)], "what the run says comes first, and counts")
}

// A benchmark that loses or doubles an order fails.
func TestResult(t *testing.T) {
	orders := func(ends map[string]string) *audit.Report { return &audit.Report{Orders: ends} }
	placed := map[string]string{"a": "order.completed", "b": "order.rejected"}
	require.NoError(t, judge(orders(map[string]string{"a": "order.completed", "b": "order.rejected"}), placed))
	for complaint, report := range map[string]*audit.Report{
		"order b is lost":              orders(map[string]string{"a": "order.completed"}),
		`order b ended as ""`:          orders(map[string]string{"a": "order.completed", "b": ""}),
		`order b ended as "order.fail`: orders(map[string]string{"a": "order.completed", "b": "order.failed"}),
		"order c was never placed":     orders(map[string]string{"a": "order.completed", "b": "order.rejected", "c": "order.completed"}),
		"sku tea has a gap":            {Orders: placed, Violations: []string{"sku tea has a gap"}},
		"has something late":           {Orders: placed, Late: map[string][]string{"a": {"money"}}},
		"without an intervention":      {Orders: placed, Exceptions: []string{"order a was charged 0 instead of 5"}},
	} {
		require.ErrorContains(t, judge(report, placed), complaint)
	}
	many := orders(map[string]string{})
	require.ErrorContains(t, judge(many, map[string]string{"x": "order.completed"}), "1 things do not hold")
}

func TestReconcileAffectsResult(t *testing.T) {
	script := func(text string) string {
		path := filepath.Join(t.TempDir(), "ordersaga")
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
		return path
	}
	content := script(`test "$1" = reconcile -a "$MONGODB_DATABASE" = bench_r1_2 -a "$TEMPORAL_NAMESPACE" = bench-r1`)
	s := Stack{Run: "r1", Namespace: "bench-r1"}
	require.NoError(t, Reconcile(t.Context(), s, content, s.Database(2)))
	require.ErrorContains(t, Reconcile(t.Context(), s, script("echo chain_broken; exit 1"), s.Database(2)), "chain_broken")
}

// A substitute is never reported as MongoDB.
func TestServerName(t *testing.T) {
	var build buildInfo
	var status serverStatus
	build.Version = "8.0.4"
	require.Equal(t, "MongoDB 8.0.4", mongoName(build, status))
	status.StorageEngine.Name = "wiredTiger"
	require.Equal(t, "MongoDB 8.0.4 on wiredTiger", mongoName(build, status))
	build.FerretDB.Version = "v2.7.0"
	require.Equal(t, "FerretDB 2.7.0 on DocumentDB, a substitute: mongod itself was not among the servers", mongoName(build, status))
	status.FerretDB.PostgreSQL = "PostgreSQL 18.1 (Debian 18.1-1) on x86_64-pc-linux-gnu, compiled by gcc"
	status.FerretDB.DocumentDB = "1.0.0 gitref: unknown"
	require.Equal(t, "FerretDB 2.7.0 on PostgreSQL 18.1 with DocumentDB 1.0.0, a substitute: mongod itself was not among the servers", mongoName(build, status))
	build.FerretDBVersion = "v1.24.2"
	require.Contains(t, mongoName(build, status), "FerretDB 1, a substitute")

	require.Empty(t, described(temporalStore))
	t.Setenv(temporalStore, "PostgreSQL 17, fsync on")
	require.Equal(t, "; PostgreSQL 17, fsync on", described(temporalStore))
}
