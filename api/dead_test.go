package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// letters is a service for dead letters that records its calls.
type letters struct {
	filter  deadletter.Filter
	id      string
	request deadletter.Request
	items   []deadletter.Letter
	next    string
	detail  deadletter.Letter
	run     deadletter.DryRun
	err     error
	did     []string
}

func (l *letters) List(_ context.Context, f deadletter.Filter) ([]deadletter.Letter, string, error) {
	if err := f.Validate(); err != nil {
		return nil, "", err
	}
	l.filter = f
	return l.items, l.next, l.err
}

func (l *letters) Show(_ context.Context, id string) (deadletter.Letter, error) {
	l.id = id
	return l.detail, l.err
}

func (l *letters) DryRun(_ context.Context, id string, r deadletter.Request) (deadletter.DryRun, error) {
	l.id, l.request = id, r
	return l.run, l.err
}

func (l *letters) Replay(_ context.Context, id string, r deadletter.Request) (deadletter.Letter, error) {
	l.id, l.request, l.did = id, r, append(l.did, "replay")
	return l.detail, l.err
}

func (l *letters) Discard(_ context.Context, id string, r deadletter.Request) (deadletter.Letter, error) {
	l.id, l.request, l.did = id, r, append(l.did, "discard")
	return l.detail, l.err
}

// letter is a dead letter with everything.
func letter(body []byte) deadletter.Letter {
	l := deadletter.New(deadletter.Letter{
		Message: wire.Message{ContentType: "application/json", MessageID: "evt-1", RoutingKey: "stock.received", Exchange: "domain_events", Timestamp: at,
			Headers: map[string]any{"x-tenant": "blue", "at": at, "raw": []byte{1, 2}, "deep": []any{map[string]any{"n": int32(7)}}}, Body: body},
		Reason: fault.Invalid, Detail: "event is invalid; /data/quantity: is missing", Attempts: 1, FirstSeen: null.At(at), FailedAt: null.At(at.Add(time.Second)),
		Queue: "ordersaga.inbox", ReplayOf: "letter-0", Replays: 1,
	}, at.Add(2*time.Second))
	record := event.Record{Stream: event.DeadStream(l.ID), Version: 1, Hash: "h1", PrevHash: "h0",
		Entry: event.New(event.DeadStream(l.ID), "receive", event.DeadReceived, l.ID, at, deadletter.ReceivedData{LetterID: l.ID, Reason: l.Reason, PayloadHash: l.PayloadHash, Size: l.Size})}
	l.History = []event.Record{record}
	return l
}

// deadFixture is a server over a desk.
func deadFixture(t *testing.T) (*fixture, *letters) {
	deadLetters := &letters{detail: letter([]byte(`{"id":"evt-1","data":{"sku":"tea"}}`))}
	return newFixture(t, func(c *api.Config) { c.DeadLetters = deadLetters }), deadLetters
}

func TestListDeadLetters(t *testing.T) {
	f, deadLetters := deadFixture(t)
	require.JSONEq(t, `{"items":[],"nextCursor":null}`, f.do(http.MethodGet, "/v1/dead-letters", "").body)
	require.Equal(t, deadletter.Filter{Limit: 50}, deadLetters.filter)
	deadLetters.items, deadLetters.next = []deadletter.Letter{deadLetters.detail}, "more"
	after := cursor.DeadLetters.Format(cursor.Position{Millis: 1, ID: "a"})
	a := f.do(http.MethodGet, "/v1/dead-letters?reason=invalid,conflict&type=stock.received&status=open&status=replaying"+
		"&failedFrom=2026-01-01T00:00:00Z&failedTo=2026-02-01T00:00:00Z&limit=2&cursor="+after, "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, deadletter.Filter{
		Reasons: []fault.Code{fault.Invalid, fault.Conflict}, Types: []string{"stock.received"},
		Statuses: []deadletter.Status{deadletter.StatusOpen, deadletter.StatusReplaying}, Limit: 2, Cursor: after,
		From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
	}, deadLetters.filter)
	golden(t, "dead-letters.json", a.body)
	for query, parameter := range map[string]string{
		"status=lost": "status", "limit=0": "limit", "cursor=x": "cursor", "failedFrom=yesterday": "failedFrom", "reasons=invalid": "reasons",
	} {
		require.Equal(t, parameter, f.do(http.MethodGet, "/v1/dead-letters?"+query, "").problem(t).Errors[0].Parameter)
	}
	deadLetters.err = fault.New(fault.Unavailable, "away")
	require.Equal(t, http.StatusServiceUnavailable, f.do(http.MethodGet, "/v1/dead-letters", "").status)
}

func TestGetDeadLetter(t *testing.T) {
	f, deadLetters := deadFixture(t)
	a := f.do(http.MethodGet, "/v1/dead-letters/"+deadLetters.detail.ID, "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, deadLetters.detail.ID, deadLetters.id)
	golden(t, "dead-letter.json", a.body)

	deadLetters.detail = letter([]byte{0xff, 0})
	require.Contains(t, f.do(http.MethodGet, "/v1/dead-letters/a", "").body, `"payload":"/wA=","payloadEncoding":"base64"`)
	deadLetters.detail = letter(make([]byte, 9<<20))
	require.Contains(t, f.do(http.MethodGet, "/v1/dead-letters/a", "").body, `"payload":null,"payloadEncoding":"omitted"`)
	require.Equal(t, "not_found", f.do(http.MethodGet, "/v1/dead-letters/a%20b", "").problem(t).Code)
	deadLetters.err = fault.New(fault.NotFound, "dead letter a does not exist")
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/dead-letters/a", "").status)
}

func TestReplayDeadLetter(t *testing.T) {
	f, deadLetters := deadFixture(t)
	path := "/v1/dead-letters/" + deadLetters.detail.ID + "/replay"
	require.Equal(t, http.StatusOK, f.do(http.MethodPost, path, "").status, "a body is not needed")
	require.NotEmpty(t, deadLetters.request.ID)
	require.Nil(t, deadLetters.request.Body)

	a := f.do(http.MethodPost, path, `{"by":"ada","note":"fixed","force":true,"body":{"id":"evt-1","data":{"quantity":12,"sku":"tea <&>"}}}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.JSONEq(t, `{"data":{"quantity":12,"sku":"tea <&>"},"id":"evt-1"}`, string(deadLetters.request.Body))
	require.Contains(t, string(deadLetters.request.Body), "tea <&>", "as it was written")
	require.True(t, deadLetters.request.Force)
	require.Equal(t, "ada: fixed", deadLetters.request.By+": "+deadLetters.request.Note)
	f.do(http.MethodPost, path, `{"body":"as it is"}`)
	require.Equal(t, "as it is", string(deadLetters.request.Body))

	f.do(http.MethodPost, path, "", "Idempotency-Key", "k-1")
	first := deadLetters.request.ID
	f.do(http.MethodPost, path, "", "Idempotency-Key", "k-1")
	require.Equal(t, first, deadLetters.request.ID)

	done := len(deadLetters.did)
	for body, pointer := range map[string]string{
		`{"by":"a b"}`: "/by", `{"note":"` + strings.Repeat("x", 501) + `"}`: "/note", `{"force":"yes"}`: "/force",
		`{"body":12}`: "/body", `{"payload":{}}`: "/payload", `{"note":7}`: "/note",
	} {
		p := f.do(http.MethodPost, path, body).problem(t)
		require.Equal(t, "invalid", p.Code)
		require.Equal(t, pointer, *p.Errors[0].Pointer, body)
	}
	require.Equal(t, "dryRun", f.do(http.MethodPost, path+"?dryRun=maybe", "").problem(t).Errors[0].Parameter)
	require.Len(t, deadLetters.did, done, "nothing was replayed")
	deadLetters.err = fault.New(fault.ResolutionRefused, "it has already been replayed")
	p := f.do(http.MethodPost, path, "").problem(t)
	require.Equal(t, []any{409, "resolution_refused", "it has already been replayed"}, []any{p.Status, p.Code, p.Detail})
}

func TestDryRun(t *testing.T) {
	f, deadLetters := deadFixture(t)
	deadLetters.run = deadletter.DryRun{Preview: deadletter.Preview{Outcome: "move", Sentence: "would move order o-1 from shipped to completed", OrderID: "o-1"}}
	path := "/v1/dead-letters/" + deadLetters.detail.ID + "/replay?dryRun=true"
	require.JSONEq(t, `{"id":"`+deadLetters.detail.ID+`","dryRun":true,"outcome":"move","would":"would move order o-1 from shipped to completed",
		"orderId":"o-1","refusal":null}`, f.do(http.MethodPost, path, "").body)
	deadLetters.run = deadletter.DryRun{Preview: deadletter.Preview{Outcome: "book", Sentence: "would book 1 of tea"}, Refusal: "it has been discarded"}
	require.JSONEq(t, `{"id":"`+deadLetters.detail.ID+`","dryRun":true,"outcome":"book","would":"would book 1 of tea","orderId":null,
		"refusal":"it has been discarded"}`, f.do(http.MethodPost, path, `{"body":{}}`).body)
	require.Equal(t, "{}", string(deadLetters.request.Body))
	require.Empty(t, deadLetters.did)
}

func TestDiscardDeadLetter(t *testing.T) {
	f, deadLetters := deadFixture(t)
	path := "/v1/dead-letters/" + deadLetters.detail.ID + "/discard"
	for _, body := range []string{"", `{}`, `{"note":"  "}`} {
		p := f.do(http.MethodPost, path, body).problem(t)
		require.Equal(t, "invalid", p.Code)
		require.Equal(t, "/note", *p.Errors[0].Pointer)
	}
	require.Equal(t, "/force", *f.do(http.MethodPost, path, `{"note":"no","force":true}`).problem(t).Errors[0].Pointer)
	require.Empty(t, deadLetters.did)
	require.Equal(t, http.StatusOK, f.do(http.MethodPost, path, `{"by":"ada","note":"sent again"}`).status)
	require.Equal(t, []string{"discard"}, deadLetters.did)
	deadLetters.err = fault.New(fault.ResolutionRefused, "it has already been discarded")
	require.Equal(t, http.StatusConflict, f.do(http.MethodPost, path, `{"note":"no"}`).status)
}
