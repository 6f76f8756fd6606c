package e2e

import (
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"google.golang.org/protobuf/proto"

	"github.com/ordersaga/ordersaga/test/harness"
)

// spans is a collector of traces, over HTTP or HTTPS. It keeps each span once, the last that was sent.
type spans struct {
	*httptest.Server
	mu   sync.Mutex
	byID map[string]*tracepb.Span
}

func newSpans(t *testing.T, encryption *tls.Config) *spans {
	s := &spans{byID: make(map[string]*tracepb.Span)}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, resource := range request.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					s.byID[hex.EncodeToString(span.GetSpanId())] = span
				}
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	if encryption != nil {
		s.TLS = encryption
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// env returns settings with which a service exports its spans to the collector soon.
func (s *spans) env() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + s.URL, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_SERVICE_NAME=shop"}
}

// of returns the spans of a trace by their IDs.
func (s *spans) of(traceID string) map[string]*tracepb.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make(map[string]*tracepb.Span)
	for id, span := range s.byID {
		if hex.EncodeToString(span.GetTraceId()) == traceID {
			found[id] = span
		}
	}
	return found
}

// tree are the spans of a trace as paths of names, from the root on, each once. A span whose parent is missing begins with "?".
func tree(all map[string]*tracepb.Span, root string) []string {
	paths := make(map[string]bool)
	for _, span := range all {
		path := span.GetName()
		for {
			above := hex.EncodeToString(span.GetParentSpanId())
			if above == root {
				break
			}
			if span = all[above]; span == nil {
				path = "? > " + path
				break
			}
			path = span.GetName() + " > " + path
		}
		paths[path] = true
	}
	return slices.Sorted(maps.Keys(paths))
}

// has reports whether a path goes through all of the names, in their order.
func has(paths []string, names ...string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		parts := strings.Split(path, " > ")
		if len(names) == 0 || parts[len(parts)-1] != names[len(names)-1] {
			return false
		}
		i := 0
		for _, part := range parts {
			if i < len(names) && part == names[i] {
				i++
			}
		}
		return i == len(names)
	})
}

// TestACompensatedOrderIsOneTrace: the trace has the request of the caller, the workflow, each attempt, MongoDB and the publishes, and continues at
// the subscribers.
func TestACompensatedOrderIsOneTrace(t *testing.T) {
	s := newStack(t)
	collected := newSpans(t, nil)
	service := s.start(collected.env()...)
	sku := s.sku(10)
	const traceID, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	placed, err := s.client.Place(s.ctx, harness.NewOrder(sku, 1, "tok_declined"), longestWait, "Traceparent", "00-"+traceID+"-"+caller+"-01")
	require.NoError(t, err)
	require.Equal(t, "rejected", placed.Status)

	const request, start, run = "POST /v1/orders", "StartWorkflow:OrderSaga", "RunWorkflow:OrderSaga"
	want := [][]string{
		{request}, {request, start}, {request, start, run},
		{run, "RunActivity:order.Open", "append"},
		// Reservations share their appends; the simulator's are the order's own.
		{run, "StartActivity:inventory.Reserve", "RunActivity:inventory.Reserve", "do reserve"},
		{run, "RunActivity:inventory.Reserve", "append"},
		{run, "RunActivity:payment.Authorize", "do authorize", "append"},
		{run, "RunActivity:inventory.Release", "undo reserve"},
		{run, "publish"},
	}
	var paths []string
	require.Eventually(t, func() bool {
		paths = tree(collected.of(traceID), caller)
		return !slices.ContainsFunc(want, func(names []string) bool { return !has(paths, names...) })
	}, patience, tick, "the spans are %s", lazy(func() string { return "\n" + strings.Join(paths, "\n") }))
	require.False(t, slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, "?") }), "a parent is missing:\n%s", strings.Join(paths, "\n"))

	all := collected.of(traceID)
	s.published(s.audit(), placed.ID)
	for _, m := range harness.Outbound(s.tap.Of(placed.ID)) {
		header, _ := m.Headers["traceparent"].(string)
		parts := strings.Split(header, "-")
		require.Len(t, parts, 4, "%s", header)
		require.Equal(t, traceID, parts[1])
		require.Contains(t, all, parts[2], "%s is published by a span of the trace", m.Type)
		require.Equal(t, "publish", all[parts[2]].GetName())
	}
	for _, span := range all {
		if span.GetName() == "do authorize" {
			about := make(map[string]string)
			for _, a := range span.GetAttributes() {
				about[a.GetKey()] = a.GetValue().GetStringValue()
			}
			require.Equal(t, map[string]string{
				"ordersaga.flow": "order", "ordersaga.order_id": placed.ID, "ordersaga.step": "authorize", "ordersaga.kind": "do",
				"ordersaga.outcome": "refused", "ordersaga.correlation_id": about["ordersaga.correlation_id"],
			}, about)
			require.NotEmpty(t, about["ordersaga.correlation_id"])
		}
	}
	require.Contains(t, service.Log(), `"trace_id":"`+traceID+`"`)
}

// TestLongWaitsAreLinked: a signal that comes later, from another trace, is linked with the order's.
func TestLongWaitsAreLinked(t *testing.T) {
	s := newStack(t)
	collected := newSpans(t, nil)
	first := s.start(collected.env()...)
	sku := s.sku(10)
	const placedBy, shippedBy = "4bf92f3577b34da6a3ce929d0e0e4736", "5bf92f3577b34da6a3ce929d0e0e4737"
	const caller = "00f067aa0ba902b7"
	o := harness.NewOrder(sku, 1, "tok_visa")
	o.ID, o.Fulfillment = "linked-"+sku, "shipment"
	publish := func(id, eventType, traceID string, data any) {
		t.Helper()
		body, err := json.Marshal(harness.Event(id, eventType, o.ID, data))
		require.NoError(t, err)
		require.NoError(t, s.bus.PublishRaw(s.ctx, harness.Exchange, eventType, amqp.Publishing{
			ContentType: "application/cloudevents+json", Headers: amqp.Table{"traceparent": "00-" + traceID + "-" + caller + "-01"}, Body: body,
		}))
	}
	publish("placed-"+sku, "order.created", placedBy, o)
	_, err := s.client.AwaitStatus(s.ctx, o.ID, "awaiting_shipment")
	require.NoError(t, err)
	// Another process continues the saga from its history. Only the history shows a wait.
	taskCompletedAfter := func(eventType enumspb.EventType) {
		t.Helper()
		require.Eventually(t, func() bool {
			history := s.temporal.GetWorkflowHistory(s.ctx, "order-"+o.ID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			for found := false; history.HasNext(); {
				e, err := history.Next()
				if err != nil {
					return false
				}
				if found = found || e.GetEventType() == eventType; found && e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
					return true
				}
			}
			return false
		}, patience, tick)
	}
	taskCompletedAfter(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
	first.Kill()
	second := s.start(collected.env()...)
	publish("shipped-"+sku, "shipment.dispatched", shippedBy, map[string]any{"orderId": o.ID, "carrier": "dhl"})

	linked := func(all map[string]*tracepb.Span, name, traceID string) bool {
		for _, span := range all {
			if span.GetName() == name && slices.ContainsFunc(span.GetLinks(), func(l *tracepb.Span_Link) bool { return hex.EncodeToString(l.GetTraceId()) == traceID }) {
				return true
			}
		}
		return false
	}
	var order, shipment []string
	spans := func() string {
		return "\n" + strings.Join(order, "\n") + "\nthe shipment's are\n" + strings.Join(shipment, "\n")
	}
	require.Eventually(t, func() bool {
		placed, shipped := collected.of(placedBy), collected.of(shippedBy)
		order, shipment = tree(placed, caller), tree(shipped, caller)
		return slices.ContainsFunc(slices.Collect(maps.Values(placed)), func(span *tracepb.Span) bool { return span.GetName() == "do capture" }) &&
			slices.ContainsFunc(shipment, func(path string) bool { return strings.Contains(path, "process shipment.dispatched > SignalWorkflow:") }) &&
			slices.ContainsFunc(slices.Collect(maps.Values(shipped)), func(span *tracepb.Span) bool {
				return strings.HasPrefix(span.GetName(), "HandleSignal:") && linked(map[string]*tracepb.Span{"": span}, span.GetName(), placedBy)
			})
	}, patience, tick, "the order's spans are %s", lazy(spans))
	// A third process has the signal from the history only, and ends the run.
	taskCompletedAfter(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
	second.Kill()
	s.start(collected.env()...)
	s.carrier("shipment.delivered", o.ID)
	_, err = s.client.AwaitEnd(s.ctx, o.ID)
	require.NoError(t, err)
	const run = "RunWorkflow:OrderSaga"
	require.Eventually(t, func() bool {
		placed := collected.of(placedBy)
		order = tree(placed, caller)
		return has(order, "process order.created", "StartWorkflow:OrderSaga", run) && linked(placed, run, shippedBy)
	}, patience, tick, "the order's spans are %s", lazy(spans))
}
