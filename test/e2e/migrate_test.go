package e2e

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/operatorservice/v1"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

// TestMigrate: the command creates everything on empty servers, and changes nothing when it runs again.
func TestMigrate(t *testing.T) {
	s := newStack(t)
	s.registerNamespace()
	prefix := testenv.Unique("migrate")
	for range 2 {
		command := exec.CommandContext(s.ctx, binary, "migrate")
		command.Env = append(environ(), "MONGODB_DATABASE="+s.database, "TEMPORAL_NAMESPACE="+s.namespace, "BROKER_PREFIX="+prefix, "EVENT_EXCHANGE="+prefix)
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s", out)
		indexes, err := s.db.Collection("events").Indexes().ListSpecifications(s.ctx)
		require.NoError(t, err)
		require.Greater(t, len(indexes), 1, "more than the index of _id")
		attributes, err := s.temporal.OperatorService().ListSearchAttributes(s.ctx, &operatorservice.ListSearchAttributesRequest{Namespace: s.namespace})
		require.NoError(t, err)
		require.NotEmpty(t, attributes.GetCustomAttributes())
		for _, queue := range []string{"inbox", "dead"} {
			_, err := s.bus.Depth(prefix + "." + queue)
			require.NoError(t, err)
		}
	}
}
