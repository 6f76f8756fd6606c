package activities_test

import (
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// BenchmarkStep is what the kit costs for a step, besides the effect and the log: an attempt whose outcome is recorded, without traces and
// metrics, as in a process that neither exports nor counts.
func BenchmarkStep(b *testing.B) {
	f := &activities.Flow[booking, *bookings]{
		Recorder: &activities.Recorder{Log: memlog.New(), Publisher: &bus{}, Clock: time.Now, Logger: slog.New(slog.DiscardHandler)},
		Table:    bookingFlow(), Participants: &bookings{answer: saga.Done(nil)},
		Settings: saga.Settings{Waits: map[saga.Deadline]time.Duration{"ROOM_DEADLINE": time.Minute}, Attention: time.Minute},
	}
	step := f.Step("room", saga.Do)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		opened, err := f.Open(b.Context(), saga.OpenInput{ID: strconv.Itoa(n), Data: []byte(`{}`)})
		require.NoError(b, err)
		s, err := f.Table.Fold(booking{}, opened.Tail)
		require.NoError(b, err)
		b.StartTimer()
		_, err = step(b.Context(), saga.StepInput[booking]{State: s, Settings: f.Settings})
		require.NoError(b, err)
	}
}
