package service

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/testflow"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func added(change func(f *saga.Flow[testflow.State, *testflow.Participants])) Flow {
	f := testflow.New(saga.QueueOrders)
	change(f)
	return Added[testflow.State, *testflow.Participants]{Flow: f, Participants: func(Environment) (*testflow.Participants, error) {
		return &testflow.Participants{}, nil
	}}
}

type table = saga.Flow[testflow.State, *testflow.Participants]

func TestInvalidAddedFlows(t *testing.T) {
	fine := added(func(*table) {})
	require.NoError(t, Register([]Flow{fine}))
	require.NoError(t, Register([]Flow{fine}), "nothing changes")
	for want, flows := range map[string][]Flow{
		`the name order is already used by ordersaga`:                            {added(func(f *table) { f.Name = "order" })},
		`the stream order is already used by ordersaga`:                          {added(func(f *table) { f.Stream = "order" })},
		`the workflow type OrderSaga is already used by ordersaga`:               {added(func(f *table) { f.Workflow = "OrderSaga" })},
		`the workflow type Reconcile is already used by ordersaga`:               {added(func(f *table) { f.Workflow = "Reconcile" })},
		`the stream card is already used by flow top-up`:                         {fine, added(func(f *table) { f.Name = "other" })},
		`the stream card.late is already used by flow top-up`:                    {fine, added(func(f *table) { f.Name, f.Stream, f.Events = "other", "card.late", "card" })},
		`CARD_STEP_DEADLINE: Defaults must contain a duration greater than zero`: {added(func(f *table) { f.Defaults = nil })},
	} {
		require.ErrorContains(t, Register(flows), want)
	}
}

func TestWaitsOfAddedFlowsAreSettings(t *testing.T) {
	f := added(func(*table) {})
	require.Equal(t, 24*time.Hour, f.timing()("CARD_APPROVAL_DEADLINE"))
	t.Setenv("CARD_APPROVAL_DEADLINE", "2d")
	require.Equal(t, 48*time.Hour, f.timing()("CARD_APPROVAL_DEADLINE"))
	require.NoError(t, f.check())
	for _, wrong := range []string{"soon", "0", "-5s"} {
		t.Setenv("CARD_APPROVAL_DEADLINE", wrong)
		require.ErrorContains(t, f.check(), "CARD_APPROVAL_DEADLINE")
	}
}

// A flow may have a task queue of its own: workers of a binary without the flow leave its sagas alone there.
func TestAddedFlowsMayHaveTheirOwnQueue(t *testing.T) {
	s := &Service{cfg: config.Config{WorkerQueues: []string{saga.QueueOrders}}, added: []Flow{
		added(func(*table) {}), added(func(f *table) { f.Queue = "cards" }), added(func(f *table) { f.Queue = "cards" }),
	}}
	require.Equal(t, []string{"cards"}, s.ownQueues())
	s.cfg.WorkerQueues = []string{saga.QueuePayments}
	require.Empty(t, s.ownQueues())
}
