package workflows_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
	"github.com/ordersaga/ordersaga/workflows/shortage"
)

// loses tells the order's saga that stock is lost, twice, as a saga that asks again does.
func (w *world) loses(after time.Duration) {
	for n := range 2 {
		w.env.RegisterDelayedCallback(func() {
			w.env.SignalWorkflow(order.SignalStockLost, order.StockLost{SKU: "tea"})
		}, after+time.Duration(n)*time.Millisecond)
	}
}

func TestOrderGivesWayWhenItsStockIsLost(t *testing.T) {
	for name, test := range map[string]struct {
		sends   order.Fulfillment
		prepare func(w *world)
		want    []string
	}{
		"short": {order.Immediate, func(w *world) { w.stock.short = func(order.ReserveRequest) bool { return true } },
			[]string{"order.accepted", "order.compensating", "inventory.released", "order.rejected"}},
		"authorizing": {order.Immediate, func(w *world) { w.inlinePayment, w.gateway.down = false, map[string]int{"authorize": -1} },
			[]string{"order.accepted", "inventory.reserved", "order.compensating", "payment.voided", "inventory.released", "order.rejected"}},
		"waiting for its payer": {order.Immediate, func(w *world) { w.gateway.answer = payment.Pending },
			[]string{"order.accepted", "inventory.reserved", "payment.pending", "order.compensating", "payment.voided",
				"inventory.released", "order.rejected"}},
		"waiting for its dispatch": {order.Shipment, func(*world) {},
			[]string{"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.compensating",
				"order.fulfillment_withdrawn", "payment.voided", "inventory.released", "order.rejected"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.prepare(w)
			w.loses(10 * time.Second)
			w.env.RegisterDelayedCallback(w.gateway.mend, time.Minute)
			result := w.run(tea(test.sends))
			require.Equal(t, order.StatusRejected, result.Status)
			require.Equal(t, order.ReasonStockLost, result.Reason)
			require.Equal(t, test.want, w.timeline())
			require.Equal(t, "released", w.stock.end)
		})
	}
}

// An order whose goods are on their way keeps what it holds, and so does one that is decided.
func TestOrderThatGoesForwardKeepsItsStock(t *testing.T) {
	w := newWorld(t)
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "e1"}})
	}, time.Hour)
	w.loses(2 * time.Hour)
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "e2"}})
	}, 48*time.Hour)
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Shipment)).Status)
	require.Equal(t, "committed", w.stock.end)
}

// A signal by hand that names no SKU says nothing.
func TestOrderKeepsItsStockWhenNoSKUIsLost(t *testing.T) {
	w := newWorld(t)
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalStockLost, order.StockLost{})
		w.env.SignalWorkflow(order.SignalStockLost, nil)
	}, time.Minute)
	w.shipment(time.Hour, order.ShipmentDispatched)
	w.shipment(2*time.Hour, order.ShipmentDelivered)
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Shipment)).Status)
}

func TestCommitBeyondWhatIsOnHandNeedsAttention(t *testing.T) {
	w := newWorld(t)
	w.stock.lost = true
	w.env.RegisterDelayedCallback(func() {
		s := w.record()
		require.Equal(t, order.StatusNeedsAttention, s.Status)
		require.Equal(t, order.StepCommit, s.Attention.Step)
		require.Contains(t, s.Attention.Error, "only 0 are on hand")
		w.stock.mu.Lock()
		defer w.stock.mu.Unlock()
		w.stock.lost = false
	}, time.Minute/2)
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	require.Equal(t, []string{
		"order.accepted", "inventory.reserved", "payment.authorized", "order.settling", "payment.captured",
		"order.needs_attention", "inventory.committed", "order.attention_resolved", "order.completed",
	}, w.timeline())
}

// shelf is a SKU with a shortfall, and the orders that hold it, the newest first. Each decides so long after it was first asked.
type shelf struct {
	mu        sync.Mutex
	env       *testsuite.TestWorkflowEnvironment
	log       *memlog.Log
	shortfall int64
	holders   []order.Holder
	takes     time.Duration
	asked     map[string]time.Time
	calls     int
	fails     int
}

func (s *shelf) Shortfall(context.Context, string) (int64, []order.Holder, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails > 0 {
		s.fails--
		return 0, nil, fault.New(fault.Unavailable, "no ledger")
	}
	for len(s.holders) > 0 {
		at, asked := s.asked[s.holders[0].OrderID]
		if !asked || s.env.Now().Before(at.Add(s.takes)) {
			break
		}
		s.shortfall -= s.holders[0].Quantity
		s.holders = s.holders[1:]
	}
	return max(s.shortfall, 0), s.holders, nil
}

func (s *shelf) StockLost(_ context.Context, orderID, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if _, again := s.asked[orderID]; !again {
		s.asked[orderID] = s.env.Now()
	}
	return nil
}

// newShelf returns a shelf on which orders hold one each.
func newShelf(t *testing.T, holders int, shortfall int64) *shelf {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	s := &shelf{env: suite.NewTestWorkflowEnvironment(), log: memlog.New(), shortfall: shortfall, asked: map[string]time.Time{}}
	sagatest.ExtendTimeouts(s.env)
	for n := holders; n > 0; n-- {
		o := tea(order.Shipment)
		o.ID = fmt.Sprintf("o-%d", n)
		_, _, err := s.log.Append(t.Context(), event.OrderStream(o.ID), event.Head{}, []event.Entry{order.Accept(o, "", "", s.env.Now())})
		require.NoError(t, err)
		s.holders = append(s.holders, order.Holder{OrderID: o.ID, Quantity: 1, Version: int64(n)})
	}
	workers.RegisterWorkflows(s.env)
	workers.RegisterActivities(s.env, &shortage.Activities{Log: s.log, Stock: s, Orders: s})
	return s
}

func (s *shelf) settle(t *testing.T) (shortage.Result, error) {
	t.Helper()
	s.env.ExecuteWorkflow(shortage.Workflow, shortage.Input{SKU: "tea"})
	require.True(t, s.env.IsWorkflowCompleted())
	var result shortage.Result
	err := s.env.GetWorkflowError()
	if err == nil {
		require.NoError(t, s.env.GetWorkflowResult(&result))
	}
	return result, err
}

func TestShortageSagaAsksUntilNothingIsMissing(t *testing.T) {
	s := newShelf(t, 100, 50)
	s.takes, s.fails = time.Second, 5
	result, err := s.settle(t)
	require.NoError(t, err)
	require.Equal(t, shortage.Result{SKU: "tea"}, result)
	require.Len(t, s.holders, 50)
	require.Equal(t, "o-50", s.holders[0].OrderID, "the older ones are not asked")
	require.NotContains(t, s.asked, "o-50")
}

func TestShortageSagaEndsWhenNoOrderCanGiveWay(t *testing.T) {
	s := newShelf(t, 2, 5)
	result, err := s.settle(t)
	require.NoError(t, err)
	require.Equal(t, shortage.Result{SKU: "tea", Shortfall: 3}, result)
}

// An order that does not decide, because its workflow fails, is asked less and less; a new count is looked at all the same.
func TestShortageSagaIsPatient(t *testing.T) {
	s := newShelf(t, 3, 1)
	s.takes = 24 * time.Hour
	s.env.RegisterDelayedCallback(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.shortfall = 2
		s.env.SignalWorkflow(shortage.Signal, nil)
	}, 12*time.Hour)
	result, err := s.settle(t)
	require.NoError(t, err)
	require.Zero(t, result.Shortfall)
	require.Len(t, s.asked, 2)
	require.Less(t, s.calls, 1000)
}

func TestShortageSagaContinuesAsNew(t *testing.T) {
	s := newShelf(t, 1, 1)
	s.takes = time.Hour
	s.env.RegisterDelayedCallback(func() { s.env.SetContinueAsNewSuggested(true) }, time.Minute)
	_, err := s.settle(t)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, err, &again)
	require.Equal(t, shortage.Workflow, again.WorkflowType.Name)
}
