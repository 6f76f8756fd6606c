package trace_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/trace"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestOnlyTraceParentsAreCarried(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	require.Equal(t, good, trace.Parent(trace.With(t.Context(), good)))
	require.Equal(t, map[string]string{"traceparent": good}, trace.Headers(trace.With(t.Context(), good)))
	for _, bad := range []string{
		"", "01" + good[2:], good + "-00", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
	} {
		require.Empty(t, trace.Parent(trace.With(t.Context(), bad)), bad)
		require.Empty(t, trace.Headers(trace.With(t.Context(), bad)), bad)
	}
}
