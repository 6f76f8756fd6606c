package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/test/harness"
)

// inFlight is how many sagas must be without their end when the service is killed; burstSize is how many orders are
// sent at once for that.
const (
	inFlight  = 40
	burstSize = 200
)

// mostKills bounds the kills until five of them have interrupted enough open sagas.
const mostKills = 25

// TestKilledInTheMiddle kills the service at five seeded moments while at least forty sagas have no terminal event.
// After the restart every saga ends, stock and money add up, and no timeline has a gap or a fork. Clients repeat a request with its key until
// it is answered.
func TestKilledInTheMiddle(t *testing.T) {
	const seed = 20260102
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	s := newStack(t)
	s.start()
	skus := s.skus()
	var ids []string
	for round, kills := 0, 0; round < 5; kills++ {
		require.Less(t, kills, mostKills, "in %d rounds only enough sagas were open when the plug was pulled", round)
		moment := time.Duration(random.IntN(50)) * time.Millisecond
		burst := s.underway(skus, random, inFlight+10)
		<-time.NewTimer(moment).C
		s.service.Kill()
		open := s.open(burst)
		t.Logf("round %d: killed with %d sagas open", round, open)
		s.start()
		ids = append(ids, burst.placed()...)
		// The service may have finished them while this test was suspended: then the kill does not count.
		if open >= inFlight {
			round++
		}
	}
	for _, id := range ids {
		_, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
	}
	report := s.audit()
	require.Len(t, report.Orders, len(ids), "every accepted order exists once")
	for _, sku := range skus {
		require.Zero(t, report.Reserved[sku])
	}
	for _, id := range ids {
		s.published(report, id)
	}
}

// burst is a crowd of orders on their way.
type burst struct {
	// crowds are the IDs of the orders that were sent, by crowd; the next crowd is sent when all of them are accepted.
	crowds  [][]string
	sending sync.WaitGroup

	mu sync.Mutex
	// accepted are the orders that the service has answered with 202.
	accepted []string
	// sent reports whether every order of the last crowd is accepted.
	sent   bool
	change chan struct{}
}

// moves changes the burst and wakes the goroutines that wait for a change.
func (b *burst) moves(how func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	how()
	close(b.change)
	b.change = make(chan struct{})
}

func (b *burst) accept(id string) { b.moves(func() { b.accepted = append(b.accepted, id) }) }

// underway sends orders until so many sagas are open at once. One crowd is enough, unless the service has finished it before this test sees
// so many open sagas.
func (s *stack) underway(skus []string, random *rand.Rand, n int) *burst {
	s.t.Helper()
	b := &burst{change: make(chan struct{})}
	for {
		s.send(b, skus, random)
		if s.awaitOpen(b, n) {
			return b
		}
	}
}

// awaitOpen waits until so many sagas are open: accepted by the service, over REST or by their first event on the bus,
// and without a terminal event on the bus. It reports false when the last crowd has ended before.
func (s *stack) awaitOpen(b *burst, n int) bool {
	s.t.Helper()
	for {
		moved := s.tap.Changed()
		open, ended := map[string]bool{}, map[string]bool{}
		b.mu.Lock()
		change, sent := b.change, b.sent
		for _, id := range b.accepted {
			open[id] = true
		}
		b.mu.Unlock()
		for _, id := range s.tap.Subjects("order.accepted") {
			open[id] = true
		}
		for _, id := range s.tap.Subjects("order.completed", "order.rejected", "order.cancelled", "order.failed") {
			delete(open, id)
			ended[id] = true
		}
		switch {
		case len(open) >= n:
			return true
		case sent && !slices.ContainsFunc(b.crowds[len(b.crowds)-1], func(id string) bool { return !ended[id] }):
			return false
		}
		select {
		case <-change:
		case <-moved:
		case <-s.ctx.Done():
			s.t.Fatalf("too few sagas are ever open: %d, and %d have ended", len(open), len(ended))
		}
	}
}

// placed waits until every order is accepted and returns the ids.
func (b *burst) placed() []string {
	b.sending.Wait()
	return slices.Concat(b.crowds...)
}

// send sends orders of all kinds at once, half of them over the bus. It does not wait for them.
func (s *stack) send(b *burst, skus []string, random *rand.Rand) {
	s.t.Helper()
	methods := []string{"tok_visa", "tok_visa", "tok_declined", "tok_timeout", "tok_capture_refused"}
	s.crowds++
	crowd, ids := s.crowds, make([]string, burstSize)
	b.crowds = append(b.crowds, ids)
	b.moves(func() { b.sent = false })
	var all sync.WaitGroup
	for i := range ids {
		sku := skus[i%len(skus)]
		o := harness.NewOrder(sku, 1+int64(random.IntN(3)), methods[random.IntN(len(methods))])
		all.Go(func() {
			if i%2 == 0 {
				ids[i] = s.insist(o, fmt.Sprintf("%s-%d-%d", sku, crowd, i))
				b.accept(ids[i])
				return
			}
			o.ID = fmt.Sprintf("crash-%s-%d-%d", sku, crowd, i)
			ids[i] = o.ID
			if _, err := s.bus.Publish(s.ctx, "order.created", o.ID, o); err != nil {
				s.t.Error(err)
			}
		})
	}
	b.sending.Go(func() {
		all.Wait()
		b.moves(func() { b.sent = true })
	})
}

// skus makes some SKUs with more stock than any test needs.
func (s *stack) skus() []string {
	skus := make([]string, 4)
	for i := range skus {
		skus[i] = s.sku(1_000_000)
	}
	return skus
}

// insist repeats the request for an order, with its key, until the service accepts it.
func (s *stack) insist(o harness.Order, key string) string {
	for {
		client, changed := s.current()
		placed, err := client.Place(s.ctx, o, 0, "Idempotency-Key", key)
		if err == nil {
			return placed.ID
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		case <-s.ctx.Done():
			s.t.Errorf("order %s was never accepted: %v", key, err)
			return ""
		}
	}
}

// has reports whether a document exists.
func (s *stack) has(id string) bool {
	n, err := s.db.Collection("events").CountDocuments(s.ctx, bson.D{{Key: "_id", Value: id}})
	require.NoError(s.t, err)
	return n == 1
}

// open counts the sagas without a terminal event: orders of the burst that the service had accepted, and every order
// that the log has.
func (s *stack) open(b *burst) int {
	cursor, err := s.db.Collection("events").Find(s.ctx, bson.D{})
	require.NoError(s.t, err)
	var documents []struct {
		Stream string `bson:"stream"`
		Key    string `bson:"key"`
	}
	require.NoError(s.t, cursor.All(s.ctx, &documents))
	open := map[string]bool{}
	b.mu.Lock()
	for _, id := range b.accepted {
		open["order-"+id] = true
	}
	b.mu.Unlock()
	for _, d := range documents {
		if strings.HasPrefix(d.Stream, "order-") && d.Key == "accept" {
			open[d.Stream] = true
		}
	}
	for _, d := range documents {
		if d.Key == "end" {
			delete(open, d.Stream)
		}
	}
	return len(open)
}

// TestTheLogDecidesAfterACrash: a workflow task has captured inline; the service is killed after the append and before the workflow task
// completes; then a cancellation arrives. The order is not compensated, because the log has the capture.
func TestTheLogDecidesAfterACrash(t *testing.T) {
	s := newStack(t)
	placed, hit := s.killedAfterCapture()
	for tries := 1; !hit; tries++ {
		require.Less(t, tries, 10, "the workflow task always completes before the plug is pulled")
		s.start()
		s.ends(placed.ID, "completed", "")
		s.service.Kill()
		placed, hit = s.killedAfterCapture()
	}
	require.NoError(t, s.temporal.CancelWorkflow(s.ctx, "order-"+placed.ID, ""), "as the Web UI's Cancel button does")
	_, err := s.bus.Publish(s.ctx, "order.cancellation_requested", placed.ID, map[string]any{"orderId": placed.ID, "reason": "too late"})
	require.NoError(t, err)

	s.start()
	end, err := s.client.AwaitEnd(s.ctx, placed.ID)
	require.NoError(t, err)
	require.Equal(t, "completed", end.Status)
	report := s.audit()
	require.Equal(t, int64(2000), report.Net[placed.ID])
	require.NotContains(t, report.Timeline(placed.ID), "inventory.released")
	require.Contains(t, report.Timeline(placed.ID), "order.cancellation_refused")
	s.published(report, placed.ID)
}

// killedAfterCapture kills the service in the workflow task in which an order's payment was captured, and reports whether
// Temporal has no record of what the task did: a step may take three seconds in it, and the test may be suspended for longer before it kills
// the service.
func (s *stack) killedAfterCapture() (placed harness.Resource, hit bool) {
	s.t.Helper()
	// The step after payment.captured is the commit of the stock: its document never reaches the server.
	stall, err := harness.NewStall(mongoHost(s.t), "stock.committed")
	require.NoError(s.t, err)
	s.t.Cleanup(stall.Close)
	s.start("MONGODB_URI=mongodb://" + stall.Addr() + "/?directConnection=true")
	placed, err = s.client.Place(s.ctx, harness.NewOrder(s.sku(5), 2, "tok_visa"), 0)
	require.NoError(s.t, err)
	select {
	case <-stall.Stalled():
	case <-s.ctx.Done():
		s.t.Fatal("the commit was never sent")
	}
	s.service.Kill()
	require.True(s.t, s.has(fmt.Sprintf("order-%s@%010d", placed.ID, 5)), "payment.captured is in the log")
	require.False(s.t, s.has(fmt.Sprintf("order-%s@%010d", placed.ID, 6)))
	history := s.temporal.GetWorkflowHistory(s.ctx, "order-"+placed.ID, "", false, 0)
	for history.HasNext() {
		e, err := history.Next()
		require.NoError(s.t, err)
		if e.GetEventType().String() == "WorkflowTaskCompleted" {
			return placed, false
		}
	}
	return placed, true
}

// TestAStoreThatIsAwayFailsTheReservation: no reservation reaches the ledger within its deadline. The order fails, the slot is fenced, and no
// stock is reserved.
func TestAStoreThatIsAwayFailsTheReservation(t *testing.T) {
	s := newStack(t)
	mongo, err := url.Parse(os.Getenv("MONGODB_URI"))
	require.NoError(t, err)
	stall, err := harness.NewStall(mongo.Host, "stock.reserved")
	require.NoError(t, err)
	t.Cleanup(stall.Close)
	s.start("MONGODB_URI=mongodb://"+stall.Addr()+"/?directConnection=true", "RESERVE_DEADLINE=4s")
	sku := s.sku(5)
	placed, err := s.client.Place(s.ctx, harness.NewOrder(sku, 2, "tok_visa"), 0)
	require.NoError(t, err)
	end, err := s.client.AwaitEnd(s.ctx, placed.ID)
	require.NoError(t, err)
	require.Equal(t, "failed", end.Status)
	require.Equal(t, "reserve_unavailable", end.Reason)
	report := s.audit()
	require.Equal(t, []string{"order.accepted", "order.compensating", "inventory.released", "order.failed"}, report.Timeline(placed.ID))
	require.Equal(t, int64(5), report.OnHand[sku])
	require.Zero(t, report.Reserved[sku])
}

// TestDrain: a service that is stopped while orders run and requests wait loses nothing.
func TestDrain(t *testing.T) {
	s := newStack(t)
	s.start()
	burst := s.underway(s.skus(), rand.New(rand.NewPCG(7, 7)), inFlight)
	require.NoError(t, s.service.Stop(patience), "it drains and exits without an error")
	s.start()
	ids := burst.placed()
	for _, id := range ids {
		_, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
	}
	require.Len(t, s.audit().Orders, len(ids))
}
