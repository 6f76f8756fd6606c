package tracing

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/ordersaga/ordersaga/internal/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNothingIsExportedWithoutAnEndpoint(t *testing.T) {
	for name, c := range map[string]struct {
		env    map[string]string
		wanted bool
	}{
		"nothing":             {nil, false},
		"an endpoint":         {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, true},
		"one of traces":       {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"}, true},
		"disabled":            {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, false},
		"another exporter":    {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, false},
		"a name of a service": {map[string]string{"OTEL_SERVICE_NAME": "shop"}, false},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.wanted, Wanted(func(n string) string { return c.env[n] })) })
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	none, err := New(t.Context(), Config{})
	require.NoError(t, err)
	require.Nil(t, none)
	require.Nil(t, none.Tracer())
	interceptors, err := none.Interceptors()
	require.NoError(t, err)
	require.Empty(t, interceptors)
	require.NoError(t, none.Stop(t.Context()))
}

func TestSpansAreExported(t *testing.T) {
	var got atomic.Pointer[collector.ExportTraceServiceRequest]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if r.URL.Path == "/v1/traces" && proto.Unmarshal(body, &request) == nil {
			got.Store(&request)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_SERVICE_NAME", "shop")
	export, err := New(t.Context(), Config{Protocol: "http/protobuf", Version: "1", OnError: func(error) {}})
	require.NoError(t, err)
	_, span := trace.Begin(t.Context(), export.Tracer(), "request", trace.Server, "")
	span.End(nil)
	require.NoError(t, export.Stop(t.Context()))
	resources := got.Load().GetResourceSpans()
	require.Len(t, resources, 1)
	about := make(map[string]string)
	for _, a := range resources[0].GetResource().GetAttributes() {
		about[a.GetKey()] = a.GetValue().GetStringValue()
	}
	require.Equal(t, "shop", about["service.name"])
	require.Equal(t, "1", about["service.version"])
	require.Equal(t, "request", resources[0].GetScopeSpans()[0].GetSpans()[0].GetName())
}

// received is a collector over gRPC.
type received struct {
	collector.UnimplementedTraceServiceServer
	requests chan *collector.ExportTraceServiceRequest
}

func (r *received) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.requests <- request
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestSpansAreExportedOverGRPC(t *testing.T) {
	open, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &received{requests: make(chan *collector.ExportTraceServiceRequest, 1)}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, r)
	served := make(chan error, 1)
	go func() { served <- server.Serve(open) }()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+open.Addr().String())
	export, err := New(t.Context(), Config{Protocol: "grpc", OnError: func(error) {}})
	require.NoError(t, err)
	_, span := trace.Begin(t.Context(), export.Tracer(), "request", trace.Server, "")
	span.End(nil)
	require.NoError(t, export.Stop(t.Context()))
	require.Equal(t, "request", (<-r.requests).GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0].GetName())
	server.Stop()
	require.NoError(t, <-served)
}

// A run is one span, whichever process has it.
func TestRunIsOneSpan(t *testing.T) {
	parent := oteltrace.NewSpanContext(oteltrace.SpanContextConfig{TraceID: oteltrace.TraceID{1}, SpanID: oteltrace.SpanID{2}, TraceFlags: oteltrace.FlagsSampled})
	span := func(name string, parent oteltrace.SpanContext) oteltrace.SpanID {
		ctx := oteltrace.ContextWithSpanContext(context.WithValue(t.Context(), runKey{}, name), parent)
		return ids{}.NewSpanID(ctx, parent.TraceID())
	}
	one := span("RunWorkflow:a", parent)
	require.True(t, one.IsValid())
	require.Equal(t, one, span("RunWorkflow:a", parent))
	require.NotEqual(t, one, span("RunWorkflow:b", parent))
	require.NotEqual(t, one, span("RunWorkflow:a", parent.WithSpanID(oteltrace.SpanID{3})))
	require.NotEqual(t, one, span("RunWorkflow:a", parent.WithTraceID(oteltrace.TraceID{3})))
	random := ids{}.NewSpanID(t.Context(), parent.TraceID())
	require.NotEqual(t, random, ids{}.NewSpanID(t.Context(), parent.TraceID()))

	exporter := tracetest.NewInMemoryExporter()
	export, err := To(t.Context(), exporter)
	require.NoError(t, err)
	_, first := trace.Begin(t.Context(), export.Tracer(), "first", trace.Server, "")
	first.End(nil)
	require.True(t, exporter.GetSpans()[0].SpanContext.IsValid())
	require.NoError(t, export.Stop(t.Context()))
}
