package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
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

// TestKilledInTheMiddle kills the service at five seeded moments while at least forty sagas have no terminal event.
// After the restart every one of them ends, stock and money add up, and no timeline has a gap or a fork. Clients do
// what clients do: they send a request again, with its key, until it is answered.
func TestKilledInTheMiddle(t *testing.T) {
	const seed = 20260102
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	s := newStack(t)
	s.start()
	skus := s.skus()
	var ids []string
	for round := range 5 {
		moment := time.Duration(random.IntN(50)) * time.Millisecond
		burst := s.burst(skus, round, random)
		s.awaitOpen(burst, inFlight+10)
		<-time.NewTimer(moment).C
		s.service.Kill()
		open := s.open(burst)
		require.GreaterOrEqual(t, open, inFlight, "round %d: too few sagas were open when the plug was pulled", round)
		t.Logf("round %d: killed with %d sagas open", round, open)
		s.start()
		ids = append(ids, burst.placed()...)
	}
	for _, id := range ids {
		_, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
	}
	report := s.audit()
	require.Len(t, report.Orders, len(ids), "nothing that was accepted is lost, and nothing came twice")
	for _, sku := range skus {
		require.Zero(t, report.Reserved[sku])
	}
	for _, id := range ids {
		s.published(report, id)
	}
}

// burst is a crowd of orders on their way.
type burst struct {
	ids []string
	all sync.WaitGroup

	mu sync.Mutex
	// accepted are the orders that the service has said 202 to.
	accepted []string
	change   chan struct{}
}

func (b *burst) accept(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accepted = append(b.accepted, id)
	close(b.change)
	b.change = make(chan struct{})
}

// awaitOpen waits until so many sagas are open: accepted by the service, over REST or by their first event on the bus,
// and not ended as far as the bus knows.
func (s *stack) awaitOpen(b *burst, n int) {
	s.t.Helper()
	for {
		moved := s.tap.Changed()
		open := map[string]bool{}
		b.mu.Lock()
		change := b.change
		for _, id := range b.accepted {
			open[id] = true
		}
		b.mu.Unlock()
		for _, id := range s.tap.Subjects("order.accepted") {
			open[id] = true
		}
		for _, id := range s.tap.Subjects("order.completed", "order.rejected", "order.cancelled", "order.failed") {
			delete(open, id)
		}
		if len(open) >= n {
			return
		}
		select {
		case <-change:
		case <-moved:
		case <-s.ctx.Done():
			s.t.Fatal("too few sagas are ever open")
		}
	}
}

// placed waits until every order is accepted and returns the ids.
func (b *burst) placed() []string {
	b.all.Wait()
	return b.ids
}

// burst sends orders of all kinds at once, half of them over the bus. It does not wait for them.
func (s *stack) burst(skus []string, round int, random *rand.Rand) *burst {
	s.t.Helper()
	methods := []string{"tok_visa", "tok_visa", "tok_declined", "tok_timeout", "tok_capture_refused"}
	b := &burst{ids: make([]string, burstSize), change: make(chan struct{})}
	for i := range b.ids {
		sku := skus[i%len(skus)]
		o := harness.NewOrder(sku, 1+int64(random.IntN(3)), methods[random.IntN(len(methods))])
		b.all.Go(func() {
			if i%2 == 0 {
				b.ids[i] = s.insist(o, fmt.Sprintf("%s-%d-%d", sku, round, i))
				b.accept(b.ids[i])
				return
			}
			o.ID = fmt.Sprintf("crash-%s-%d-%d", sku, round, i)
			b.ids[i] = o.ID
			if _, err := s.bus.Publish(s.ctx, "order.created", o.ID, o); err != nil {
				s.t.Error(err)
			}
		})
	}
	return b
}

// skus makes some SKUs with more stock than any test needs.
func (s *stack) skus() []string {
	skus := make([]string, 4)
	for i := range skus {
		skus[i] = s.sku(1_000_000)
	}
	return skus
}

// insist places an order, again and again under its key, until the service accepts it.
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

// has reports whether a document is there.
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

// TestTheLogDecidesAfterACrash: an inline task has captured; the plug is pulled after the append and before the
// workflow task completes; then somebody cancels. The order is not undone: the log decided.
func TestTheLogDecidesAfterACrash(t *testing.T) {
	s := newStack(t)
	mongo, err := url.Parse(os.Getenv("MONGODB_URI"))
	require.NoError(t, err)
	// What comes after payment.captured is the commit of the stock: its document never reaches the server.
	stall, err := harness.NewStall(mongo.Host, "stock.committed")
	require.NoError(t, err)
	t.Cleanup(stall.Close)
	s.start("MONGODB_URI=mongodb://" + stall.Addr() + "/?directConnection=true")
	placed, err := s.client.Place(s.ctx, harness.NewOrder(s.sku(5), 2, "tok_visa"), 0)
	require.NoError(t, err)
	select {
	case <-stall.Stalled():
	case <-s.ctx.Done():
		t.Fatal("the commit never came")
	}
	s.service.Kill()
	require.True(t, s.has(fmt.Sprintf("order-%s@%010d", placed.ID, 5)), "payment.captured is in the log")
	require.False(t, s.has(fmt.Sprintf("order-%s@%010d", placed.ID, 6)))
	history := s.temporal.GetWorkflowHistory(s.ctx, "order-"+placed.ID, "", false, 0)
	for history.HasNext() {
		e, err := history.Next()
		require.NoError(t, err)
		require.NotEqual(t, "WorkflowTaskCompleted", e.GetEventType().String(), "Temporal knows nothing of what the task did")
	}
	require.NoError(t, s.temporal.CancelWorkflow(s.ctx, "order-"+placed.ID, ""), "as the Web UI's Cancel button does")
	_, err = s.bus.Publish(s.ctx, "order.cancellation_requested", placed.ID, map[string]any{"orderId": placed.ID, "reason": "too late"})
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

// TestAStoreThatIsAwayFailsTheReservation: no reservation reaches the ledger within its deadline. The order fails, the
// slot is fenced, and nothing is held.
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

// TestDrain: a service that is asked to stop while orders run and requests wait loses nothing.
func TestDrain(t *testing.T) {
	s := newStack(t)
	s.start()
	burst := s.burst(s.skus(), 0, rand.New(rand.NewPCG(7, 7)))
	s.awaitOpen(burst, inFlight)
	require.NoError(t, s.service.Stop(patience), "it drains and exits without an error")
	s.start()
	ids := burst.placed()
	for _, id := range ids {
		_, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
	}
	require.Len(t, s.audit().Orders, len(ids))
}
