package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/soak"
)

// TestSoak is the small version of `make soak`.
func TestSoak(t *testing.T) {
	s := newStack(t)
	testenv.Control(t) // its broker is stopped and killed
	namespace := s.registerNamespace()
	// It has no deadline but its own, for standstill: an event that comes before its order three times waits for five minutes.
	require.NoError(t, soak.Run(t.Context(), soak.Options{
		Binary: binary, Orders: 150, Outages: 3, Rate: 3, Seed: 20261122, Database: s.database,
		Env: []string{"TEMPORAL_NAMESPACE=" + namespace}, Out: t.Output(),
	}))
}
