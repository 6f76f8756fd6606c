package simulator_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory/inventorytest/gatelog"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/payment/paymenttest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// subject is the suite's view of simulators over a log.
func subject(log func(t *testing.T) eventlog.Log, tweak func(*simulator.Config)) paymenttest.Subject {
	return paymenttest.Subject{
		Open: func(t *testing.T) paymenttest.Provider {
			books := log(t)
			gate := gatelog.Wrap(books)
			open := func(log eventlog.Log) *simulator.Simulator {
				config := simulator.Config{Log: log}
				if tweak != nil {
					tweak(&config)
				}
				s, err := simulator.New(config)
				require.NoError(t, err)
				return s
			}
			return paymenttest.Provider{
				Gateways:    [2]payment.Gateway{open(gate), open(books)},
				Pause:       func() paymenttest.Paused { return gate.Hold() },
				LoseRequest: gate.LoseRequest, LoseAnswer: gate.LoseAnswer,
			}
		},
		Methods: paymenttest.Methods{
			Approve: "tok_visa", Decline: "tok_declined", DeclineCode: "card_declined", Timeout: "tok_timeout",
			Pending: "tok_pending", CaptureRefused: "tok_capture_refused",
			CaptureStuck: "tok_capture_stuck", CaptureLate: "tok_capture_late", VoidStuck: "tok_void_stuck", RefundStuck: "tok_refund_stuck", RefundRefused: "tok_refund_refused",
		},
	}
}

// clock is a time that the test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func open(t *testing.T, log eventlog.Log) (*simulator.Simulator, *clock) {
	t.Helper()
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	s, err := simulator.New(simulator.Config{Log: log, Clock: c.Now})
	require.NoError(t, err)
	return s, c
}

func pay(method string) payment.Payment {
	return payment.Payment{OrderID: "o-1", Amount: 1999, Currency: "EUR", Method: method}
}

func TestRefusalsAreRecordedWithTheirCodes(t *testing.T) {
	for method, code := range map[string]string{
		"tok_declined": "card_declined", "tok_insufficient_funds": "insufficient_funds", "tok_nonsense": "unknown_method",
	} {
		log := memlog.New()
		s, _ := open(t, log)
		for range 2 {
			got, err := s.Authorize(t.Context(), "k", pay(method))
			require.NoError(t, err)
			require.Equal(t, payment.Refused, got.State)
			require.Equal(t, code, got.Code)
			require.False(t, got.Asynchronous)
			s, _ = open(t, log)
		}
		require.Len(t, charges(t, log), 1)
	}
}

func TestTimeoutIsDerivedFromLog(t *testing.T) {
	log := memlog.New()
	s, _ := open(t, log)
	_, err := s.Authorize(t.Context(), "k", pay("tok_timeout"))
	require.ErrorIs(t, err, fault.OutcomeUnknown)
	restarted, _ := open(t, log)
	got, err := restarted.Authorize(t.Context(), "k", pay("tok_timeout"))
	require.NoError(t, err)
	require.Equal(t, payment.Authorized, got.State)
	require.Len(t, charges(t, log), 1)
}

func TestOutageSurvivesRestartAndEnds(t *testing.T) {
	log := memlog.New()
	s, c := open(t, log)
	for range 3 {
		_, err := s.Authorize(t.Context(), "k", pay("tok_unavailable"))
		require.ErrorIs(t, err, fault.Unavailable)
		found, err := s.Lookup(t.Context(), pay("tok_unavailable"))
		require.NoError(t, err)
		require.Equal(t, payment.Result{State: payment.Absent}, found, "nothing is charged")
		c.now = c.now.Add(3 * time.Second)
	}
	restarted, later := open(t, log)
	later.now = c.now
	_, err := restarted.Authorize(t.Context(), "k", pay("tok_unavailable"))
	require.ErrorIs(t, err, fault.Unavailable, "after nine seconds")
	later.now = later.now.Add(time.Second)
	got, err := restarted.Authorize(t.Context(), "k", pay("tok_unavailable"))
	require.NoError(t, err)
	require.Equal(t, payment.Authorized, got.State)
}

func TestOutageCanBeFenced(t *testing.T) {
	s, c := open(t, memlog.New())
	_, err := s.Authorize(t.Context(), "k", pay("tok_unavailable"))
	require.ErrorIs(t, err, fault.Unavailable)
	got, err := s.Void(t.Context(), "k", pay("tok_unavailable"))
	require.NoError(t, err)
	require.Equal(t, payment.Undone, got.State)
	c.now = c.now.Add(time.Minute)
	got, err = s.Authorize(t.Context(), "k", pay("tok_unavailable"))
	require.NoError(t, err)
	require.Equal(t, payment.Undone, got.State)
}

func TestRefusedCaptureCanBeVoided(t *testing.T) {
	s, _ := open(t, memlog.New())
	p := pay("tok_capture_refused")
	_, err := s.Authorize(t.Context(), "k", p)
	require.NoError(t, err)
	for range 2 {
		got, err := s.Capture(t.Context(), "k", p)
		require.NoError(t, err)
		require.Equal(t, payment.CaptureRefused, got.State)
		require.Equal(t, "capture_declined", got.Code)
	}
	got, err := s.Void(t.Context(), "k", p)
	require.NoError(t, err)
	require.Equal(t, payment.Undone, got.State)
}

// charge is a raw document, as a checker reads it.
type charge struct {
	Type string
	simulator.Charge
}

func charges(t *testing.T, log eventlog.Reader) []charge {
	t.Helper()
	records, err := log.Read(t.Context(), event.PaymentStream("o-1"), 0, 0)
	require.NoError(t, err)
	require.NoError(t, eventlog.Verify(event.PaymentStream("o-1"), event.Head{}, records))
	eventtest.CheckRecords(t, records...)
	list := make([]charge, len(records))
	for i, r := range records {
		list[i].Type = r.Type
		require.NoError(t, json.Unmarshal(r.Data, &list[i].Charge))
		require.Equal(t, "o-1", list[i].OrderID)
		require.Equal(t, list[0].PaymentID, list[i].PaymentID)
		require.Equal(t, "EUR", list[i].Currency)
	}
	return list
}

func TestBookShowsPayments(t *testing.T) {
	log := memlog.New()
	s, _ := open(t, log)
	p := pay("tok_visa")
	_, err := s.Authorize(t.Context(), "k", p)
	require.NoError(t, err)
	_, err = s.Capture(t.Context(), "k", p)
	require.NoError(t, err)
	for range 2 {
		_, err = s.Refund(t.Context(), "r-1", p, 500)
		require.NoError(t, err)
		_, err = s.Refund(t.Context(), "r-2", p, 99)
		require.NoError(t, err)
	}
	var net int64
	for _, c := range charges(t, log) {
		switch c.Type {
		case event.ChargeCaptured:
			net += c.Amount
		case event.ChargeRefunded:
			net -= c.Amount
		}
	}
	require.Equal(t, int64(1999-599), net)
}

func TestSuccessfulPaymentIsTwoAppends(t *testing.T) {
	log := &counting{Log: memlog.New()}
	s, _ := open(t, log)
	_, err := s.Authorize(t.Context(), "k", pay("tok_visa"))
	require.NoError(t, err)
	_, err = s.Capture(t.Context(), "k", pay("tok_visa"))
	require.NoError(t, err)
	require.Zero(t, log.reads)
	require.Len(t, charges(t, log), 2)
}

// counting counts reads.
type counting struct {
	*memlog.Log
	reads int
}

func (c *counting) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	c.reads++
	return c.Log.Read(ctx, stream, after, limit)
}

func TestConfigReportsMissingFields(t *testing.T) {
	_, err := simulator.New(simulator.Config{Outage: -1})
	require.ErrorIs(t, err, fault.Invalid)
	require.Len(t, fault.FieldsOf(err), 2)
}
