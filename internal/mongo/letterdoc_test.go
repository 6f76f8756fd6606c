package mongo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// Senders write milliseconds where AMQP has seconds.
func TestTimesAfterYear9999AreKept(t *testing.T) {
	for _, seconds := range []int64{0, -1, 1_732_240_000, 1_732_240_000_000, 1 << 62} {
		at := time.Unix(seconds, 0).UTC()
		m := wire.Message{Body: []byte("{"), Timestamp: at, Headers: map[string]any{"at": at}}
		d := toLetter(deadletter.New(deadletter.Letter{Message: m, FailedAt: null.At(at)}, time.Now()))
		got, err := d.letter()
		require.NoError(t, err)
		require.Equal(t, at, got.Message.Timestamp)
		require.Equal(t, at, got.Message.Headers["at"])
	}
}
