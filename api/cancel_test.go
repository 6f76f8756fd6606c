package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestCancel(t *testing.T) {
	f := newFixture(t)
	f.append("o-1", timeline("o-1")[0])
	var asked []order.Cancellation
	f.sagas.cancel = func(_ context.Context, id string, request order.Cancellation) (saga.CancelAnswer, error) {
		asked = append(asked, request)
		if len(asked) == 1 {
			f.append(id, event.New(event.OrderStream(id), order.SlotDecide, event.OrderCompensating, id, at,
				order.Ending{OrderID: id, Outcome: order.StatusCancelled, Reason: order.ReasonRequested}))
		}
		return saga.CancelAnswer{Accepted: true, Status: order.StatusCompensating}, nil
	}
	a := f.do(http.MethodPost, "/v1/orders/o-1/cancellation", `{"reason":"ordered twice"}`, "Idempotency-Key", "key-1")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "compensating", a.resource(t).Status)
	require.Equal(t, "requested", *a.resource(t).Reason)

	require.Equal(t, http.StatusOK, f.do(http.MethodPost, "/v1/orders/o-1/cancellation", `{}`, "Idempotency-Key", "key-1").status)
	require.Equal(t, asked[0].ID, asked[1].ID)
	require.Equal(t, "ordered twice", asked[0].Reason)
	require.True(t, event.ValidID(asked[0].ID))

	require.Equal(t, http.StatusOK, f.do(http.MethodPost, "/v1/orders/o-1/cancellation", "").status, "a body is not needed")
	require.Regexp(t, "^id-", asked[2].ID)

	require.Equal(t, http.StatusOK, f.do(http.MethodPost, "/v1/orders/o-1/cancellation", `{"reason":"trop\u00a0lent,\nvraiment\u0000"}`).status)
	require.Equal(t, "trop lent, vraiment", asked[3].Reason, "a text is cleaned, as in events")
}

func TestCancelRefused(t *testing.T) {
	f := newFixture(t)
	f.sagas.cancel = func(context.Context, string, order.Cancellation) (saga.CancelAnswer, error) {
		return saga.CancelAnswer{Status: order.StatusShipped, Detail: "the goods have been dispatched"}, nil
	}
	a := f.do(http.MethodPost, "/v1/orders/o-1/cancellation", `{"reason":"late"}`, "X-Correlation-Id", "correlation-1")
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "cancellation_refused", a.problem(t).Code)
	golden(t, "refused.json", a.body)
}

func TestCancelErrors(t *testing.T) {
	f := newFixture(t)
	f.sagas.cancel = func(_ context.Context, id string, _ order.Cancellation) (saga.CancelAnswer, error) {
		return saga.CancelAnswer{}, fault.New(fault.NotFound, "order %s does not exist", id)
	}
	require.Equal(t, http.StatusNotFound, f.do(http.MethodPost, "/v1/orders/o-1/cancellation", `{}`).status)
	require.Equal(t, http.StatusNotFound, f.do(http.MethodPost, "/v1/orders/_/cancellation", `{}`).status)
	for body, place := range map[string]string{
		`{"reason":1}`: "/reason", `{"why":"x"}`: "/why",
		`{"reason":"` + strings.Repeat("é", 501) + `"}`: "/reason",
	} {
		a := f.do(http.MethodPost, "/v1/orders/o-1/cancellation", body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status)
		require.Equal(t, place, *a.problem(t).Errors[0].Pointer)
	}
}

func TestCancelWithoutWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *api.Config) { c.DependencyTimeout = 0 })
		f.sagas.cancel = func(ctx context.Context, _ string, _ order.Cancellation) (saga.CancelAnswer, error) {
			<-ctx.Done()
			return saga.CancelAnswer{}, fault.Wrap(ctx.Err(), fault.Unavailable, "cancel")
		}
		started := time.Now()
		a := f.do(http.MethodPost, "/v1/orders/o-1/cancellation", `{}`)
		require.Equal(t, 10*time.Second, time.Since(started))
		require.Equal(t, http.StatusServiceUnavailable, a.status)
	})
}
