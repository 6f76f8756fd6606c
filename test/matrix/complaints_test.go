package matrix

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/sdk/v1"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Problems that users of other orchestrators report, and that cannot happen here. The table complaintMutants has the complaints
// that other tests cover, with the test's name.
func TestComplaints(t *testing.T) {
	environments := newPool(t, 1, 1, 1000)
	l := <-environments.fast
	// conductor-oss/conductor#1169
	t.Run("terminate skips compensation", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		o := l.tea(ctx, order.Shipment)
		l.set(detour{mode: inline})
		require.NoError(t, l.place(ctx, o))
		l.until(t, o.ID, func(s order.State) bool { return !s.ConfirmedAt.IsZero() })
		// The run ends in the middle of the undos: the payment is void, the stock is held.
		l.set(detour{mode: inline}, &injection{orderID: o.ID, what: opRelease, faultKind: faultEnd})
		l.cancel(ctx, o.ID)
		l.until(t, o.ID, func(s order.State) bool { return s.Voided })
		l.awaitInjections(t)
		// An event about the order arrives.
		l.cancel(ctx, o.ID)
		require.NoError(t, l.drive(ctx, o.ID, nil))
		assert.Equal(t, order.StatusCancelled, l.state(o.ID).Status)
		assert.Empty(t, l.violations([]order.Order{o}))
	})
	// MassTransit/MassTransit#573
	t.Run("fast events are skipped", func(t *testing.T) {
		// With a slow gateway the run sees the event before the order is confirmed.
		l := <-environments.slow
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		o := l.tea(ctx, order.Shipment)
		// The dispatch event comes before the order's first event is recorded, and the delivery event before the warehouse is called.
		l.set(
			detour{mode: inline},
			&injection{orderID: o.ID, what: record(order.SlotAccept), faultKind: faultSignal},
			&injection{orderID: o.ID, what: record(order.SlotShip), after: true, faultKind: faultSignal},
		)
		require.NoError(t, l.place(ctx, o))
		require.NoError(t, l.drive(ctx, o.ID, nil), "events are not published again")
		assert.Equal(t, order.StatusCompleted, l.state(o.ID).Status)
		assert.Empty(t, l.violations([]order.Order{o}))
	})
	// Particular/ServicePulse#2691
	t.Run("no view of the remaining steps", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		o := l.tea(ctx, order.Shipment)
		l.set(detour{mode: inline})
		require.NoError(t, l.place(ctx, o))
		l.until(t, o.ID, func(s order.State) bool { return !s.ConfirmedAt.IsZero() })
		answer, err := l.control.QueryWorkflow(ctx, order.Flow.WorkflowID(o.ID), "", "__temporal_workflow_metadata")
		require.NoError(t, err)
		var metadata sdk.WorkflowMetadata
		require.NoError(t, answer.Get(&metadata))
		for _, line := range []string{"✓ authorize: done", "▶ confirm: now", "○ capture: to do", "○ commit: to do", "○ deliver: to do"} {
			assert.Contains(t, metadata.GetCurrentDetails(), line)
		}
		require.NoError(t, l.drive(ctx, o.ID, []scriptEvent{dispatch, deliver}))
	})
}

// tea is an order with its own SKU.
func (l *environment) tea(ctx context.Context, f order.Fulfillment) order.Order {
	id := l.unique("c")
	l.receive(ctx, "tea-"+id, 5)
	return order.Order{
		ID: id, CustomerID: "c-1", Currency: "EUR", Fulfillment: f, Payment: order.PaymentMethod{Method: "tok_visa"},
		Lines: []order.Line{{SKU: "tea-" + id, Quantity: 2, UnitAmount: 450}},
	}.Normalize()
}

// until returns when the order has reached a state.
func (l *environment) until(t *testing.T, orderID string, there func(order.State) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if there(l.state(orderID)) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			require.FailNow(t, "the order does not reach the state")
		}
	}
}

// awaitInjections returns when all injections of the environment are done.
func (l *environment) awaitInjections(t *testing.T) {
	t.Helper()
	l.until(t, "", func(order.State) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return !slices.ContainsFunc(l.injections, func(t *injection) bool { return !t.fired })
	})
	l.injecting.Wait()
	require.Empty(t, l.takeErrors())
}

// complaintMutants are what the answers to the complaints hang on: without it, the test named must fail.
var complaintMutants = []mutant{
	{
		name: "no undo on cancel: temporalio/sdk-java#305", dir: "workflows", run: "TestCancellation$",
		edits: []edit{
			{"workflows/saga/run.go", "	disconnected, _ := workflow.NewDisconnectedContext(ctx)\n	r :=", "	disconnected := ctx\n	r :="},
			{"workflows/saga/driver.go", "	disconnected, _ := workflow.NewDisconnectedContext(ctx)\n", "	disconnected := ctx\n"},
		},
	},
	{
		name: "an undo is tried in a hot loop: dtm-labs/dtm#306", dir: "workflows", run: "TestFailedUndoIsNotRetriedInHotLoop",
		edits: []edit{{
			"workflows/saga/policy.go", "InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second",
			"InitialInterval: time.Millisecond, BackoffCoefficient: 1",
		}},
	},
	{
		name: "terminate skips compensation: conductor-oss/conductor#1169", dir: "test/matrix", run: "^TestComplaints$/terminate",
		edits: []edit{{
			"internal/sagaclient/start.go", "	if err != nil || c.flow.Kit(&state).Ended {\n		return state, err\n	}\n",
			"	if err != nil || c.flow.Kit(&state).Ended || c.flow.Kit(&state).Decision == saga.GoBack {\n		return state, err\n	}\n",
		}},
	},
	{
		name: "a late undo takes back a good capture: medusajs/medusa#15527", dir: "workflows/order", run: "^TestModel$", always: true,
		edits: []edit{
			{"workflows/saga/decide.go", "	if k.Decision == \"\" || k.Cancelling() ||", "	if len(n.facts.Cancellations) >= 0 ||"},
			{
				"workflows/saga/decide.go", "	case f.Endless, k.Decision == GoForward:\n		return n.forward()",
				"	case f.Endless, k.Decision == GoForward:\n		if len(facts.Cancellations) > 0 {\n			return n.back()\n		}\n		return n.forward()",
			},
		},
	},
	{
		name: "a void takes back a good capture: medusajs/medusa#15527", dir: "internal/simulator", run: "TestContractInMemory/Algebra",
		edits: []edit{{
			"internal/simulator/moves.go",
			"		return move{}, fault.New(fault.EffectSettled, \"the payment of %s was captured\", p)",
			"		return s.write(refundPrefix+\"void\", event.ChargeRefunded, charge), nil",
		}},
	},
	{
		name: "a late void refunds a good capture: medusajs/medusa#15527", dir: "activities", run: "TestCaptureIsRefundedOnlyAfterRecordedDecision",
		edits: []edit{{"workflows/order/steps.go", "	case newest.Decision != Back:\n", "	case false:\n"}},
	},
	{
		name: "a failed refund counts as refunded: vendurehq/vendure#3152", dir: "internal/simulator", run: "TestContractInMemory/Stuck", always: true,
		edits: []edit{{
			"internal/simulator/moves.go",
			"		return move{}, fault.New(fault.Unavailable, \"the simulator does not refund this method\")",
			"		return say(payment.Result{State: payment.Refunded, PaymentID: charge.PaymentID})",
		}},
	},
	{
		name: "a failed void counts as void: vendurehq/vendure#3152", dir: "activities", run: "TestFailedGatewayRecordsNothing", always: true,
		edits: []edit{{
			"workflows/order/steps.go", "	_, err := p.Gateway.Void(ctx, pay.Key(\"void\"), pay)\n",
			"	_, _ = p.Gateway.Void(ctx, pay.Key(\"void\"), pay)\n	var err error\n",
		}},
	},
	{
		name: "captured twice: medusajs/medusa#13301", dir: "test/matrix", run: `TestMatrix/cell/^immediate$/^capture$/done/(kill|timeout)$`,
		edits: []edit{
			{
				"internal/simulator/moves.go",
				"	case b.settle == event.ChargeCaptured:\n		return say(payment.Result{State: payment.Captured, PaymentID: charge.PaymentID})\n	case b.captureCode",
				"	case b.settle == event.ChargeCaptured && fresh:\n		return say(payment.Result{State: payment.Captured, PaymentID: charge.PaymentID})\n	case b.captureCode",
			},
			{"internal/simulator/moves.go", "func (s *Simulator) capture(p payment.Payment, b book) (move, error) {", "func (s *Simulator) capture(p payment.Payment, b book, fresh bool, key string) (move, error) {"},
			{"internal/simulator/moves.go", "	return s.write(keySettle, event.ChargeCaptured, charge), nil", "	return s.write(key, event.ChargeCaptured, charge), nil"},
			{
				"internal/simulator/simulator.go",
				"	return s.move(ctx, \"capture\", p, false, func(b book) (move, error) { return s.capture(p, b) })",
				"	mine := fmt.Sprint(keySettle, time.Now().UnixNano())\n	wrote := false\n	return s.move(ctx, \"capture\", p, false, func(b book) (move, error) {\n		m, err := s.capture(p, b, wrote, mine)\n		wrote = wrote || m.entry != nil\n		return m, err\n	})",
			},
		},
	},
	{
		name: "oversold: vendurehq/vendure#3508", dir: "internal/inventory", run: "TestLedgerInMemory/(Race|Model)", always: true,
		edits: []edit{{"internal/inventory/acquire.go", "	case c.mode != refuseOnly && b.available() >= c.quantity:", "	case c.mode != refuseOnly && b.available() > 0:"}},
	},
	{
		name: "paid for and out of stock: vendurehq/vendure#3065", dir: "workflows", run: "TestRefusals/out_of_stock", always: true,
		edits: []edit{
			{"workflows/saga/decide.go", "		if n.refused(row) {\n			e :=", "		if n.refused(row) && n.k.Has(\"authorize\") {\n			e :="},
		},
	},
	{
		name: "paid but no order: 202-ecommerce/stripe_official#104", dir: "internal/reconcile", run: "TestEveryKindIsFound/payment_without_order",
		edits: []edit{{"internal/reconcile/money.go", "	if b.moved() {\n		l.found(PaymentWithoutOrder", "	if b.moved() && false {\n		l.found(PaymentWithoutOrder"}},
	},
	{
		name: "authorization expired before capture: Automattic/woocommerce-payments#739", dir: "payment/stripe", run: "TestAuthorizationExpiredBeforeCapture",
		edits: []edit{{"payment/stripe/stripe.go", "		case expired(intent):\n", "		case false:\n"}},
	},
	{
		name: "refunded twice: openfoodfoundation/openfoodnetwork#6330", dir: "payment/stripe", run: "TestPaymentRaces/refunded_twice",
		edits: []edit{{
			"payment/stripe/refund.go", "		if err == nil && made == nil {\n			made, err = g.refund(ctx, key,",
			"		if err == nil {\n			made, err = g.refund(ctx, key+sdk.NewIdempotencyKey(),",
		}},
	},
	{
		name: "authorized twice: an idempotency key is ignored", dir: "workflows/order", run: "TestMatrixOverStripe",
		edits: []edit{{"payment/stripe/intent.go", "write(ctx, key+\"/create\",", "write(ctx, key+\"/create/\"+sdk.NewIdempotencyKey(),"}},
	},
	{
		name: "a void leaves the authorization", dir: "workflows/order", run: "TestMatrixOverStripe",
		edits: []edit{{
			"payment/stripe/stripe.go", "		next, err = g.cancel(ctx, key, intent)\n",
			"		if intent.Status == sdk.PaymentIntentStatusRequiresCapture {\n			return resultOf(payment.Undone, intent), nil, nil\n		}\n		next, err = g.cancel(ctx, key, intent)\n",
		}},
	},
	{
		name: "a webhook races the synchronous answer: vendurehq/vendure#3749", dir: "workflows", run: "TestPaymentNotifications/early",
		edits: []edit{{
			"workflows/saga/signals.go", "		if !r.flow.merge(&r.facts, fact) {\n			r.unusable(fact)\n		}\n",
			"		if !r.flow.notifies(fact.Type) || r.flow.IsPending(&r.state, \"authorize\") {\n			r.flow.merge(&r.facts, fact)\n		}\n",
		}},
	},
	{
		name: "an order completes with its first parcel", dir: "workflows/order", run: "TestParcelsInAnyOrder", always: true,
		edits: []edit{{
			"workflows/order/parcel.go", "	return len(s.Parcels) > 0 && s.Order.awaited(s.free()).empty() &&", "	return len(s.Parcels) > 0 &&",
		}},
	},
	{
		name: "fast events are skipped: MassTransit/MassTransit#573", dir: "test/matrix", run: "^TestComplaints$/fast",
		edits: []edit{{
			"workflows/saga/signals.go", "		if !r.flow.merge(&r.facts, fact) {\n			r.unusable(fact)\n		}\n",
			"		if strings.HasPrefix(fact.Type, \"shipment.\") && !k.Has(\"confirm\") {\n			return\n		}\n		r.flow.merge(&r.facts, fact)\n",
		}},
	},
	{
		name: "the outbox publishes twice: MassTransit/MassTransit#3791", dir: "workflows", run: "TestRetriesOfAStepDoNotPublishAgain",
		edits: []edit{
			{"workflows/saga/rundriver.go", "	in.Inline, in.Unpublished = false, nil\n", "	in.Inline = false\n"},
			{"activities/publish.go", "		p.sent.put(run, upTo)\n", ""},
		},
	},
	{
		name: "no notice on completion: dtm-labs/dtm#373", dir: "workflows", run: "TestImmediateOrderCompletes",
		edits: []edit{{"workflows/saga/run.go", "	r.publishLater()\n	for judged", "	for judged"}},
	},
	{
		name: "no view of the remaining steps: Particular/ServicePulse#2691", dir: "test/matrix", run: "^TestComplaints$/no_view",
		edits: []edit{{"workflows/saga/progress.go", "	running := false\n", "	progress = progress[:3]\n	running := false\n"}},
	},
	{
		name: "a released refund is paid", dir: "workflows/refund", run: "TestReleasedRefundIsNotPaid",
		edits: []edit{{"workflows/refund/flow.go", "	switch r := ledger.ByKey[key(c.ID)]; {\n	case r.Released:", "	switch r := ledger.ByKey[key(c.ID)]; {\n	case false:"}},
	},
	{
		name: "a refund may be reserved twice", dir: "workflows/refund", run: "TestUnknownRefundStaysReserved",
		edits: []edit{{"internal/refunds/refunds.go", "return max(limit-l.Reserved[source], 0) }", "return max(limit-0*l.Reserved[source], 0) }"}},
	},
	{
		name: "reconcile believes what a refund says", dir: "internal/reconcile", run: "TestPlantedReturnsAreFound/a_refund_(that_the_ledger|of_less)",
		edits: []edit{{"internal/reconcile/refunds.go", "	if s.Paid && (!r.Refunded || r.Amount != s.Amount) {", "	if false {"}},
	},
	{
		name: "reconcile does not ask the gateway about a refund", dir: "internal/reconcile", run: "TestPlantedReturnsAreFound/a_refund_that_the_gateway",
		edits: []edit{{"internal/reconcile/refunds.go", "	if books[slot].Type != event.ChargeRefunded || err != nil || d.Amount != s.Amount {", "	if err != nil && d.Amount < 0 {"}},
	},
	{
		name: "the audit believes what a refund says", dir: "internal/reconcile", run: "TestPlantedReturnsAreFound/a_refund_(that_the_ledger|of_less)",
		edits: []edit{{"test/audit/refund.go", "	case paid && (reserved != amount || settled != \"refunds.refunded\"):", "	case paid && settled == \"\" && false:"}},
	},
	{
		name: "the audit does not look for refunded goods in stock", dir: "internal/reconcile", run: "TestPlantedReturnsAreFound/goods_of_a_re",
		edits: []edit{{"test/audit/refund.go", "len(stock) > 0 && count != 1 {", "len(stock) > 0 && count > 1 {"}},
	},
	{
		name: "a return does not see other returns and refunds", dir: "workflows/returns", run: "TestNoMoreIsReturnedThanWasDelivered", always: true,
		edits: []edit{{"workflows/returns/request.go", "	delivered, taken := Delivered(a.order), l.Taken()", "	delivered, taken := Delivered(a.order), map[int]int64{}"}},
	},
	{
		name: "a refund of lines does not see returns", dir: "workflows/returns", run: "TestNoMoreIsReturnedThanWasDelivered",
		edits: []edit{{"workflows/refund/request.go", "Quantity - all[i].priced - units[i+1]", "Quantity - all[i].priced - 0*units[i+1]"}},
	},
	{
		name: "a receipt counts twice", dir: "workflows/returns", run: "TestReceiptsAreCountedOnce",
		edits: []edit{{"workflows/returns/receipts.go", "	case slices.Contains(s.Receipts, f.ID):", "	case false:"}},
	},
	{
		name: "a refused refund of a return counts as refunded", dir: "workflows/returns", run: "TestMatrix/refund_refused",
		edits: []edit{{
			"workflows/returns/steps.go", "		return saga.Refused(refundRefused{s.Request.OrderID, id, of.Reason, of.Detail}), nil",
			"		return saga.Done(refunded{s.Request.OrderID, id, of.Amount, of.Currency}), nil",
		}},
	},
}

// TestMutantsApply notices a mutant that has nothing to mutate any more, without compiling it.
func TestMutantsApply(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	for _, m := range slices.Concat(mutants, complaintMutants) {
		m.overlay(t, root)
	}
}

// TestComplaintsNeedTheirGuards breaks what each answer hangs on, and wants its test to notice.
func TestComplaintsNeedTheirGuards(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the tests anew for each mutant")
	}
	testenv.Temporal(t)
	runMutants(t, complaintMutants)
}
