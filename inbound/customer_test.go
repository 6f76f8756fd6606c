package inbound_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/eventlog/eventlogtest"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
)

// guides is the event as the guides' class makes it.
const guides = `{"id":"evt-1","aggregateId":"c-7","eventType":"UserRegistered","occurredAt":"2026-01-02T03:00:00Z",
	"data":{"email":"ada@example.com","username":"Ada Lovelace"}}`

func (w *world) customer(t *testing.T, id string) (onboarding.State, []event.Record) {
	t.Helper()
	records, err := w.log.Read(t.Context(), event.CustomerStream(id), 0, 0)
	require.NoError(t, err)
	s, err := onboarding.State{CustomerID: id}.Fold(records)
	require.NoError(t, err)
	return s, records
}

// profile opens the newest profile in a customer's stream.
func (w *world) profile(t *testing.T, id string) onboarding.Profile {
	t.Helper()
	s, _ := w.customer(t, id)
	raw, err := w.box.Open(t.Context(), id, s.Profile)
	require.NoError(t, err)
	var p onboarding.Profile
	require.NoError(t, json.Unmarshal(raw, &p))
	return p
}

// TestRegistrationIsEncryptedOnReceipt: personal data is nowhere in plain text, neither in the log nor in
// what is published.
func TestRegistrationIsEncryptedOnReceipt(t *testing.T) {
	w := newWorld()
	e, err := wire.Decode(wire.Message{Body: []byte(guides)})
	require.NoError(t, err)
	require.NoError(t, w.executor.Handle(t.Context(), e))
	require.Equal(t, onboarding.Profile{Email: "ada@example.com", Username: "Ada Lovelace"}, w.profile(t, "c-7"))
	require.Equal(t, []handedOn{{"c-7", false}}, w.sagas.onboarded)
	s, records := w.customer(t, "c-7")
	require.Len(t, records, 1)
	require.Equal(t, time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC), s.Since)
	require.Equal(t, "evt-1", records[0].CausationID)
	published, err := wire.Encode(records[0])
	require.NoError(t, err)
	require.Equal(t, "customer.registered", published.Type)
	// Ciphertext and IDs are random: they may contain a name of three letters by chance.
	for _, secret := range []string{"ada@", "example.com", "Lovelace"} {
		require.NotContains(t, string(records[0].Data), secret)
		require.NotContains(t, string(published.Body), secret)
	}

	require.NoError(t, w.executor.Handle(t.Context(), e))
	_, records = w.customer(t, "c-7")
	require.Len(t, records, 1, "a duplicate changes nothing")
	require.Len(t, w.sagas.onboarded, 2, "and starts what may be missing")

	other := e
	other.Data = json.RawMessage(`{"email":"eve@example.com","username":"Ada Lovelace"}`)
	require.ErrorIs(t, w.executor.Handle(t.Context(), other), fault.Conflict, "the same identity, another content")
	require.Len(t, w.sagas.onboarded, 2)
	other.Source, other.Time = "/another", other.Time.Add(time.Second)
	require.NoError(t, w.executor.Handle(t.Context(), other))
	require.Equal(t, "eve@example.com", w.profile(t, "c-7").Email)
	w.sagas.onboarded = w.sagas.onboarded[:2]

	e.ID, e.Time, e.Data = "evt-2", e.Time.Add(time.Minute), json.RawMessage(`{"email":"ada@example.org"}`)
	require.NoError(t, w.executor.Handle(t.Context(), e))
	e.ID, e.Time, e.Data = "evt-0", e.Time.Add(-time.Hour), json.RawMessage(`{"email":"ada@example.net"}`)
	require.NoError(t, w.executor.Handle(t.Context(), e))
	require.Equal(t, "ada@example.org", w.profile(t, "c-7").Email)
	require.True(t, w.sagas.onboarded[2].known)

	require.NoError(t, w.keys.Erase(t.Context(), "c-7"))
	s, _ = w.customer(t, "c-7")
	_, err = w.box.Open(t.Context(), "c-7", s.Profile)
	require.ErrorIs(t, err, fault.NotFound)
}

func TestCustomerIDIsReadFromEveryField(t *testing.T) {
	for name, body := range map[string]string{
		"subject":     `{"type":"user.registered","subject":"c-7","id":"e","data":{"email":"ada@example.com"}}`,
		"aggregateId": guides,
		"userId":      `{"type":"UserRegistered","id":"e","data":{"userId":"c-7","email":"ada@example.com"}}`,
		"customerId":  `{"pattern":"user.registered","data":{"customerId":"c-7","email":"ada@example.com","newsletter":true}}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			e, err := wire.Decode(wire.Message{Body: []byte(body)})
			require.NoError(t, err)
			require.NoError(t, w.executor.Handle(t.Context(), e))
			require.Equal(t, "c-7", w.sagas.onboarded[0].customerID)
		})
	}
}

// TestInvalidProfileIsNotQuotedInErrors in the error, which becomes part of a dead letter's headers and of logs.
func TestInvalidProfileIsNotQuotedInErrors(t *testing.T) {
	for data, pointer := range map[string]string{
		`{"username":"Ada"}`:                                                        "/data/email",
		`{"email":"ada"}`:                                                           "/data/email",
		`{"email":"Ada <ada@example.com>"}`:                                         "/data/email",
		`{"email":"ada@example.com\r\nBcc: bob@example.com"}`:                       "/data/email",
		`{"email":"` + strings.Repeat("a", 250) + `@example.com"}`:                  "/data/email",
		`{"email":"ada@example.com","username":"Ada\nBcc: x"}`:                      "/data/username",
		`{"email":"ada@example.com","username":"` + strings.Repeat("ü", 101) + `"}`: "/data/username",
		`{"email":["ada@example.com"]}`:                                             "/data/email",
	} {
		w := newWorld()
		err := w.executor.Handle(t.Context(), arrived(event.UserRegistered, data))
		require.ErrorIs(t, err, fault.Invalid, data)
		require.Equal(t, []string{pointer}, pointers(err))
		require.NotContains(t, err.Error(), "ada@")
		w.untouched(t)
	}
}

func TestUnusualAddressesAreAccepted(t *testing.T) {
	for _, email := range []string{"a..b@docomo.example", "a.@docomo.example", "üser.näme@exämple.com", `"a b"@example.com`} {
		w := newWorld()
		data, err := json.Marshal(map[string]string{"email": email})
		require.NoError(t, err)
		e := arrived(event.UserRegistered, string(data))
		e.Subject = "c-7"
		require.NoError(t, w.executor.Handle(t.Context(), e), email)
		require.Equal(t, email, w.profile(t, "c-7").Email)
	}
}

func TestFutureProfileTimeDoesNotBlockLaterProfiles(t *testing.T) {
	w := newWorld()
	e := arrived(event.UserRegistered, `{"email":"ada@example.com"}`)
	e.Time = now.AddDate(10, 0, 0)
	require.NoError(t, w.executor.Handle(t.Context(), e))
	e.ID, e.Time, e.Data = "evt-2", time.Time{}, json.RawMessage(`{"email":"ada@example.org"}`)
	require.NoError(t, w.executor.Handle(t.Context(), e))
	s, _ := w.customer(t, "42")
	require.Equal(t, now, s.Since)
}

// TestOnlyKnownCustomersAreNotified: the stream decides, not the data of the event.
func TestOnlyKnownCustomersAreNotified(t *testing.T) {
	w := newWorld()
	notifications := &inbound.Notifications{Log: w.log, Notify: w.sagas.Notify, Logger: slog.New(slog.DiscardHandler)}
	e := arrived(event.OrderCancelled, `{"customerId":"somebody"}`)
	require.NoError(t, notifications.Handle(t.Context(), e))
	require.Empty(t, w.sagas.notified, "the order is unknown")

	cancelled(t, w.log, "evt-1")
	require.NoError(t, notifications.Handle(t.Context(), e))
	require.Empty(t, w.sagas.notified, "the customer is unknown")

	registered := arrived(event.UserRegistered, `{"email":"ada@example.com"}`)
	registered.Subject = "c-7"
	require.NoError(t, w.executor.Handle(t.Context(), registered))
	require.NoError(t, notifications.Handle(t.Context(), e))
	require.Equal(t, []notification.Subject{{Kind: notification.Cancelled, OrderID: "42", CustomerID: "c-7"}}, w.sagas.notified)

	// A read after a failover may miss an order that is there.
	forgetful := eventlogtest.NewLossyLog(w.log)
	forgetful.Forget(event.OrderStream("42"), 0)
	notifications.Log = forgetful
	require.NoError(t, notifications.Handle(t.Context(), e))
	require.Len(t, w.sagas.notified, 2)

	e.Type = event.OrderAccepted
	require.ErrorIs(t, notifications.Handle(t.Context(), e), fault.UnknownType)
	e.Type, w.sagas.err = event.OrderCancelled, fault.New(fault.Unavailable, "no Temporal")
	require.ErrorIs(t, notifications.Handle(t.Context(), e), fault.Unavailable, "it comes again")
}
