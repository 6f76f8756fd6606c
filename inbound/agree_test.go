package inbound_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/internal/sealed/sealedtest"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// TestParseRefusesWhatHandleRefuses: Parse, Check and Handle agree about an event.
func TestParseRefusesWhatHandleRefuses(t *testing.T) {
	for _, typ := range event.Types(event.Inbound) {
		t.Run(typ.Name, func(t *testing.T) {
			examples := eventtest.Examples(t, typ.Name, typ.Version)
			rapid.Check(t, func(t *rapid.T) {
				value, err := jsonschema.UnmarshalJSON(bytes.NewReader(rapid.SampledFrom(examples).Draw(t, "example")))
				require.NoError(t, err)
				for range rapid.IntRange(0, 3).Draw(t, "changes") {
					value = change(t, value)
				}
				data, err := json.Marshal(value)
				require.NoError(t, err)
				e := arrived(typ.Name, string(data))
				e.Subject = rapid.SampledFrom([]string{"42", "a b", ""}).Draw(t, "subject")

				w := newWorld()
				_, parsed := inbound.Parse(e)
				require.Equal(t, parsed, w.executor.Handle(t.Context(), e), "%s", data)
				if parsed != nil {
					require.Contains(t, []fault.Code{fault.Invalid, fault.Malformed}, fault.CodeOf(parsed))
					require.Equal(t, parsed, inbound.Routes{}.Check(e))
					require.LessOrEqual(t, len(fault.FieldsOf(parsed)), 20)
					require.Empty(t, w.sagas.placed)
					require.Empty(t, w.log.Names())
				}
			})
		})
	}
}

// playing is a Temporal server whose sagas perform the decisions of an order at once.
type playing struct {
	temporalDouble
	t *rapid.T
}

func (c *playing) append(orderID string, head event.Head, entries ...event.Entry) {
	_, _, err := c.log.Append(c.t.Context(), event.OrderStream(orderID), head, entries)
	require.NoError(c.t, err)
}

func (c *playing) ExecuteWorkflow(_ context.Context, _ client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	in := args[0].(saga.Input)
	var o order.Order
	require.NoError(c.t, json.Unmarshal(in.Data, &o))
	require.Equal(c.t, in.ID, o.ID)
	if known, err := c.log.Read(c.t.Context(), event.OrderStream(o.ID), 0, 1); err != nil || len(known) > 0 {
		return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("it runs", "", "")
	}
	c.append(o.ID, event.Head{}, order.Accept(o, in.CorrelationID, in.CausationID, now))
	c.starts++
	return nil, nil
}

func (c *playing) SignalWorkflow(ctx context.Context, id, _, _ string, payload any) error {
	records, err := c.log.Read(ctx, id, 0, 0)
	require.NoError(c.t, err)
	s, err := order.Fold(records)
	if err != nil || !s.Opened() || s.Ended {
		return serviceerror.NewNotFound("no such workflow")
	}
	c.signals++
	if order.Recorded(s, payload) {
		return nil
	}
	if entries := order.Decisions(s, order.FactsOf(s.Order.ID, payload), now, order.DefaultTiming()); len(entries) > 0 {
		c.append(s.Order.ID, s.Head, entries...)
	}
	return nil
}

// draw draws a message: any inbound type, of few ids, with data that is right or wrong.
func draw(t *rapid.T) wire.Message {
	data := map[string][]string{
		event.OrderCreated: {placeable, placeable, strings.Replace(placeable, "450", "451", 2), strings.Replace(placeable, "EUR", "XYZ", 1),
			`{"orderId":"42","email":"a"}`},
		// There are no sagas but those of orders here: what is about returns and refunds is refused.
		event.ReturnReceived: {`{"returnId":"42","lines":[{"quantity":1}]}`},
		event.StockReceived:  {`{"sku":"42","quantity":12}`, `{"sku":"42","quantity":11}`, `{"sku":"42"}`},
		event.UserRegistered: {`{"email":"ada@example.com"}`, `{"email":"ada@example.org","username":"Ada"}`, `{"email":"ada"}`},
		// Sagas of other flows are not played here.
		event.PaymentDisputed: {`{"orderId":"42","amount":-1}`}, event.PaymentRefundFailed: {`{"orderId":"42","amount":-1}`},
	}
	typ := rapid.SampledFrom(event.Types(event.Inbound)).Draw(t, "type").Name
	of, ok := data[typ]
	if !ok {
		of = []string{ref, `{"orderId":"42","reason":"late","carrier":"DHL","code":"expired_card"}`, `{"orderId":"43"}`}
	}
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": rapid.SampledFrom([]string{"evt-1", "evt-2", "evt-3"}).Draw(t, "id"), "source": "/shop", "type": typ,
		"subject": "42", "time": now, "data": json.RawMessage(rapid.SampledFrom(of).Draw(t, "data")),
	})
	require.NoError(t, err)
	return wire.Message{ContentType: "application/cloudevents+json", Body: body}
}

// openStatuses are statuses of open orders that previewWorld.open writes.
var openStatuses = []order.Status{order.StatusAccepted, order.StatusReserved, order.StatusAwaitingPayment, order.StatusAuthorized,
	order.StatusAwaitingShipment, order.StatusShipped}

// all is everything that is in the log.
func (w *previewWorld) all() map[string][]event.Record {
	streams := map[string][]event.Record{}
	for _, name := range w.log.Names() {
		records, err := w.log.Read(w.t.Context(), name, 0, 0)
		require.NoError(w.t, err)
		streams[name] = records
	}
	return streams
}

// agree compares a preview with the result of the event.
func (w *previewWorld) agree(t *rapid.T, said inbound.Preview, e event.Event, err error, c *playing, before map[string][]event.Record) {
	written := map[string][]string{}
	after := w.all()
	for stream, records := range after {
		for _, r := range records[len(before[stream]):] {
			written[stream] = append(written[stream], r.Type)
		}
	}
	orderStream, customerStream := event.OrderStream(said.OrderID), event.CustomerStream(e.Subject)
	only := func(stream string) {
		require.NoError(t, err, said.Sentence)
		require.Equal(t, []string{stream}, slices.Collect(maps.Keys(written)), said.Sentence)
	}
	starts := 0
	switch said.Outcome {
	case inbound.OutcomeNothing:
		require.Empty(t, written, said.Sentence)
		require.True(t, err == nil || strings.Contains(said.Sentence, "unless the content differs") && fault.CodeOf(err) == fault.Conflict,
			"%s: %v", said.Sentence, err)
	case inbound.OutcomeStart:
		if starts = 1; e.Type == event.UserRegistered {
			starts, orderStream = 0, customerStream
		}
		only(orderStream)
		require.Empty(t, before[orderStream])
	case inbound.OutcomeMove:
		if e.Type == event.UserRegistered {
			only(customerStream)
			break
		}
		only(orderStream)
		state, err := order.Fold(after[orderStream])
		require.NoError(t, err)
		require.Equal(t, said.To, string(state.Status), said.Sentence)
	case inbound.OutcomeAsk:
		require.NoError(t, err)
		require.Empty(t, written)
		require.Equal(t, 1, c.signals)
	case inbound.OutcomeBook:
		only(event.StockStream(e.Subject))
	case inbound.OutcomeLate:
		only(event.LateStream(said.OrderID))
		require.Equal(t, strings.Contains(said.Sentence, "its consequences would be handled"), c.late == 1, said.Sentence)
	case inbound.OutcomeWait:
		require.ErrorIs(t, err, fault.OrderUnknown)
		require.Equal(t, strings.Contains(said.Sentence, "the cancellation would be kept for it"), len(written[event.EarlyStream(said.OrderID)]) == 1, said.Sentence)
		require.Len(t, written, len(written[event.EarlyStream(said.OrderID)]))
	case inbound.OutcomeRefuse:
		if err == nil {
			// The saga refuses a cancellation: it does so once.
			require.Equal(t, event.OrderCancellationRequested, e.Type)
			if len(written) > 0 {
				require.Equal(t, map[string][]string{orderStream: {event.OrderCancellationRefused}}, written)
			}
			break
		}
		require.Equal(t, fault.DeadLetter, fault.Lookup(fault.CodeOf(err)).Disposition)
		require.Contains(t, said.Sentence, fault.SafeMessage(err))
		require.Empty(t, written)
	default:
		t.Fatalf("%q is no outcome", said.Outcome)
	}
	require.Equal(t, starts, c.starts, said.Sentence)
}

// TestPreviewAgreesWithExecute: the preview of a message agrees with its result, in states that generated messages lead to.
func TestPreviewAgreesWithExecute(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newPreviewWorld(t)
		c := &playing{temporalDouble: temporalDouble{log: w.log}, t: rt}
		w.executor.Sagas = sagaclient.New(sagaclient.Config{Temporal: c, Log: w.log, Logger: slog.New(slog.DiscardHandler)})
		w.executor.Onboard = func(ctx context.Context, customerID string, _ bool) error {
			table := sagaclient.NewTableClient(sagaclient.Config{Temporal: c, Log: w.log}, &onboarding.Flow, w.log, nil)
			return table.Wake(ctx, onboarding.State{Saga: saga.Saga{ID: customerID}}, true)
		}
		w.executor.Sealer = sealed.NewBox(sealedtest.NewKeys())
		switch status := rapid.SampledFrom(append([]order.Status{"", order.StatusCancelled}, openStatuses...)).Draw(rt, "status"); status {
		case "":
		case order.StatusCancelled:
			cancelled(t, w.log, rapid.SampledFrom([]string{"evt-1", "somebody"}).Draw(rt, "cause"))
		default:
			// The saga has recorded its own decision.
			s := w.open(status)
			if entries := order.Decisions(s, order.Facts{}, now, order.DefaultTiming()); len(entries) > 0 {
				c.append("42", s.Head, entries...)
			}
		}
		var early []event.Entry
		for i := range rapid.SampledFrom([]int{0, 0, 1, saga.MaxEarly - 1, saga.MaxEarly}).Draw(rt, "early") {
			early = append(early, order.Flow.Early("43", order.Cancellation{ID: fmt.Sprint("early-", i), Cause: fmt.Sprint("early-", i)}, "corr", now))
		}
		if len(early) > 0 {
			_, _, err := w.log.Append(rt.Context(), event.EarlyStream("43"), event.Head{}, early)
			require.NoError(rt, err)
		}
		for range rapid.IntRange(1, 6).Draw(rt, "messages") {
			m := draw(rt)
			before := w.all()
			said, err := w.preview.Preview(rt.Context(), m)
			require.NoError(rt, err)
			require.Equal(rt, before, w.all(), "a preview changes nothing")

			*c = playing{temporalDouble: temporalDouble{log: w.log}, t: rt}
			e, err := wire.Decode(m)
			require.NoError(rt, err)
			err = w.executor.Handle(rt.Context(), e)
			w.agree(rt, said, e, err, c, before)
		}
	})
}
