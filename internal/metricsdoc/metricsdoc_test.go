package metricsdoc

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPageIsUpToDate(t *testing.T) {
	page, err := Markdown()
	require.NoError(t, err)
	stored, err := os.ReadFile("../../docs/reference/metrics.md")
	require.NoError(t, err)
	require.Equal(t, page, string(stored), "make docs writes it")
}

func TestMetricsAreDescribed(t *testing.T) {
	all, err := All()
	require.NoError(t, err)
	types := make(map[string]string)
	for _, m := range all {
		require.NotEmpty(t, m.Help, m.Name)
		require.NotContains(t, types, m.Name)
		types[m.Name] = m.Type
	}
	require.Equal(t, "counter", types["ordersaga_sagas_ended_total"])
	require.Equal(t, "counter", types["ordersaga_cancellations_refused_total"])
	require.Equal(t, "gauge", types["ordersaga_sagas_open"])
	require.Equal(t, "gauge", types["ordersaga_mongodb_pool_in_use"])
	require.Equal(t, "histogram", types["ordersaga_append_seconds"])
	require.Equal(t, "gauge", types["ordersaga_broker_connected"])
}
