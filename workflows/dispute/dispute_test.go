package dispute_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/dispute"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// orderID is an order with a captured payment of total.
const (
	orderID = "shop-1"
	total   = 1000
)

// refundKey is the key of a refund of the order at the gateway.
var refundKey = payment.Payment{OrderID: orderID}.Key(refund.Flow.StreamOf("r-1"))

// model is how random disputes begin, and what the participants say.
var model = sagatest.Start[dispute.State]{
	Data: func(t *rapid.T) any {
		r := dispute.Request{OrderID: orderID, Amount: 300, Reason: "fraudulent"}
		switch rapid.SampledFrom([]string{"payment", "refund", "flow"}).Draw(t, "about") {
		case "refund":
			r.RefundKey = refundKey
		case "flow":
			r.Flow = "card"
		}
		return data("dp-1", r)
	},
	Answer: func(_ *rapid.T, _ dispute.State, _, eventType string) (any, bool) {
		switch eventType {
		case event.DisputeRefundFailed:
			return map[string]any{"orderId": orderID, "reason": dispute.ReasonFailed}, false
		case event.DisputeRefundMade:
			return map[string]any{"orderId": orderID, "key": "refund-r-1"}, false
		}
		return map[string]any{"orderId": orderID, "disputed": 300, "rest": 700, "currency": "EUR"}, false
	},
	Fact: func(t *rapid.T, _ string) any {
		return dispute.Closing{Result: rapid.SampledFrom([]string{dispute.Won, dispute.Lost}).Draw(t, "result")}
	},
}

func TestDefinition(t *testing.T) { sagatest.Definition(t, &dispute.Flow, model) }

func TestModel(t *testing.T) { sagatest.Model(t, &dispute.Flow, model) }

// data is the data of dispute.accepted.
func data(id string, r dispute.Request) any {
	return struct {
		ID string `json:"disputeId"`
		dispute.Request
	}{id, r}
}

// gateway answers refunds.
type gateway struct {
	payment.Gateway
	answer payment.Result
	err    error
	keys   []string
}

func (g *gateway) Refund(_ context.Context, key string, _ payment.Payment, _ int64) (payment.Result, error) {
	g.keys = append(g.keys, key)
	return g.answer, g.err
}

// orders has one order.
type orders struct{}

func (orders) Load(_ context.Context, id string) (order.State, error) {
	if id != orderID {
		return order.State{}, fault.Missing("order %s", id)
	}
	s := order.State{Order: order.Order{ID: orderID, TotalAmount: total, Currency: "EUR"}, Capture: order.CaptureDone}
	s.ID, s.Decision = orderID, order.Forward
	return s, nil
}

// shop has a captured order and a refund ledger in memory.
type shop struct {
	*dispute.Participants
	log     *memlog.Log
	gateway *gateway
}

func newShop() *shop {
	log, g := memlog.New(), &gateway{answer: payment.Result{State: payment.Refunded}}
	return &shop{&dispute.Participants{Orders: orders{}, Refunds: log, Gateway: g}, log, g}
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func call(id string, r dispute.Request, result string) saga.Call[dispute.State] {
	s := dispute.State{Request: r, Result: result}
	s.ID = id
	return saga.Call[dispute.State]{ID: id, State: s, Now: func() time.Time { return start }}
}

func (s *shop) ledger(t require.TestingT) refunds.Ledger {
	ledger, err := refunds.Load(context.Background(), s.log, orderID)
	require.NoError(t, err)
	return ledger
}

func (s *shop) reserve(t require.TestingT, id string, amount int64) {
	_, err := refunds.Reserve(context.Background(), s.log, refunds.Claim{
		Reference: orderID, Key: refund.Flow.StreamOf(id), Source: refunds.Captured, Amount: amount, Limit: total, Currency: "EUR",
	}, start)
	require.NoError(t, err)
}

// requestable reports what can still be refunded on request.
func (s *shop) requestable(t require.TestingT, amount int64) error {
	of, err := orders{}.Load(context.Background(), orderID)
	require.NoError(t, err)
	_, _, err = refund.Reader{Log: s.log}.Price(context.Background(), refund.Request{OrderID: orderID, Amount: amount}, &of)
	return err
}

func TestOpenDisputeBlocksRefunds(t *testing.T) {
	for result, left := range map[string]int64{dispute.Won: 1000, dispute.Lost: 600} {
		s, r := newShop(), dispute.Request{OrderID: orderID, Amount: 400}
		for range 2 {
			_, err := s.Block(t.Context(), call("dp-1", r, ""))
			require.NoError(t, err)
		}
		require.ErrorContains(t, s.requestable(t, 1), "an open dispute blocks refunds")
		for range 2 {
			_, err := s.Unblock(t.Context(), call("dp-1", r, result))
			require.NoError(t, err)
		}
		require.NoError(t, s.requestable(t, left), result)
		require.Error(t, s.requestable(t, left+1), result)
	}
}

// raced is a log to which something else is appended first.
type raced struct {
	*memlog.Log
	first func()
}

func (r *raced) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	if first := r.first; first != nil {
		r.first = nil
		first()
	}
	return r.Log.Append(ctx, stream, head, entries)
}

// A refund that takes all that is left, just before the dispute blocks it, leaves nothing to block.
func TestDisputeAfterTheLastRefund(t *testing.T) {
	s := newShop()
	s.Refunds = &raced{s.log, func() { s.reserve(t, "r-1", total) }}
	o, err := s.Block(t.Context(), call("dp-1", dispute.Request{OrderID: orderID, Amount: 400}, ""))
	require.NoError(t, err)
	require.True(t, o.Succeeded())
	require.Equal(t, int64(total), s.ledger(t).Reserved[refunds.Captured])
}

// What is disputed and what is refunded never sum to more than was captured.
func TestDisputesAndRefunds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShop()
		for i := range rapid.IntRange(1, 4).Draw(t, "steps") {
			id := fmt.Sprint("x-", i)
			amount := rapid.Int64Range(0, total).Draw(t, "amount")
			if rapid.Bool().Draw(t, "refund") {
				if s.requestable(t, amount) == nil {
					s.reserve(t, id, amount)
				}
				continue
			}
			r := dispute.Request{OrderID: orderID, Amount: amount}
			_, err := s.Block(context.Background(), call(id, r, ""))
			require.NoError(t, err)
			if rapid.Bool().Draw(t, "ends") {
				result := rapid.SampledFrom([]string{dispute.Won, dispute.Lost}).Draw(t, "result")
				_, err = s.Unblock(context.Background(), call(id, r, result))
				require.NoError(t, err)
			}
			require.LessOrEqual(t, s.ledger(t).Reserved[refunds.Captured], int64(total))
		}
	})
}

// holds reports what is wrong with the refund ledger when a dispute has ended.
func (s *shop) holds(end dispute.State) error {
	ledger, err := refunds.Load(context.Background(), s.log, orderID)
	if err != nil {
		return err
	}
	want := int64(0)
	if hand, byHand := end.Settled(dispute.StepDispute, false); end.Result == dispute.Lost || byHand && hand.Action == saga.Substitute {
		want = end.Request.Amount
	}
	_, byHand := end.Settled(dispute.StepBlock, false)
	_, kept := end.Settled(dispute.StepUnblock, false)
	if got := ledger.Reserved[refunds.Captured]; got != want && !byHand && !kept {
		return fmt.Errorf("%d are reserved after the dispute, and not %d", got, want)
	}
	return nil
}

// cells are the ways that disputes go.
func cells() sagatest.Cells[dispute.State, *dispute.Participants] {
	closed := func(result string) []sagatest.Arrival {
		return []sagatest.Arrival{{Row: dispute.StepDispute, Payload: saga.Fact{
			Type: event.PaymentDisputeClosed, ID: "e-1", Cause: "e-1", Data: []byte(`{"result":"` + result + `"}`),
		}}}
	}
	of := dispute.Request{OrderID: orderID, Amount: 400, Reason: "fraudulent"}
	return sagatest.Cells[dispute.State, *dispute.Participants]{
		Flow: &dispute.Flow,
		NewWorld: func(testing.TB) sagatest.World[dispute.State, *dispute.Participants] {
			s := newShop()
			return sagatest.World[dispute.State, *dispute.Participants]{Participants: s.Participants, Holds: s.holds}
		},
		Journeys: []sagatest.Journey{
			{Name: "lost", Data: data("42", of), Arrivals: closed(dispute.Lost), End: saga.Completed},
			{Name: "won", Data: data("42", of), Arrivals: closed(dispute.Won), End: saga.Completed},
			{Name: "decided", Data: data("42", of), End: saga.Completed},
			{Name: "refund", Data: data("42", dispute.Request{OrderID: orderID, RefundKey: "made by hand"}), End: saga.Completed},
		},
	}
}

// TestMatrix strikes every step with every fault.
func TestMatrix(t *testing.T) {
	all := cells()
	all.Once = true
	sagatest.Matrix(t, all)
}

// TestHistories: runs that an earlier version has started go on with this one. SAGATEST_RECORD=1 records them again, on a Temporal server:
// bin/devstack exec --only temporal -- env SAGATEST_RECORD=1 go test ./workflows/dispute -run TestHistories
func TestHistories(t *testing.T) {
	const dir = "testdata/histories"
	recorded := cells()
	recorded.Journeys = recorded.Journeys[:2] // the others wait for a person
	sagatest.Record(t, dir, recorded)
	sagatest.Histories(t, dir, &dispute.Flow)
}

// A late attempt to block has no effect after the dispute has ended.
func TestLateBlockIsFenced(t *testing.T) {
	s, r := newShop(), dispute.Request{OrderID: orderID}
	_, err := s.Unblock(t.Context(), call("dp-1", r, dispute.Won))
	require.NoError(t, err)
	_, err = s.Block(t.Context(), call("dp-1", r, ""))
	require.NoError(t, err)
	require.NoError(t, s.requestable(t, total))
}

// The decision of an operator ends a dispute: with a reference, the payer has the money.
func TestOperatorEndsDispute(t *testing.T) {
	for action, left := range map[saga.ResolutionAction]int64{saga.Skip: total, saga.Substitute: 600} {
		s, r := newShop(), dispute.Request{OrderID: orderID, Amount: 400}
		_, err := s.Block(t.Context(), call("dp-1", r, ""))
		require.NoError(t, err)
		c := call("dp-1", r, "")
		c.State.ByHand = []saga.ByHand{{Step: dispute.StepDispute, Action: action}}
		_, err = s.Unblock(t.Context(), c)
		require.NoError(t, err)
		require.NoError(t, s.requestable(t, left), action)
		require.Error(t, s.requestable(t, left+1), action)
	}
}

func TestFailedRefund(t *testing.T) {
	r := dispute.Request{OrderID: orderID, RefundKey: refundKey}
	ask := func(s *shop, r dispute.Request) (string, error) {
		o, err := s.Refund(t.Context(), call("re-1", r, ""))
		return o.String(), err
	}
	s := newShop()
	s.reserve(t, "r-1", 300)
	_, err := ask(s, r)
	require.ErrorIs(t, err, fault.Unavailable, "its saga is at work")
	require.Empty(t, s.gateway.keys)

	require.NoError(t, refunds.Refunded(t.Context(), s.log, orderID, "refund-r-1", start))
	o, err := ask(s, r)
	require.NoError(t, err)
	require.Equal(t, "Done", o, "a notification that is not true")
	s.gateway.answer = payment.Result{State: payment.RefundRefused, Code: "lost_or_stolen_card"}
	o, err = ask(s, r)
	require.NoError(t, err)
	require.Equal(t, "Refused", o)
	require.Equal(t, []string{refundKey, refundKey}, s.gateway.keys, "the same call again")

	released := newShop()
	released.reserve(t, "r-1", 300)
	require.NoError(t, refunds.Release(t.Context(), released.log, orderID, "refund-r-1", start))
	o, err = ask(released, r)
	require.NoError(t, err)
	require.Equal(t, "Done", o, "its saga has recorded the refusal")

	o, err = ask(newShop(), dispute.Request{OrderID: orderID, RefundKey: "made by hand"})
	require.NoError(t, err)
	require.Equal(t, "Refused", o)
}

// Providers report other amounts of one dispute later, and in any order.
func TestSameDispute(t *testing.T) {
	s := call("dp-1", dispute.Request{OrderID: orderID, Amount: 400, Reason: "general"}, "").State
	later, err := json.Marshal(data("dp-1", dispute.Request{OrderID: orderID, Amount: 500, Reason: "fraudulent"}))
	require.NoError(t, err)
	require.True(t, dispute.Flow.SameStart(&s, later))
	require.False(t, dispute.Flow.SameStart(&s, json.RawMessage(`{"disputeId":"dp-1","orderId":"other"}`)))
}
