package inbound_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// sent is a plain event as a shop sends it.
func sent(id, eventType, subject, data string) wire.Message {
	return wire.Message{RoutingKey: eventType, Body: []byte(`{"id":"` + id + `","source":"/shop","type":"` + eventType + `","aggregateId":"` + subject + `","data":` + data + `}`)}
}

// TestPreviewOfRegistration: the preview seals and writes nothing, and its result is what happens afterwards.
func TestPreviewOfRegistration(t *testing.T) {
	w := newWorld()
	preview := &inbound.Previewer{Log: w.log, Timing: order.DefaultTiming(), Clock: func() time.Time { return now }}
	would := func(m wire.Message) string {
		before := len(w.log.Names())
		f, err := preview.Preview(t.Context(), m)
		require.NoError(t, err)
		require.Len(t, w.log.Names(), before)
		return f.Sentence
	}
	first := sent("evt-1", event.UserRegistered, "c-7", `{"email":"ada@example.com"}`)
	require.Equal(t, "would register customer c-7", would(first))
	e, err := wire.Decode(first)
	require.NoError(t, err)
	require.NoError(t, w.executor.Handle(t.Context(), e))
	require.Equal(t, "customer c-7 has already received this event: nothing would happen, unless the content differs", would(first))
	require.Contains(t, would(sent("evt-2", event.UserRegistered, "c-7", `{"email":"ada@example.org"}`)), "would update the profile of customer c-7")
	refused := would(sent("evt-3", event.UserRegistered, "c-7", `{"email":"ada at example"}`))
	require.Contains(t, refused, "/data/email")
	require.NotContains(t, refused, "ada")
}

// TestPreviewOfNotification of an order's event to its customer.
func TestPreviewOfNotification(t *testing.T) {
	w := newWorld()
	preview := &inbound.Previewer{Log: w.log, Timing: order.DefaultTiming(), Clock: func() time.Time { return now }}
	would := func(m wire.Message) inbound.Preview {
		f, err := preview.Notification(t.Context(), m)
		require.NoError(t, err)
		return f
	}
	m := sent("evt-9", event.OrderCancelled, "42", `{"orderId":"42"}`)
	require.Equal(t, inbound.OutcomeNothing, would(m).Outcome, "the order is unknown")
	cancelled(t, w.log, "evt-1")
	require.Equal(t, inbound.OutcomeNothing, would(m).Outcome, "the customer is unknown")
	registered := arrived(event.UserRegistered, `{"email":"ada@example.com"}`)
	registered.Subject = "c-7"
	require.NoError(t, w.executor.Handle(t.Context(), registered))
	require.Equal(t, "would notify customer c-7 that order 42 is cancelled", would(m).Sentence)

	s := notification.State{Subject: notification.Subject{Kind: notification.Cancelled, OrderID: "42", CustomerID: "c-7"}}
	_, _, err := w.log.Append(t.Context(), event.NoticeStream(s.Subject.ID()), event.Head{}, []event.Entry{s.Request("corr", "cause", now.Add(time.Hour), now)})
	require.NoError(t, err)
	require.Equal(t, inbound.OutcomeNothing, would(m).Outcome, "they are told already")
	require.Equal(t, inbound.OutcomeRefuse, would(sent("evt-9", event.OrderAccepted, "42", `{"orderId":"42"}`)).Outcome)
	require.Equal(t, inbound.OutcomeRefuse, would(wire.Message{Body: []byte("no")}).Outcome)
}
