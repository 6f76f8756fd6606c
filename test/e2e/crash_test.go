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

// inFlight is how many sagas must be without their end when the service is killed.
const inFlight = 40

// TestKilledInTheMiddle kills the service at five seeded moments while at least forty sagas have no terminal event.
// After the restart every one of them ends, stock and money add up, and no timeline has a gap or a fork.
func TestKilledInTheMiddle(t *testing.T) {
	seed := uint64(20260102)
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	s := newStack(t)
	s.start()
	sku := s.sku(1_000_000)
	var ids []string
	for round := range 5 {
		moment := time.Duration(random.IntN(120)) * time.Millisecond
		batch := s.burst(sku, round, random)
		ids = append(ids, batch...)
		s.waitForEvents(batch, moment)
		s.service.Kill()
		open := s.openOrders()
		require.GreaterOrEqual(t, open, inFlight, "round %d: too few sagas were open when the plug was pulled", round)
		t.Logf("round %d: killed %s after the first outcome, %d sagas open", round, moment, open)
		s.start()
	}
	for _, id := range ids {
		_, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
	}
	report := s.audit()
	require.Len(t, report.Orders, len(ids), "nothing that was accepted is lost")
	require.Zero(t, report.Reserved[sku])
	for _, id := range ids {
		s.published(report, id)
	}
}

// burst places orders of all kinds at once, half of them over the bus, and returns their ids. It returns when all
// are accepted, not when they have ended.
func (s *stack) burst(sku string, round int, random *rand.Rand) []string {
	s.t.Helper()
	methods := []string{"tok_visa", "tok_visa", "tok_declined", "tok_timeout", "tok_capture_refused"}
	ids := make([]string, 80)
	orders := make([]harness.Order, len(ids))
	for i := range orders {
		orders[i] = harness.NewOrder(sku, 1+int64(random.IntN(3)), methods[random.IntN(len(methods))])
	}
	var all sync.WaitGroup
	for i, o := range orders {
		all.Go(func() {
			if i%2 == 0 {
				placed, err := s.client.Place(s.ctx, o, 0)
				if err != nil {
					s.t.Error(err)
				}
				ids[i] = placed.ID
				return
			}
			o.ID = fmt.Sprintf("crash-%s-%d-%d", sku, round, i)
			if _, err := s.bus.Publish(s.ctx, "order.created", o.ID, o); err != nil {
				s.t.Error(err)
			}
			ids[i] = o.ID
		})
	}
	all.Wait()
	require.False(s.t, s.t.Failed())
	return ids
}

// waitForEvents waits until the first of the orders has an event, and then for a moment.
func (s *stack) waitForEvents(ids []string, moment time.Duration) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		for _, id := range ids[:8] {
			if s.has(fmt.Sprintf("order-%s@%010d", id, 1)) {
				return true
			}
		}
		return false
	}, 30*time.Second, 2*time.Millisecond)
	timer := time.NewTimer(moment)
	<-timer.C
}

// has reports whether a document is there.
func (s *stack) has(id string) bool {
	n, err := s.db.Collection("events").CountDocuments(s.ctx, bson.D{{Key: "_id", Value: id}})
	require.NoError(s.t, err)
	return n == 1
}

// openOrders counts the orders in the log that have no terminal event, and the running sagas that are not in the
// log yet are not counted: this is the careful number.
func (s *stack) openOrders() int {
	cursor, err := s.db.Collection("events").Find(s.ctx, bson.D{})
	require.NoError(s.t, err)
	var documents []struct {
		Stream string `bson:"stream"`
		Key    string `bson:"key"`
	}
	require.NoError(s.t, cursor.All(s.ctx, &documents))
	open := map[string]bool{}
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

// TestDrain: a service that is asked to stop while orders run and requests wait loses nothing.
func TestDrain(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(1_000_000)
	ids := s.burst(sku, 0, rand.New(rand.NewPCG(7, 7)))
	require.NoError(t, s.service.Stop(60*time.Second), "it drains and exits without an error")
	s.start()
	for _, id := range ids {
		_, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
	}
	require.Len(t, s.audit().Orders, len(ids))
}
