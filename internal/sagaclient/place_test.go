package sagaclient_test

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

const (
	rejectDuplicate = enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	allowDuplicate  = enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
)

func placement(o order.Order) sagaclient.Placement {
	return sagaclient.Placement{Order: o, CorrelationID: "corr", CausationID: "evt-1"}
}

func TestNewOrderStartsItsSaga(t *testing.T) {
	for _, eager := range []bool{true, false} {
		w := newWorld(t)
		w.client = sagaclient.New(sagaclient.Config{
			Temporal: w.temporal, Log: w.log, Logger: slog.New(slog.DiscardHandler), Eager: eager,
		})
		replayed, err := w.client.Place(t.Context(), placement(tea()))
		require.NoError(t, err)
		require.False(t, replayed)
		in := inputOf(t, tea())
		in.CorrelationID, in.CausationID = "corr", "evt-1"
		require.Equal(t, in, w.temporal.began(t))

		require.Len(t, w.temporal.starts, 1)
		o := w.temporal.starts[0]
		status, _ := o.TypedSearchAttributes.GetKeyword(order.Flow.StatusKey())
		customer, _ := o.TypedSearchAttributes.GetKeyword(saga.CustomerID)
		attention, known := o.TypedSearchAttributes.GetBool(saga.NeedsAttentionAttribute)
		require.Equal(t, "accepted", status)
		require.Equal(t, "c-7", customer)
		require.False(t, attention)
		require.True(t, known)
		require.Equal(t, 3, o.TypedSearchAttributes.Size())
		require.Equal(t, client.StartWorkflowOptions{
			ID: "order-42", TaskQueue: "orders", WorkflowIDReusePolicy: rejectDuplicate,
			WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
			WorkflowExecutionErrorWhenAlreadyStarted: true, EnableEagerStart: eager,
			StaticSummary: "2 × tea, 900 EUR (minor units), immediate",
			StaticDetails: "| sku | quantity | unit amount |\n|---|---|---|\n| tea | 2 | 450 |\n\n" +
				"Total 900 EUR in minor units, paid with tok_visa, by customer c-7.\n\n" +
				"Events: stream `order-42`, or `/v1/orders/42/events`.\n", TypedSearchAttributes: o.TypedSearchAttributes,
		}, o, "no timeout may end a saga, no policy may run it again")
	}
}

func TestSummaryCountsTheOtherLines(t *testing.T) {
	w := newWorld(t)
	o := tea()
	o.Lines = append(o.Lines, order.Line{SKU: "cup", Quantity: 1, UnitAmount: 900}, order.Line{SKU: "pot", Quantity: 1})
	o.Fulfillment = order.Shipment
	_, err := w.client.Place(t.Context(), placement(o.Normalize()))
	require.NoError(t, err)
	require.Equal(t, "2 × tea and 2 more, 1800 EUR (minor units), shipment", w.temporal.starts[0].StaticSummary)
}

func TestFreshOrderStartsWithoutTheLog(t *testing.T) {
	w := newWorld(t)
	w.log.down = true
	p := placement(tea())
	p.Fresh = true
	replayed, err := w.client.Place(t.Context(), p)
	require.NoError(t, err)
	require.False(t, replayed)
	require.Zero(t, w.log.reads)
	require.Equal(t, rejectDuplicate, w.temporal.starts[0].WorkflowIDReusePolicy)
}

// TestUnknownCurrencyIsRefusedInNewOrdersOnly: an order that was placed with an earlier version, and a request for it that
// comes again, are as good as ever.
func TestUnknownCurrencyIsRefusedInNewOrdersOnly(t *testing.T) {
	o := tea()
	o.Currency = "XYZ"
	for name, prepare := range map[string]func(*world){
		"open": func(w *world) { w.open(o); w.ran(o, true) }, "ended": func(w *world) { w.rejected(o) },
		"in Temporal alone": func(w *world) { w.ran(o, true) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			replayed, err := w.client.Place(t.Context(), placement(o))
			require.NoError(t, err)
			require.True(t, replayed)
		})
	}
	for _, fresh := range []bool{false, true} {
		w := newWorld(t)
		p := placement(o)
		p.Fresh = fresh
		_, err := w.client.Place(t.Context(), p)
		require.ErrorIs(t, err, fault.Invalid)
		require.Equal(t, "/currency", fault.FieldsOf(err)[0].Pointer)
		require.Empty(t, w.temporal.starts)
	}
}

// situation is the state of log and Temporal when an order is placed.
type situation struct {
	// log writes the order's stream.
	log func(w *world)
	// run is the order that a workflow was started with, if one was.
	run     *order.Order
	running bool

	replayed bool
	code     fault.Code
	// starts are the policies of the attempts to start.
	starts []enumspb.WorkflowIdReusePolicy
	// begins reports whether a new run starts.
	begins bool
}

func TestPlaceAgain(t *testing.T) {
	same, other := tea(), cups()
	silent := func(*world) {}
	open := func(w *world) { w.open(tea()) }
	openOther := func(w *world) { w.open(cups()) }
	ended := func(w *world) { w.rejected(tea()) }
	endedOther := func(w *world) { w.rejected(cups()) }
	type policies = []enumspb.WorkflowIdReusePolicy
	for name, s := range map[string]situation{
		"a run that has not written yet":           {silent, &same, true, true, "", policies{rejectDuplicate}, false},
		"a run of other content, not written yet":  {silent, &other, true, true, fault.Conflict, policies{rejectDuplicate}, false},
		"a closed run that has never written":      {silent, &same, false, true, "", policies{rejectDuplicate, allowDuplicate}, true},
		"a closed run of other content":            {silent, &other, false, true, fault.Conflict, policies{rejectDuplicate}, false},
		"an open order that runs":                  {open, &same, true, true, "", nil, false},
		"an open order whose workflow closed":      {open, &same, false, true, "", policies{allowDuplicate}, true},
		"an open order whose workflow is deleted":  {open, nil, false, true, "", policies{allowDuplicate}, true},
		"an open order of other content":           {openOther, &other, true, false, fault.Conflict, nil, false},
		"an order that has ended":                  {ended, &same, false, true, "", nil, false},
		"an order that has ended and was deleted":  {ended, nil, false, true, "", nil, false},
		"an order of other content that has ended": {endedOther, &other, false, false, fault.Conflict, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s.log(w)
			if s.run != nil {
				w.ran(*s.run, s.running)
			}
			before := w.temporal.input
			replayed, err := w.client.Place(t.Context(), placement(tea()))
			require.Equal(t, s.code, fault.CodeOf(err))
			require.Equal(t, s.replayed, replayed)
			var tried policies
			for _, o := range w.temporal.starts {
				tried = append(tried, o.WorkflowIDReusePolicy)
			}
			require.Equal(t, s.starts, tried)
			if s.begins {
				require.True(t, w.temporal.running)
				require.Equal(t, "corr", w.temporal.began(t).CorrelationID)
			} else {
				require.Same(t, before, w.temporal.input)
			}
		})
	}
}

func TestTakenFreshIDIsCompared(t *testing.T) {
	w := newWorld(t)
	w.ran(tea(), true)
	p := placement(tea())
	p.Fresh = true
	replayed, err := w.client.Place(t.Context(), p)
	require.NoError(t, err)
	require.True(t, replayed)

	w.ran(cups(), true)
	_, err = w.client.Place(t.Context(), p)
	require.ErrorIs(t, err, fault.Conflict)
	require.EqualError(t, err, "order 42 exists with different content")
}

func TestConcurrentlyEndedOrderGetsNoNewRun(t *testing.T) {
	w := newWorld(t)
	w.rejected(tea())
	w.ran(tea(), false)
	p := placement(tea())
	p.Fresh = true
	replayed, err := w.client.Place(t.Context(), p)
	require.NoError(t, err)
	require.True(t, replayed)
	require.Len(t, w.temporal.starts, 1)
	require.False(t, w.temporal.running)
}

func TestPlaceIsUnavailable(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"without the log":  func(w *world) { w.log.down = true },
		"without Temporal": func(w *world) { w.temporal.down["start"] = errNoWay },
		"when Temporal does not say what runs there": func(w *world) { w.ran(tea(), true); w.temporal.down["describe"] = errNoWay },
		"when what ran is gone again": func(w *world) {
			w.ran(tea(), true)
			w.temporal.history = &history{}
		},
		"when the history cannot be read": func(w *world) {
			w.ran(tea(), true)
			w.temporal.history = &history{err: errNoWay}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			spoil(w)
			_, err := w.client.Place(t.Context(), placement(tea()))
			require.Equal(t, fault.Unavailable, fault.CodeOf(err))
		})
	}
}

func TestDamagedStreamIsCorrupt(t *testing.T) {
	w := newWorld(t)
	entry := order.Accept(tea(), "first", "cause", now)
	entry.Data = []byte(`{"orderId":42}`)
	_, _, err := w.log.Append(t.Context(), "order-42", event.Head{}, []event.Entry{entry})
	require.NoError(t, err)
	_, err = w.client.Place(t.Context(), placement(tea()))
	require.Equal(t, fault.Corrupt, fault.CodeOf(err))
	require.Empty(t, w.temporal.starts)
}

func TestFindReturnsTemporalState(t *testing.T) {
	w := newWorld(t)
	_, err := w.client.Find(t.Context(), "42")
	require.Equal(t, fault.NotFound, fault.CodeOf(err))

	for _, running := range []bool{true, false} {
		w.ran(tea(), running)
		found, err := w.client.Find(t.Context(), "42")
		require.NoError(t, err)
		in := inputOf(t, tea())
		in.CorrelationID = "first"
		require.Equal(t, sagaclient.Found{Input: in, Order: tea(), Running: running, StartedAt: now}, found)
	}

	w.temporal.down["describe"] = errors.New("connection refused")
	_, err = w.client.Find(t.Context(), "42")
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
}
