package plans

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		explained string
		want      Plan
	}{
		"MongoDB, a range of an index": {
			`{"queryPlanner": {"winningPlan": {"stage": "LIMIT", "inputStage": {"stage": "FETCH",
				"inputStage": {"stage": "IXSCAN", "indexName": "newest"}}},
				"rejectedPlans": [{"stage": "SORT", "inputStage": {"stage": "COLLSCAN"}}]}}`,
			Plan{Indexes: []string{"newest"}},
		},
		"MongoDB, by _id": {`{"queryPlanner": {"winningPlan": {"stage": "IDHACK"}}}`, Plan{Indexes: []string{"_id_"}}},
		"MongoDB, by _id, since 8.0": {
			`{"queryPlanner": {"winningPlan": {"stage": "EXPRESS_IXSCAN"}}}`, Plan{Indexes: []string{"_id_"}},
		},
		"MongoDB, ranges that are merged need no sorting": {
			`{"queryPlanner": {"winningPlan": {"stage": "SORT_MERGE", "inputStages": [
				{"stage": "IXSCAN", "indexName": "status_newest"}, {"stage": "IXSCAN", "indexName": "status_newest"}]}}}`,
			Plan{Indexes: []string{"status_newest"}},
		},
		"MongoDB, a sharded cluster that scans and sorts": {
			`{"queryPlanner": {"winningPlan": {"stage": "SHARD_MERGE_SORT", "shards": [{"winningPlan":
				{"stage": "SORT", "inputStage": {"stage": "COLLSCAN"}}}]}}}`,
			Plan{Scans: true, Sorts: true},
		},
		"FerretDB 2, an index and a sort": {
			`{"queryPlanner": {"Plan": {"Node Type": "Limit", "Plans": [{"Node Type": "Sort", "Plans": [{"Node Type": "Custom Scan",
				"IndexDetails": [{"indexName": "newest"}], "IndexCosts": [{"indexName": "_id_"}],
				"Plans": [{"Node Type": "Bitmap Heap Scan", "Plans": [{"Node Type": "Bitmap Index Scan", "Index Name": "newest"}]}]}]}]}}}`,
			Plan{Indexes: []string{"newest"}, Sorts: true},
		},
		"FerretDB 2, a scan": {`{"queryPlanner": {"Plan": {"Node Type": "Seq Scan"}}}`, Plan{Scans: true}},
	} {
		var explained bson.D
		require.NoError(t, bson.UnmarshalExtJSON([]byte(c.explained), false, &explained), name)
		require.Equal(t, c.want, Read(explained), name)
	}
}
