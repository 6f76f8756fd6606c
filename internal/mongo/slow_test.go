package mongo

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
)

// TestSlowCommandLogOmitsKeys: the text of a slow command is logged, unless it is about the customers' keys.
func TestSlowCommandLogOmitsKeys(t *testing.T) {
	var out bytes.Buffer
	monitor := slowCommands(slog.New(slog.NewTextHandler(&out, nil)))
	for i, collection := range []string{"skus", "customer_keys"} {
		raw, err := bson.Marshal(bson.D{{Key: "insert", Value: collection}, {Key: "documents", Value: bson.A{bson.D{{Key: "secret", Value: "of-" + collection}}}}})
		require.NoError(t, err)
		monitor.Started(t.Context(), &event.CommandStartedEvent{Command: raw, CommandName: "insert", RequestID: int64(i)})
		monitor.Succeeded(t.Context(), &event.CommandSucceededEvent{CommandFinishedEvent: event.CommandFinishedEvent{
			CommandName: "insert", RequestID: int64(i), Duration: time.Second,
		}})
	}
	require.Contains(t, out.String(), "of-skus")
	require.NotContains(t, out.String(), "of-customer_keys")
	require.Equal(t, 2, bytes.Count(out.Bytes(), []byte("slow database command")), "that it was slow is said all the same")
}
