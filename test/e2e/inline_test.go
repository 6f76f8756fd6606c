package e2e

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// remoteSteps are the summaries of the calls of services by an order that completes.
var remoteSteps = []string{"reserve every line", "authorize the payment", "capture the payment", "commit the stock"}

// TestRemoteCallsMoveWithTheirLatency: services of a shop that answer quickly are called inside the workflow task, slow ones with regular activities from the
// second order on, and inside the task again when they have recovered.
func TestRemoteCallsMoveWithTheirLatency(t *testing.T) {
	const orders = 100
	s := newStack(t)
	p := s.participant(map[string]int64{"tea": 10 * orders})
	s.start()
	place := func(latency string) (regular []string) {
		t.Helper()
		began := time.Now()
		end := s.place(harness.NewOrder("tea", 1, "tok_visa"))
		require.Equal(t, "completed", end.Status)
		took := time.Since(began)
		require.NoError(t, s.temporal.GetWorkflow(s.ctx, "order-"+end.ID, "").Get(s.ctx, nil))
		regular = s.regular(end.ID)
		events, bytes := s.history(end.ID)
		t.Logf("latency %s: %s, %d events, %d bytes, %d regular activities", latency, took.Round(time.Millisecond), events, bytes, len(regular))
		return regular
	}
	// A busy machine may make a service slow that is not.
	inline := func(latency string) bool {
		for range 5 {
			if len(place(latency)) == 0 {
				return true
			}
		}
		return false
	}
	p.slowDown(50 * time.Millisecond)
	require.True(t, inline("50 ms"))
	p.slowDown(3 * time.Second)
	place("3 s, first order")
	require.ElementsMatch(t, remoteSteps, place("3 s"))
	p.slowDown(50 * time.Millisecond)
	require.NotEmpty(t, place("50 ms again"), "that is not known yet")
	var placing sync.WaitGroup
	for range orders {
		placing.Go(func() {
			placed, err := s.client.Place(s.ctx, harness.NewOrder("tea", 1, "tok_visa"), 0)
			if err == nil {
				_, err = s.client.AwaitEnd(s.ctx, placed.ID)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	placing.Wait()
	require.True(t, inline("50 ms, after 100 orders"))
}
