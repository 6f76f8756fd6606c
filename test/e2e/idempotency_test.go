package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

const atOnce = 20

func TestTheSameKeyTwentyTimesAtOnceIsOneOrder(t *testing.T) {
	s := newStack(t)
	s.start()
	sku, key := s.sku(100), uuid.NewString()
	o := harness.NewOrder(sku, 1, "tok_visa")
	wait := fmt.Sprintf("wait=%d", int(longestWait.Seconds()))
	responses := make([]harness.Response, atOnce)
	var all sync.WaitGroup
	for i := range responses {
		all.Go(func() {
			var err error
			responses[i], err = s.client.Do(s.ctx, http.MethodPost, "/v1/orders", o, "Idempotency-Key", key, "Prefer", wait)
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	ids, fresh, unanswered := map[string]bool{}, 0, false
	for _, r := range responses {
		var resource harness.Resource
		require.NoError(t, json.Unmarshal(r.Body, &resource), "%s", r.Body)
		require.Equal(t, "completed", resource.Status)
		ids[resource.ID] = true
		if r.Header.Get("Idempotent-Replayed") != "true" {
			fresh++
		}
		unanswered = unanswered || r.Tries > 1
	}
	require.Len(t, ids, 1)
	require.LessOrEqual(t, fresh, 1, "one request placed the order, the others returned it")
	// If a server was too slow, the request that placed the order may have no answer; its repetition then found the order.
	require.True(t, fresh == 1 || unanswered, "one request placed the order and was answered with 201 or 202")
	report := s.audit()
	require.Len(t, report.Orders, 1)
	require.Equal(t, int64(1), report.Committed[sku])

	other := o
	other.Lines = []harness.Line{{SKU: sku, Quantity: 2, UnitAmount: 1000}}
	refused, err := s.client.Do(s.ctx, http.MethodPost, "/v1/orders", other, "Idempotency-Key", key)
	require.NoError(t, err)
	var problem harness.Problem
	require.NoError(t, refused.Into(http.StatusUnprocessableEntity, &problem))
	require.Equal(t, "idempotency_conflict", problem.Code)
}

// TestOrdersWithoutAKeyAreOrdersOfTheirOwn: without a key, a repeated request is a second order. After a 503 a client without a key does not
// know whether its order was placed: the next request places another one.
func TestOrdersWithoutAKeyAreOrdersOfTheirOwn(t *testing.T) {
	s := newStack(t)
	s.start()
	client, sku := harness.Client{URL: s.service.URL}, s.sku(100)
	o := harness.NewOrder(sku, 1, "tok_visa")
	ids, unanswered := map[string]bool{}, false
	for len(ids) < 2 {
		response, err := client.Do(s.ctx, http.MethodPost, "/v1/orders", o)
		require.NoError(t, err)
		if response.Status == http.StatusServiceUnavailable {
			unanswered = true
			continue
		}
		var placed harness.Resource
		require.NoError(t, response.Into(http.StatusAccepted, &placed))
		require.Empty(t, response.Header.Get("Idempotent-Replayed"))
		require.NotContains(t, ids, placed.ID)
		ids[placed.ID] = true
		end, err := s.client.AwaitEnd(s.ctx, placed.ID)
		require.NoError(t, err)
		require.Equal(t, "completed", end.Status)
	}
	if !unanswered {
		require.Equal(t, int64(2), s.audit().Committed[sku])
	}
}

func TestTheSameEventTwentyTimesIsOneSaga(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(100)
	o := harness.NewOrder(sku, 1, "tok_visa")
	o.ID = "again-" + sku
	created := harness.Event(uuid.NewString(), "order.created", o.ID, o)
	for range atOnce {
		require.NoError(t, s.bus.PublishJSON(s.ctx, harness.Exchange, "order.created", "application/cloudevents+json", created))
	}
	_, err := s.client.AwaitStatus(s.ctx, o.ID, "completed")
	require.NoError(t, err)

	// Other content under the same id is refused, and nothing else: the dead letter says why.
	o.Lines[0].Quantity = 2
	id, err := s.bus.Publish(s.ctx, "order.created", o.ID, o)
	require.NoError(t, err)
	dead, err := s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.EventID == id })
	require.NoError(t, err)
	require.Equal(t, "conflict", dead.Reason)

	report := s.audit()
	require.Equal(t, completed, report.Timeline(o.ID))
	require.Equal(t, int64(1), report.Committed[sku])
	s.published(report, o.ID)
}

// TestTwoHundredOrdersRaceForFifty: exactly fifty complete, no unit is sold twice, no order is charged twice.
func TestTwoHundredOrdersRaceForFifty(t *testing.T) {
	s := newStack(t)
	s.start("RESERVE_DEADLINE=1h", "AUTHORIZE_DEADLINE=1h") // no order is to fail because the machine is slow
	sku := s.sku(50)
	ids := make([]string, 200)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			o := harness.NewOrder(sku, 1, "tok_visa")
			o.CustomerID = fmt.Sprintf("c-%d", i)
			ids[i] = s.insist(o, uuid.NewString())
		})
	}
	all.Wait()
	require.False(t, t.Failed())
	ends := map[string]int{}
	for _, id := range ids {
		end, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
		ends[end.Status+" "+end.Reason]++
	}
	require.Equal(t, map[string]int{"completed ": 50, "rejected out_of_stock": 150}, ends)
	report := s.audit()
	require.Len(t, report.Orders, 200)
	require.Zero(t, report.OnHand[sku])
	require.Zero(t, report.Reserved[sku])
	require.Equal(t, int64(50), report.Committed[sku])
	for id, end := range report.Orders {
		if end == "order.completed" {
			require.Equal(t, 1, report.Authorizations[id])
			require.Equal(t, int64(1000), report.Net[id])
		}
	}
	stock, err := s.client.Stock(s.ctx, sku)
	require.NoError(t, err)
	require.Zero(t, stock.Available)
}
