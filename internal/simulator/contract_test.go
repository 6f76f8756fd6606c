package simulator_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/mongo/mongotest"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/payment/paymenttest"
)

// audited returns logs in memory whose books are checked when the test ends.
func audited(t *testing.T) eventlog.Log {
	log := memlog.New()
	t.Cleanup(func() {
		for stream, err := range log.Streams(context.WithoutCancel(t.Context()), event.PaymentStream(""), "") {
			require.NoError(t, err)
			audit(t, log, stream)
		}
	})
	return log
}

// audit adds up the records of one payment without the simulator's help: one authorization, captured or voided,
// and never more given back than taken.
func audit(t *testing.T, log eventlog.Reader, stream string) {
	records, err := log.Read(context.WithoutCancel(t.Context()), stream, 0, 0)
	require.NoError(t, err)
	require.NoError(t, eventlog.Verify(stream, event.Head{}, records))
	eventtest.CheckRecords(t, records...)
	count, left := make(map[string]int), int64(0)
	for _, r := range records {
		c, err := event.Decode[simulator.Charge](r.Event)
		require.NoError(t, err)
		require.Equal(t, stream, event.PaymentStream(c.OrderID))
		require.NotEmpty(t, c.PaymentID)
		count[r.Type]++
		switch r.Type {
		case event.ChargeCaptured, event.ChargeVoided, event.ChargeCaptureRefused:
			require.Equal(t, 1, count[event.ChargeAuthorized], "%s at version %d of %s", r.Type, r.Version, stream)
			if r.Type == event.ChargeCaptured {
				left += c.Amount
			}
		case event.ChargeArrived:
			require.Equal(t, 1, count[event.ChargePending]+count[event.ChargeFenced]-1, "only what was voided while pending arrives")
			left += c.Amount
		case event.ChargeRefunded:
			left -= c.Amount
			require.GreaterOrEqual(t, left, int64(0), "version %d of %s", r.Version, stream)
		}
	}
	require.LessOrEqual(t, count[event.ChargeAuthorized]+count[event.ChargeRefused]+count[event.ChargeFenced], 1, stream)
	require.LessOrEqual(t, count[event.ChargeCaptured]+count[event.ChargeVoided], 1, stream)
	require.LessOrEqual(t, count[event.ChargeCaptured]+count[event.ChargeArrived], 1, stream)
}

func TestContractInMemory(t *testing.T) { paymenttest.Run(t, subject(audited, nil)) }

func TestContractWithoutCache(t *testing.T) {
	paymenttest.Run(t, subject(audited, func(c *simulator.Config) { c.Books = 1 }))
}

func TestContractOnMongoDB(t *testing.T) {
	s := subject(func(t *testing.T) eventlog.Log {
		db, err := mongo.Open(t.Context(), mongotest.Database(t), nil)
		require.NoError(t, err)
		db.Timeout = testenv.Timeout
		log := mongo.NewLog(db, mongo.EventsCollection)
		require.NoError(t, mongo.Setup(t.Context(), log.Indexes()))
		return log
	}, nil)
	s.Slow = true
	paymenttest.Run(t, s)
}
