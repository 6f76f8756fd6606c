package api_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestPlaceReturnsAccepted(t *testing.T) {
	f := newFixture(t)
	a := f.do(http.MethodPost, "/v1/orders", validOrder, "X-Correlation-Id", "correlation-1")
	require.Equal(t, http.StatusAccepted, a.status)
	require.Equal(t, "/v1/orders/id-1", a.header.Get("Location"))
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.Equal(t, "correlation-1", a.header.Get("X-Correlation-Id"))
	require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
	require.Empty(t, a.header.Get("Idempotent-Replayed"))
	golden(t, "accepted.json", a.body)
	require.Equal(t, sagaclient.Placement{Order: placedOrder("id-1"), CorrelationID: "correlation-1", Fresh: true},
		f.sagas.placed["id-1"])
}

func TestPlaceWithKeyIsOneOrder(t *testing.T) {
	f := newFixture(t)
	id := event.DerivedID("order", "anonymous", "key-1")
	first := f.do(http.MethodPost, "/v1/orders", validOrder, "Idempotency-Key", "key-1")
	require.Equal(t, id, first.resource(t).ID)
	require.False(t, f.sagas.placed[id].Fresh)

	// The same order, written in another way.
	same := strings.NewReplacer(`,"fulfillment":"immediate"`, "", `{"customerId"`, "{ \n \"customerId\"").Replace(validOrder)
	again := f.do(http.MethodPost, "/v1/orders", same, "Idempotency-Key", "key-1")
	require.Equal(t, http.StatusAccepted, again.status)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.Equal(t, id, again.resource(t).ID)

	f.append(id, timeline(id)...)
	later := f.do(http.MethodPost, "/v1/orders", validOrder, "Idempotency-Key", "key-1")
	require.Equal(t, http.StatusAccepted, later.status, "without Prefer the status depends on nothing")
	require.Equal(t, "completed", later.resource(t).Status)
	waited := f.do(http.MethodPost, "/v1/orders", validOrder, "Idempotency-Key", "key-1", "Prefer", "wait=60")
	require.Equal(t, http.StatusCreated, waited.status)
	require.Equal(t, "true", waited.header.Get("Idempotent-Replayed"))

	other := f.do(http.MethodPost, "/v1/orders", strings.Replace(validOrder, "customer-7", "customer-8", 1), "Idempotency-Key", "key-1")
	require.Equal(t, http.StatusUnprocessableEntity, other.status)
	require.Equal(t, "idempotency_conflict", other.problem(t).Code)

	require.Len(t, f.sagas.placed, 1)
	require.Equal(t, http.StatusAccepted, f.do(http.MethodPost, "/v1/orders", validOrder, "Idempotency-Key", "key-2").status)
	require.Len(t, f.sagas.placed, 2)
}

func TestConcurrentPlaceWithSameKey(t *testing.T) {
	f := newFixture(t)
	const clients = 20
	answers := make([]answer, clients)
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			answers[i] = f.do(http.MethodPost, "/v1/orders", validOrder, "Idempotency-Key", "key-1")
		})
	}
	group.Wait()
	fresh := 0
	for _, a := range answers {
		require.Equal(t, http.StatusAccepted, a.status)
		require.Equal(t, answers[0].resource(t).ID, a.resource(t).ID)
		if a.header.Get("Idempotent-Replayed") == "" {
			fresh++
		}
	}
	require.Equal(t, 1, fresh)
	require.Len(t, f.sagas.placed, 1)
}

func TestPlaceWaitsForTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.sagas.started = func(p sagaclient.Placement) {
			go func() {
				for _, e := range timeline(p.Order.ID) {
					time.Sleep(300 * time.Millisecond)
					f.append(p.Order.ID, e)
				}
			}()
		}
		started := time.Now()
		a := f.do(http.MethodPost, "/v1/orders", validOrder, "Prefer", "respond-async, wait=10")
		require.Equal(t, 2100*time.Millisecond, time.Since(started), "it answers with the terminal event")
		require.Equal(t, http.StatusCreated, a.status)
		require.Equal(t, "wait=10", a.header.Get("Preference-Applied"))
		require.Equal(t, "/v1/orders/id-2", a.header.Get("Location"))
		require.Equal(t, "completed", a.resource(t).Status)
		require.EqualValues(t, 7, a.resource(t).Version)
	})
}

func TestPlaceWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.sagas.started = func(p sagaclient.Placement) { f.append(p.Order.ID, timeline(p.Order.ID)[:3]...) }
		started := time.Now()
		a := f.do(http.MethodPost, "/v1/orders", validOrder, "Prefer", "wait=600")
		require.Equal(t, time.Minute, time.Since(started), "a minute is the most")
		require.Equal(t, http.StatusAccepted, a.status)
		require.Empty(t, a.header.Get("Preference-Applied"))
		require.Equal(t, "authorized", a.resource(t).Status)
	})
}

func TestDrainEndsWaitingRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		time.AfterFunc(2*time.Second, f.server.Drain)
		started := time.Now()
		a := f.do(http.MethodPost, "/v1/orders", validOrder, "Prefer", "wait=30")
		require.Equal(t, http.StatusAccepted, a.status)
		require.Equal(t, 2*time.Second, time.Since(started))
	})
}

func TestPlaceWaitsForEveryEnd(t *testing.T) {
	f := newFixture(t)
	f.sagas.started = func(p sagaclient.Placement) {
		id := p.Order.ID
		ending := order.Ending{OrderID: id, Outcome: order.StatusRejected, Reason: order.ReasonPaymentDeclined}
		f.append(id, timeline(id)[0], event.New(event.OrderStream(id), order.SlotEnd, event.OrderRejected, id, at, ending))
	}
	a := f.do(http.MethodPost, "/v1/orders", validOrder, "Prefer", "wait=60")
	require.Equal(t, http.StatusCreated, a.status)
	require.Equal(t, "rejected", a.resource(t).Status)
	require.Equal(t, "payment_declined", *a.resource(t).Reason)
}

func TestPlaceWithoutTemporal(t *testing.T) {
	f := newFixture(t)
	f.sagas.fail = fault.Wrap(context.DeadlineExceeded, fault.Unavailable, "dial secret-host:7233")
	a := f.do(http.MethodPost, "/v1/orders", validOrder)
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.Equal(t, "unavailable", a.problem(t).Code)
	require.NotContains(t, a.body, "secret-host")
	require.Contains(t, f.output.String(), "secret-host")
}

func TestPreferredWait(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "wait=10": 10 * time.Second, "WAIT = 10": 10 * time.Second, `wait="7"`: 7 * time.Second,
		"respond-async,wait=3;x=y": 3 * time.Second, "wait=61": time.Minute, "wait=0": 0, "wait=-1": 0, "wait=x": 0,
		"wait": 0, "waiting=5": 0, "wait=2, wait=9": 2 * time.Second, "wait=99999999999999": 0,
	} {
		require.Equal(t, want, api.PreferredWait(http.Header{"Prefer": {text}}), text)
	}
	require.Equal(t, time.Second, api.PreferredWait(http.Header{"Prefer": {"respond-async", "wait=1"}}))
}
