package latepayment_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestConsequencesOfLateEvent(t *testing.T) {
	for _, c := range []struct {
		eventType     string
		status        order.Status
		consequential bool
		detail        string
	}{
		{event.PaymentSucceeded, order.StatusFailed, true, "money that arrived is refunded"},
		{event.PaymentSucceeded, order.StatusCompleted, true, "money that arrived is refunded"},
		{event.PaymentFailed, order.StatusFailed, false, "changed nothing"},
		{event.OrderCancellationRequested, order.StatusCompleted, false, "changed nothing"},
		{event.ShipmentDispatched, order.StatusCancelled, true, "decide about the goods"},
		{event.ShipmentDelivered, order.StatusFailed, true, "decide about the goods"},
		{event.ShipmentLost, order.StatusRejected, true, "decide about the goods"},
		{event.ShipmentDispatched, order.StatusCompleted, false, "changed nothing"},
	} {
		w := newWorld(t)
		v := w.came(c.eventType, c.status)
		require.Equal(t, c.consequential, v.Consequential(), c)
		require.Equal(t, c.consequential, w.state.Open(), c)
		require.Equal(t, c.status, w.state.OrderStatus)
		data, err := event.Decode[latepayment.LateRecord](v.Entry("corr", start).Event)
		require.NoError(t, err)
		require.Contains(t, data.Detail, c.detail)
		if !c.consequential {
			require.Equal(t, order.Close, w.next().Kind)
		}
	}
}

func TestLatePaymentIsLookedUpAndRefunded(t *testing.T) {
	w := newWorld(t)
	w.paid()
	require.Equal(t, latepayment.StepJudge, w.next().Step)
	w.settle()
	require.False(t, w.state.Open())
	require.Equal(t, map[string]int64{"evt-1": total}, w.refunds)
	require.Equal(t, []string{event.EventLate, event.PaymentArrivedLate, event.PaymentRefunded}, w.types())

	// The same payment under another event's id, and one more.
	w.came(event.PaymentSucceeded, order.StatusFailed)
	w.paid()
	require.True(t, w.state.Unsettled())
	w.settle()
	require.Equal(t, map[string]int64{"evt-1": total, "evt-2": total}, w.refunds)
	require.Equal(t, event.PaymentNothingArrived, w.types()[7], "the second event found the money of the third")
	require.Zero(t, w.there())
}

func TestNextPaymentHasItsOwnAttention(t *testing.T) {
	w := newWorld(t)
	w.came(event.PaymentSucceeded, order.StatusFailed)
	w.came(event.PaymentSucceeded, order.StatusFailed)
	w.stuck()
	require.Equal(t, latepayment.LookupStuck, w.state.Situation())
	w.decide(order.Resolution{Action: order.Skip, Note: "the provider knows nothing"})
	require.True(t, w.do(true))
	require.Empty(t, w.state.Situation(), "the second payment has not been asked about yet")
	require.True(t, w.do(true))
	require.False(t, w.state.Attention.Open)
	w.stuck()
	require.Equal(t, 2, w.state.Attention.Count, "but when it is stuck too")
	require.Equal(t, latepayment.LookupStuck, w.state.Situation())
}

func TestManualRefundIsNotRepeated(t *testing.T) {
	for name, c := range map[string]struct {
		step     order.Step
		decision order.Resolution
		refunds  int
	}{
		"given back by hand":              {latepayment.StepRefund, order.Resolution{Action: order.Substitute, Reference: "transfer 4711"}, 0},
		"kept":                            {latepayment.StepRefund, order.Resolution{Action: order.Skip, Note: "the customer ordered again"}, 0},
		"given back without asking":       {latepayment.StepJudge, order.Resolution{Action: order.Substitute, Reference: "transfer 4712"}, 0},
		"not asked about, and then there": {latepayment.StepJudge, order.Resolution{Action: order.Skip, Note: "the provider is gone"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.paid()
			if c.step == latepayment.StepRefund {
				require.True(t, w.do(false))
			}
			w.stuck()
			require.Equal(t, c.step, w.state.Attention.Step)
			w.decide(c.decision)
			w.settle()
			require.False(t, w.state.Open())
			require.Empty(t, w.refunds)
			w.came(event.PaymentSucceeded, order.StatusFailed)
			w.settle()
			require.Len(t, w.refunds, c.refunds, "the money is still at the provider")
		})
	}
}

func TestLateGoodsWaitForLatePayments(t *testing.T) {
	w := newWorld(t)
	w.came(event.ShipmentDispatched, order.StatusCancelled)
	w.settle()
	require.Equal(t, latepayment.GoodsLeft, w.state.Situation())
	require.Equal(t, order.Wait, w.next().Kind)
	require.True(t, w.next().Until.After(w.at))
	w.paid()
	w.came(event.ShipmentDelivered, order.StatusCancelled)
	w.settle()
	require.Len(t, w.refunds, 1, "money does not wait for them")
	require.Equal(t, 1, w.state.Attention.Count)
	w.decide(order.Resolution{Action: order.Substitute, By: "ada", Reference: "they came back"})
	w.settle()
	require.False(t, w.state.Open())
	require.Equal(t, "substitute by hand by ada", w.state.HowDecided)
}

// Every row of the table, what it allows and what it does not.
func TestLateAttentionTable(t *testing.T) {
	situations := map[order.AttentionKind]func(w *world){
		latepayment.LookupStuck: func(w *world) { w.paid(); w.stuck() },
		latepayment.RefundStuck: func(w *world) { w.paid(); w.do(false); w.stuck() },
		latepayment.GoodsLeft:   func(w *world) { w.came(event.ShipmentLost, order.StatusCancelled); w.settle() },
	}
	require.Len(t, latepayment.Allowed, len(situations))
	for situation, prepare := range situations {
		for _, action := range order.ResolutionActions {
			t.Run(situation+"/"+string(action), func(t *testing.T) {
				w := newWorld(t)
				require.Empty(t, w.state.Actions())
				prepare(w)
				require.Equal(t, situation, w.state.Situation())
				require.Equal(t, latepayment.Allowed[situation], w.state.Actions())
				d := order.Resolution{Action: action, Note: "why", Reference: "what"}
				require.NotEmpty(t, w.state.RejectResolution(order.Resolution{Action: action, Note: "why", Reference: "what", Attention: 7}))
				if !slices.Contains(latepayment.Allowed[situation], action) {
					require.Contains(t, w.state.RejectResolution(d), situation)
					w.decide(d)
					_, decided := latepayment.Flow.Decided(&w.state, w.facts.Resolutions)
					require.False(t, decided)
					return
				}
				if action != order.Retry {
					require.NotEmpty(t, w.state.RejectResolution(order.Resolution{Action: action}), "it needs a note or a reference")
				}
				d = w.decide(d)
				require.True(t, w.do(true))
				require.True(t, w.state.Recorded(d.ID))
				_, again := latepayment.Flow.Decided(&w.state, w.facts.Resolutions)
				require.False(t, again, "it is followed once")
				require.Equal(t, action == order.Retry, w.state.Situation() != "", "a retry leaves it open")
				w.settle()
				require.False(t, w.state.Open())
				require.NotEmpty(t, w.state.RejectResolution(d), "nothing is stuck any more")
			})
		}
	}
}

// The table of the desk in the documentation is the one in the code: the order's and that of what comes later.
func TestDocumentedTableIsUpToDate(t *testing.T) {
	text, err := os.ReadFile("../../docs/how-to/needs-attention.md")
	require.NoError(t, err)
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) == 6 {
			rows[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[3])
		}
	}
	allowed := maps.Clone(order.Allowed)
	maps.Copy(allowed, latepayment.Allowed)
	for situation, actions := range allowed {
		list := make([]string, len(actions))
		for i, a := range actions {
			list[i] = string(a)
		}
		require.Equal(t, strings.Join(list, ", "), rows[situation], situation)
	}
}

func TestFoldRefusesInvalidRecords(t *testing.T) {
	w := newWorld(t)
	w.paid()
	records, err := w.log.Read(t.Context(), event.LateStream("42"), 0, 0)
	require.NoError(t, err)
	_, err = latepayment.State{}.Fold(append(slices.Clone(records), records...))
	require.NoError(t, err, "what is known is passed over")
	gap := slices.Clone(records)
	gap[0].Version = 2
	_, err = latepayment.State{}.Fold(gap)
	require.ErrorIs(t, err, fault.ErrMissing)
	nonsense := slices.Clone(records)
	nonsense[0].Data = json.RawMessage(`{"type":7}`)
	_, err = latepayment.State{}.Fold(nonsense)
	require.Equal(t, fault.Malformed, fault.CodeOf(err))
}

// Whatever comes, fails and is decided: all money that came is given back or was handled by hand, none of it twice,
// goods are handled by hand, and nothing stays open.
func TestEveryLatePaymentIsSettledOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		skippedLookup := false
		for range rapid.IntRange(1, 40).Draw(t, "moves") {
			switch rapid.IntRange(0, 5).Draw(t, "move") {
			case 0:
				if w.events < 6 {
					w.paid()
				}
			case 1:
				eventType := rapid.SampledFrom([]string{event.PaymentSucceeded, event.ShipmentDispatched, event.PaymentFailed}).Draw(t, "event")
				if w.events < 6 {
					w.came(eventType, order.StatusCancelled)
				}
			case 2:
				w.at = w.at.Add(time.Hour)
				w.do(true)
			case 3:
				before := w.state
				d := w.decide(order.Resolution{
					Action:    rapid.SampledFrom(order.ResolutionActions).Draw(t, "action"),
					Attention: rapid.IntRange(0, 3).Draw(t, "attention"), Note: "why", Reference: "what",
				})
				if before.Situation() == latepayment.LookupStuck && d.Action == order.Substitute && w.there()-w.hand < total {
					// An operator cannot refund money that has not arrived.
					w.facts.Resolutions = nil
					continue
				}
				if before.RejectResolution(d) != "" {
					w.facts.Resolutions = nil
					continue
				}
				w.do(true)
				w.facts.Resolutions = nil
				if !w.state.Recorded(d.ID) {
					t.Fatalf("a decision that fits is not recorded: %+v", d)
				}
				if d.Action == order.Retry {
					continue
				}
				switch before.Situation() {
				case latepayment.LookupStuck:
					skippedLookup = skippedLookup || d.Action == order.Skip
					if d.Action == order.Substitute {
						w.hand += total
					}
				case latepayment.RefundStuck:
					for _, p := range before.Payments {
						if p.ID == before.AttentionItem {
							w.hand += p.Amount
						}
					}
				}
			default:
				w.do(false)
			}
		}
		w.settle()
		if w.state.Situation() == latepayment.GoodsLeft {
			w.decide(order.Resolution{Action: order.Skip, Note: "they are gone"})
			w.settle()
		}
		if w.state.Open() || w.state.Goods != w.state.GoodsSettled {
			t.Fatalf("something is open: %+v", w.state)
		}
		left := w.there() - w.hand
		if left < 0 || left > 0 && !skippedLookup {
			t.Fatalf("%d came, %v was given back, %d handled by hand", w.arrived, w.refunds, w.hand)
		}
		records, err := w.log.Read(t.Context(), event.LateStream("42"), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		again, err := latepayment.State{OrderID: "42"}.Fold(records)
		if err != nil || again.Open() || again.Head != w.state.Head {
			t.Fatalf("the stream tells another story: %v", err)
		}
	})
}
