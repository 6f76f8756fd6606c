package eventtest_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/workflows/dispute"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var update = flag.Bool("update", false, "write the golden events that are missing, of the newest versions")

// golden is an event as an older version has written it to a log or a queue.
type golden struct {
	// Stored is its form in a stream; nil for inbound types.
	Stored *event.Record `json:"stored,omitempty"`
	// Message is how it travels; nil for types that stay in the log.
	Message *message `json:"message,omitempty"`
}

// message is a wire.Message, its body as JSON.
type message struct {
	ContentType   string          `json:"contentType"`
	MessageID     string          `json:"messageId,omitempty"`
	CorrelationID string          `json:"correlationId,omitempty"`
	Type          string          `json:"type,omitempty"`
	AppID         string          `json:"appId,omitempty"`
	Timestamp     time.Time       `json:"timestamp,omitzero"`
	Exchange      string          `json:"exchange"`
	RoutingKey    string          `json:"routingKey"`
	Body          json.RawMessage `json:"body"`
}

// TestGoldenEventsAreDecoded: what was written and sent once, in whatever version, is read for ever. A version has its
// golden event from the day it is written first; the event stays when the version has a successor. A field that a version
// gets later has a golden event beside that, <version>.<field>.json; so has one that may leave a field out later.
func TestGoldenEventsAreDecoded(t *testing.T) {
	for _, d := range []event.Direction{event.Inbound, event.Published, event.Ledger} {
		for _, typ := range event.Types(d) {
			for version := 1; version <= typ.Version; version++ {
				t.Run(typ.Name+"/"+strconv.Itoa(version), func(t *testing.T) {
					for _, g := range append(added(t, typ, version), read(t, typ, version)) {
						if d != event.Inbound {
							require.NotNil(t, g.Stored)
							require.Equal(t, version, g.Stored.SchemaVersion)
							checkStored(t, *g.Stored)
						}
						if d == event.Published && strings.HasPrefix(g.Stored.Stream, event.LateStream("")) {
							// payment.refunded is published with an order's stream only.
							require.Nil(t, g.Message)
						} else if d != event.Ledger {
							require.NotNil(t, g.Message)
							checkMessage(t, typ, g)
						}
					}
				})
			}
		}
	}
}

// TestGoldenEventsHaveKnownVersions: a file of a version that there is not is never read.
func TestGoldenEventsHaveKnownVersions(t *testing.T) {
	require.NoError(t, fs.WalkDir(os.DirFS("testdata/events"), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, file, _ := strings.Cut(filepath.ToSlash(path), "/")
		typ, ok := event.Find(name)
		number, _, _ := strings.Cut(file, ".")
		version, err := strconv.Atoi(number)
		if err != nil || !ok || version < 1 || version > typ.Version {
			return fmt.Errorf("%s is no version of a type", path)
		}
		return nil
	}))
}

// checkStored reads a record as the service does.
func checkStored(t *testing.T, r event.Record) {
	eventtest.CheckRecords(t, r)
	hash, err := eventlog.Hash(r)
	require.NoError(t, err)
	require.Equal(t, hash, r.Hash, "the hash is over what is stored")
	newest, err := r.Newest()
	require.NoError(t, err)
	eventtest.Check(t, newest)

	newer := r
	newer.SchemaVersion = newest.SchemaVersion + 1
	switch {
	case strings.HasPrefix(r.Stream, event.OrderStream("")):
		s, err := order.Fold(streamOf(t, event.OrderAccepted, r))
		require.NoError(t, err)
		require.Equal(t, r.HeadOf(), s.Head)
		_, err = order.Fold(streamOf(t, event.OrderAccepted, newer))
		requireTooNew(t, err)
	case strings.HasPrefix(r.Stream, event.LateStream("")):
		s, err := latepayment.State{}.Fold(streamOf(t, event.EventLate, r))
		require.NoError(t, err)
		require.Equal(t, r.HeadOf(), s.Head)
		_, err = latepayment.State{}.Fold(streamOf(t, event.EventLate, newer))
		requireTooNew(t, err)
	case strings.HasPrefix(r.Stream, event.StockStream("")):
		sameData[inventory.Movement](t, newest)
	case strings.HasPrefix(r.Stream, event.PaymentStream("")):
		sameData[simulator.Charge](t, newest)
	case strings.HasPrefix(r.Stream, event.RefundsStream("")):
		switch newest.Type {
		case event.RefundsReserved:
			sameData[refunds.Reservation](t, newest)
		case event.RefundsReturnReserved, event.RefundsReturnSettled:
			sameData[refunds.Return](t, newest)
		default:
			sameData[refunds.Settlement](t, newest)
		}
	case strings.HasPrefix(r.Stream, refund.Flow.StreamOf("")):
		s, err := refund.Flow.Fold(refund.State{}, streamOf(t, event.RefundAccepted, r))
		require.NoError(t, err)
		require.Equal(t, r.HeadOf(), s.Head)
		_, err = refund.Flow.Fold(refund.State{}, streamOf(t, event.RefundAccepted, newer))
		requireTooNew(t, err)
	case strings.HasPrefix(r.Stream, dispute.Flow.StreamOf("")):
		s, err := dispute.Flow.Fold(dispute.State{}, streamOf(t, event.DisputeAccepted, r))
		require.NoError(t, err)
		require.Equal(t, r.HeadOf(), s.Head)
		_, err = dispute.Flow.Fold(dispute.State{}, streamOf(t, event.DisputeAccepted, newer))
		requireTooNew(t, err)
	case strings.HasPrefix(r.Stream, returns.Flow.StreamOf("")):
		s, err := returns.Flow.Fold(returns.State{}, streamOf(t, event.ReturnAccepted, r))
		require.NoError(t, err)
		require.Equal(t, r.HeadOf(), s.Head)
		_, err = returns.Flow.Fold(returns.State{}, streamOf(t, event.ReturnAccepted, newer))
		requireTooNew(t, err)
	case strings.HasPrefix(r.Stream, event.ReconcileStream("")):
		sameData[reconcile.Violation](t, newest)
	case strings.HasPrefix(r.Stream, event.EarlyStream("")):
		sameCancellation(t, r, newest)
	case strings.HasPrefix(r.Stream, event.DeadStream("")):
		sameDecision(t, newest)
	}
}

// sameCancellation is sameData for a cancellation that came before its order.
func sameCancellation(t *testing.T, r event.Record, newest event.Event) {
	kept, err := order.Flow.EarlyCancellations([]event.Record{r})
	require.NoError(t, err)
	require.Len(t, kept, 1)
	again := order.Flow.Early(r.Subject, kept[0], r.CorrelationID, r.Time)
	require.Equal(t, r.Stream, order.Flow.EarlyStream(r.Subject))
	require.Equal(t, newest.Type, again.Type)
	require.JSONEq(t, string(newest.Data), string(again.Data))
}

// sameDecision is sameData for what was decided about a dead letter.
func sameDecision(t *testing.T, e event.Event) {
	switch e.Type {
	case event.DeadReceived:
		sameData[deadletter.ReceivedData](t, e)
	case event.DeadReplayRequested, event.DeadReplayed:
		sameData[deadletter.ReplayData](t, e)
	case event.DeadDiscarded:
		sameData[deadletter.DiscardData](t, e)
	default:
		sameData[deadletter.RetryData](t, e)
	}
}

// streamOf is the stream of a record, which begins with the first type's golden event.
func streamOf(t *testing.T, first string, r event.Record) []event.Record {
	if r.Type == first {
		return []event.Record{r}
	}
	return []event.Record{*read(t, find(t, first), 1).Stored, r}
}

// requireTooNew: an older process does not guess, and a newer one can go on.
func requireTooNew(t *testing.T, err error) {
	require.ErrorIs(t, err, fault.UnknownVersion)
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
}

// sameData reads an event's data into the value that the service makes of it, of which nothing may be missing.
func sameData[T any](t *testing.T, e event.Event) {
	value, err := event.Decode[T](e)
	require.NoError(t, err)
	data, err := json.Marshal(value)
	require.NoError(t, err)
	require.JSONEq(t, string(e.Data), string(data))
}

// checkMessage reads a message as the service and its neighbours do, and says what is published once more.
func checkMessage(t *testing.T, typ event.Type, g golden) {
	e, err := wire.Decode(g.Message.wire())
	require.NoError(t, err)
	require.Equal(t, typ.Name, e.Type)
	require.Equal(t, typ.Version, e.SchemaVersion, "readers see the newest version alone")
	eventtest.Check(t, e)
	if g.Stored == nil {
		return
	}
	newest, err := g.Stored.Newest()
	require.NoError(t, err)
	require.JSONEq(t, string(newest.Data), string(e.Data))
	newest.Data, e.Data = nil, nil
	require.Equal(t, newest, e)

	m, err := wire.Encode(*g.Stored)
	require.NoError(t, err)
	again, golden := messageOf(m), *g.Message
	require.JSONEq(t, string(golden.Body), string(again.Body))
	golden.Body, again.Body = nil, nil
	require.Equal(t, golden, again)
}

func (m message) wire() wire.Message {
	return wire.Message{
		ContentType: m.ContentType, MessageID: m.MessageID, CorrelationID: m.CorrelationID, Type: m.Type, AppID: m.AppID,
		Timestamp: m.Timestamp, Exchange: m.Exchange, RoutingKey: m.RoutingKey, Body: m.Body,
	}
}

func messageOf(m wire.Message) message {
	return message{
		ContentType: m.ContentType, MessageID: m.MessageID, CorrelationID: m.CorrelationID, Type: m.Type, AppID: m.AppID,
		Timestamp: m.Timestamp, Exchange: m.Exchange, RoutingKey: m.RoutingKey, Body: m.Body,
	}
}

func find(t *testing.T, name string) event.Type {
	typ, ok := event.Find(name)
	require.True(t, ok)
	return typ
}

// read returns the golden event of a version of a type.
func read(t *testing.T, typ event.Type, version int) golden {
	file := filepath.Join("testdata", "events", typ.Name, strconv.Itoa(version)+".json")
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && *update && version == typ.Version {
		raw = write(t, file, typ, eventtest.Examples(t, typ.Name, typ.Version)[0])
	} else {
		require.NoError(t, err, "go test ./event/eventtest -update writes the golden event of the newest version, and of no other")
	}
	var g golden
	require.NoError(t, json.Unmarshal(raw, &g))
	return g
}

// additions are what became valid in a version after its first golden event was written.
var additions = []struct {
	name, field string
	// there reports that events have the field since, otherwise that they may leave it out.
	there bool
	types []string
}{
	{"expiresAt", "expiresAt", true, []string{event.PaymentPending, event.OrderConfirmed, event.OrderShipped}},
	{"return", "return", true, []string{event.RefundsReserved}},
	{"returnId", "returnId", true, []string{event.RefundAccepted}},
	{"order", "eventId", false, []string{event.PaymentRefunded}},
}

// added returns the golden events of additions to a version: an example of the schema. Update writes what is missing.
func added(t *testing.T, typ event.Type, version int) []golden {
	var list []golden
	for _, a := range additions {
		if !slices.Contains(a.types, typ.Name) || version != 1 {
			continue
		}
		fits := func(data json.RawMessage) bool { return strings.Contains(string(data), `"`+a.field+`"`) == a.there }
		file := filepath.Join("testdata", "events", typ.Name, strconv.Itoa(version)+"."+a.name+".json")
		raw, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) && *update && version == typ.Version {
			examples := eventtest.Examples(t, typ.Name, version)
			n := slices.IndexFunc(examples, fits)
			require.GreaterOrEqual(t, n, 0, "%s shows no example of %s", typ.Name, a.name)
			raw = write(t, file, typ, examples[n])
		} else {
			require.NoError(t, err)
		}
		var g golden
		require.NoError(t, json.Unmarshal(raw, &g))
		require.True(t, fits(g.Stored.Data), file)
		list = append(list, g)
	}
	return list
}

// write makes the golden event of a type's newest version.
func write(t *testing.T, file string, typ event.Type, data json.RawMessage) []byte {
	at := time.Date(2026, 11, 21, 19, 17, 4, 749_000_000, time.UTC)
	var g golden
	if typ.Direction == event.Inbound {
		body, err := json.Marshal(map[string]any{
			"specversion": "1.0", "id": "evt-1", "type": typ.Name, "source": "/shop", "subject": "shop-1001", "time": at,
			"datacontenttype": "application/json", "dataschema": wire.SchemaOf(typ.Name, typ.Version), "data": data,
		})
		require.NoError(t, err)
		g.Message = &message{ContentType: wire.ContentType, Exchange: wire.Exchange, RoutingKey: typ.Name, Body: body}
	} else {
		var about struct {
			DisputeID, RefundID, ReturnID, OrderID, SKU, CustomerID, Stream string
		}
		require.NoError(t, json.Unmarshal(data, &about))
		if typ.Producer == event.ProducerReturnSaga {
			about.RefundID = about.ReturnID
		}
		g.Stored = seal(t, typ, first(about.DisputeID, about.RefundID, about.OrderID, about.SKU, about.CustomerID, about.Stream, "about-1"), about.SKU, at, data)
	}
	if typ.Direction == event.Published {
		m, err := wire.Encode(*g.Stored)
		require.NoError(t, err)
		sent := messageOf(m)
		g.Message = &sent
	}
	raw, err := json.MarshalIndent(g, "", "  ")
	require.NoError(t, err)
	raw = append(raw, '\n')
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	return raw
}

// seal makes the record of an event in a stream of its kind, after the stream's first event.
func seal(t *testing.T, typ event.Type, about, sku string, at time.Time, data json.RawMessage) *event.Record {
	var stream, opens string
	switch typ.Producer {
	case event.ProducerOrderSaga:
		stream, opens = event.OrderStream(about), event.OrderAccepted
	case event.ProducerRefundSaga:
		stream, opens = refund.Flow.StreamOf(about), event.RefundAccepted
	case event.ProducerDisputeSaga:
		stream, opens = dispute.Flow.StreamOf(about), event.DisputeAccepted
	case event.ProducerReturnSaga:
		stream, opens = returns.Flow.StreamOf(about), event.ReturnAccepted
		if typ.Direction == event.Ledger {
			stream, opens = returns.Flow.LateStreamOf(about), ""
		}
	case event.ProducerLateSaga:
		stream, opens = event.LateStream(about), event.EventLate
	case event.ProducerStock:
		stream, about = event.StockStream(sku), sku
	case event.ProducerSimulator:
		stream = event.PaymentStream(about)
	case event.ProducerRefunds:
		stream = event.RefundsStream(about)
	case event.ProducerReconcile:
		stream = event.ReconcileStream(about)
	case event.ProducerInbox:
		stream = event.EarlyStream(about)
	default:
		family, _, _ := strings.Cut(typ.Name, ".")
		stream = family + "-" + about
	}
	var head event.Head
	if opens != "" && opens != typ.Name {
		head = read(t, find(t, opens), 1).Stored.HeadOf()
	}
	entry := event.New(stream, typ.Name, typ.Name, about, at, data).CausedBy("checkout-42", "evt-1")
	records, err := eventlog.Seal(stream, head, []event.Entry{entry})
	require.NoError(t, err)
	return &records[0]
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
