package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const giftBody = `{"id":"g-1","input":{"card":"card-1","amount":5}}`

func TestStartSagaWithAnID(t *testing.T) {
	f := newSagasFixture(t)
	a := f.do(http.MethodPost, "/v1/sagas/gift", giftBody, "X-Correlation-Id", "correlation-1")
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	golden(t, "saga-accepted.json", a.body)
	require.Equal(t, "/v1/sagas/gift/g-1", a.header.Get("Location"))
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.Empty(t, a.header.Get("Idempotent-Replayed"))
	require.Equal(t, "correlation-1", f.gifts.requests[0].CorrelationID)
	require.True(t, f.gifts.requests[0].CallerID)
	require.False(t, f.gifts.requests[0].Fresh)

	a = f.do(http.MethodPost, "/v1/sagas/gift", `{"input":{"amount":5,"card":"card-1"},"id":"g-1"}`)
	require.Equal(t, http.StatusAccepted, a.status)
	require.Equal(t, "true", a.header.Get("Idempotent-Replayed"))

	const other = `{"id":"g-1","input":{"card":"card-1","amount":6}}`
	for _, headers := range [][]string{nil, {"Idempotency-Key", "k-1"}} {
		a = f.do(http.MethodPost, "/v1/sagas/gift", other, headers...)
		require.Equal(t, http.StatusConflict, a.status)
		require.Equal(t, "conflict", a.problem(t).Code)
		require.Empty(t, a.header.Get("Location"))
	}
}

func TestStartSagaWithAKey(t *testing.T) {
	f := newSagasFixture(t)
	const body = `{"input":{"card":"card-1","amount":5}}`
	first := f.do(http.MethodPost, "/v1/sagas/gift", body, "Idempotency-Key", "k-1")
	require.Equal(t, http.StatusAccepted, first.status, first.body)
	require.False(t, f.gifts.requests[0].Fresh)
	require.False(t, f.gifts.requests[0].CallerID)
	again := f.do(http.MethodPost, "/v1/sagas/gift", body, "Idempotency-Key", "k-1")
	require.Equal(t, http.StatusAccepted, again.status)
	require.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.NotEqual(t, first.sagaOf(t).ID, f.do(http.MethodPost, "/v1/sagas/gift", body, "Idempotency-Key", "k-2").sagaOf(t).ID)

	other := f.do(http.MethodPost, "/v1/sagas/gift", `{"input":{"card":"card-1","amount":6}}`, "Idempotency-Key", "k-1")
	require.Equal(t, http.StatusUnprocessableEntity, other.status)
	require.Equal(t, "idempotency_conflict", other.problem(t).Code)
}

func TestStartSagaWithoutIDAndKey(t *testing.T) {
	f := newSagasFixture(t)
	const body = `{"id":"","input":{"card":"card-1","amount":5}}`
	first, second := f.do(http.MethodPost, "/v1/sagas/gift", body), f.do(http.MethodPost, "/v1/sagas/gift", body)
	require.Equal(t, http.StatusAccepted, first.status, first.body)
	require.NotEqual(t, first.header.Get("Location"), second.header.Get("Location"))
	for _, r := range f.gifts.requests {
		require.True(t, r.Fresh)
		require.False(t, r.CallerID)
	}
}

func TestStartSagaAndWait(t *testing.T) {
	f := newSagasFixture(t)
	// The saga ends before anything follows it.
	f.gifts.started = func(id string) { f.give(id, giftEvents(id)...) }
	a := f.do(http.MethodPost, "/v1/sagas/gift", giftBody, "Prefer", "wait=60")
	require.Equal(t, http.StatusCreated, a.status, a.body)
	require.Equal(t, "wait=60", a.header.Get("Preference-Applied"))
	require.Equal(t, "/v1/sagas/gift/g-1", a.header.Get("Location"))
	require.Empty(t, a.header.Get("Retry-After"))
	require.Equal(t, "completed", a.sagaOf(t).Status)

	a = f.do(http.MethodPost, "/v1/sagas/gift", giftBody, "Prefer", "wait=60")
	require.Equal(t, http.StatusCreated, a.status, "it has ended already")
	require.Equal(t, "true", a.header.Get("Idempotent-Replayed"))
	a = f.do(http.MethodPost, "/v1/sagas/gift", giftBody)
	require.Equal(t, http.StatusAccepted, a.status, "the client does not wait")
	require.Equal(t, "completed", a.sagaOf(t).Status)

	// It ends while it is followed, and a replay waits as the first request does.
	f.gifts.started = nil
	require.Equal(t, http.StatusAccepted, f.do(http.MethodPost, "/v1/sagas/gift", strings.Replace(giftBody, "g-1", "g-2", 1)).status)
	f.give("g-2", giftEvents("g-2")[:2]...)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.give("g-2", giftEvents("g-2")[2:]...)
	}()
	a = f.do(http.MethodPost, "/v1/sagas/gift", strings.Replace(giftBody, "g-1", "g-2", 1), "Prefer", "wait=60")
	<-ended
	require.Equal(t, http.StatusCreated, a.status, a.body)
	require.Equal(t, "completed", a.sagaOf(t).Status)
}

func TestInterruptedWait(t *testing.T) {
	for name, cut := range map[string]func(f *sagasFixture, gone context.CancelFunc){
		"the server drains":  func(f *sagasFixture, _ context.CancelFunc) { f.server.Drain() },
		"the client is gone": func(_ *sagasFixture, gone context.CancelFunc) { gone() },
		"the saga cannot be read": func(f *sagasFixture, _ context.CancelFunc) {
			f.gifts.fail(fault.New(fault.Unavailable, "no log"))
			f.server.Drain()
		},
		"it waits for a person":     func(f *sagasFixture, _ context.CancelFunc) { f.stuckGift("g-1"); f.server.Drain() },
		"the client waits for none": nil,
	} {
		t.Run(name, func(t *testing.T) {
			f := newSagasFixture(t)
			ctx, gone := context.WithCancel(t.Context())
			defer gone()
			prefer := "wait=60"
			if cut == nil {
				prefer = "wait=0"
			} else {
				f.gifts.started = func(string) { cut(f, gone) }
			}
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/sagas/gift", strings.NewReader(giftBody))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Prefer", prefer)
			w := httptest.NewRecorder()
			f.server.ServeHTTP(w, r)
			require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
			require.Empty(t, w.Header().Get("Preference-Applied"))
			require.Equal(t, "/v1/sagas/gift/g-1", w.Header().Get("Location"))
			got := answer{body: w.Body.String()}.sagaOf(t)
			require.Equal(t, name == "it waits for a person", got.NeedsAttention)
		})
	}
}

func TestStartSagaRefusesFlows(t *testing.T) {
	f := newSagasFixture(t)
	a := f.do(http.MethodPost, "/v1/sagas/order", giftBody)
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	require.Equal(t, "place orders with POST /v1/orders", a.problem(t).Detail)

	quiet := giftFlow()
	quiet.Name, quiet.Start = "quiet", nil
	f = newSagasFixture(t, func(c *api.Config) {
		c.Flows = append(c.Flows, api.Flow{Definer: quiet, Sagas: &flowSagas{Definer: quiet}})
	})
	a = f.do(http.MethodPost, "/v1/sagas/quiet", giftBody)
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	require.Equal(t, "sagas of flow quiet cannot be started over REST", a.problem(t).Detail)
}

func TestStartSagaRefusesBodies(t *testing.T) {
	f := newSagasFixture(t)
	for body, wrong := range map[string][]string{
		`{}`:                                {"/input is missing"},
		`{"id":"g-1"}`:                      {"/input is missing"},
		`{"input":null}`:                    {"/input must be an object"},
		`{"input":[]}`:                      {"/input must be an object"},
		`{"input":"card-1"}`:                {"/input must be an object"},
		`{"id":7,"input":{}}`:               {"/id must be a string"},
		`{"id":null,"input":{}}`:            {"/id must be a string"},
		`{"id":" a","input":{}}`:            {"/id " + event.IDRule},
		`{"ID":"g-1","Input":{},"input":5}`: {"/ID is not a known field", "/Input is not a known field", "/input must be an object"},
		`{"input":{},"flow":"gift"}`:        {"/flow is not a known field"},
		`{"input":{}}`:                      {"/input/amount is missing", "/input/card is missing"},
		`{"input":{"card":"c","amount":0}}`: {"/input/amount must be above zero"},
		`{"input":{"card":5,"amount":"5","x":1,"giftId":"g-1"}}`: {
			"/input/amount must be an integer, written as a JSON number", "/input/card must be a string", "/input/giftId is not a known field",
			"/input/x is not a known field",
		},
		`{"input":{"card":"c","amount":1.5}}`:                     {"/input/amount must be an integer, without a fraction"},
		`{"input":{"card":"c","amount":1,"notes":["","b",""]}}`:   {"/input/notes/0 must not be empty", "/input/notes/2 must not be empty"},
		`{"input":{"card":"c","amount":1,"notes":["a",{"b":1}]}}`: {"/input/notes/1 must be a string"},
	} {
		a := f.do(http.MethodPost, "/v1/sagas/gift", body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", body, a.body)
		p := a.problem(t)
		require.Equal(t, "invalid", p.Code)
		require.Equal(t, "saga is invalid", p.Detail)
		var got []string
		for _, e := range p.Errors {
			got = append(got, *e.Pointer+" "+e.Detail)
		}
		require.ElementsMatch(t, wrong, got, body)
	}
	for _, body := range []string{"", "[]", "null", `{"input":{}`, `{"input":{},"input":{}}`, `{"input":{"card":"a","card":"b","amount":1}}`, giftBody + "x"} {
		a := f.do(http.MethodPost, "/v1/sagas/gift", body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Equal(t, "malformed", a.problem(t).Code)
	}
	require.Equal(t, "Idempotency-Key", f.do(http.MethodPost, "/v1/sagas/gift", giftBody, "Idempotency-Key", "a b").problem(t).Errors[0].Header)
	require.Equal(t, http.StatusUnsupportedMediaType, f.do(http.MethodPost, "/v1/sagas/gift", giftBody, "Content-Type", "text/plain").status)
	require.Empty(t, f.gifts.content)
}

// The flow receives numbers unchanged, digit by digit.
func TestSagaInputIsPassedUnchanged(t *testing.T) {
	f := newSagasFixture(t)
	f.do(http.MethodPost, "/v1/sagas/gift", `{"input": {"card": "ü\u00fc", "amount": 9007199254740991} }`)
	require.Contains(t, string(f.gifts.requests[0].Body), `{"card": "ü\u00fc", "amount": 9007199254740991}`)
	require.Equal(t, "/input", f.gifts.requests[0].At)
}
