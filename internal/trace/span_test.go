package trace_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/ordersaga/ordersaga/internal/trace"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestSpansContinueTheCallersTrace(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	ctx, outer := trace.Begin(t.Context(), provider.Tracer(trace.Scope), "outer", trace.Server, parent)
	require.True(t, outer.Recorded())
	inside, inner := trace.Start(ctx, "inner", trace.Client)
	inner.Set("a", "b")
	inner.SetInt("n", 1)
	header := trace.Headers(inside)[trace.Header]
	inner.End(errors.New("away"))
	outer.End(nil)
	spans := exporter.GetSpans().Snapshots()
	require.Len(t, spans, 2)
	require.Equal(t, "inner", spans[0].Name())
	require.Equal(t, spans[1].SpanContext().SpanID(), spans[0].Parent().SpanID())
	require.Equal(t, "00f067aa0ba902b7", spans[1].Parent().SpanID().String())
	for _, s := range spans {
		require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", s.SpanContext().TraceID().String())
	}
	require.Equal(t, "away", spans[0].Status().Description)
	require.Equal(t, "00-4bf92f3577b34da6a3ce929d0e0e4736-"+spans[0].SpanContext().SpanID().String()+"-01", header)
	// What the caller sent is of no use inside a span.
	require.NotEqual(t, parent, trace.Parent(trace.With(inside, parent)))
}

func TestNothingIsRecordedWithoutTracer(t *testing.T) {
	ctx, span := trace.Begin(t.Context(), nil, "outer", trace.Server, parent)
	require.False(t, span.Recorded())
	require.Equal(t, parent, trace.Parent(ctx), "it is handed on as it is")
	inside, inner := trace.Start(ctx, "inner", trace.Client)
	require.Equal(t, ctx, inside)
	inner.Set("a", "b")
	inner.Name("c")
	inner.Fail("d")
	inner.End(errors.New("e"))
	span.End(nil)
}

// A span that is not recorded, by the sampler's or the caller's decision, has none inside it, and its caller hears the same.
func TestUnrecordedSpanIsPropagated(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	ctx, outer := trace.Begin(t.Context(), provider.Tracer(trace.Scope), "outer", trace.Server, strings.TrimSuffix(parent, "1")+"0")
	require.False(t, outer.Recorded())
	ctx, inner := trace.Start(ctx, "inner", trace.Client)
	inner.End(nil)
	outer.End(nil)
	require.Regexp(t, "^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-00$", trace.Parent(ctx))
	require.Empty(t, exporter.GetSpans())
}

func TestLogLinesHaveIDs(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(trace.Logged(slog.NewJSONHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})))
	ctx := trace.With(t.Context(), parent)
	logger.InfoContext(ctx, "one")
	ctx = trace.WithSaga(ctx, trace.Saga{Flow: "gift", Key: "saga_id", ID: "7", CorrelationID: "corr"})
	logger.With("a", 1).InfoContext(ctx, "two", "flow", "another")
	logger.InfoContext(context.Background(), "three")
	require.Equal(t, []string{
		`{"level":"INFO","msg":"one","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}`,
		`{"level":"INFO","msg":"two","a":1,"flow":"another","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","saga_id":"7","correlation_id":"corr"}`,
		`{"level":"INFO","msg":"three"}`,
	}, strings.Split(strings.TrimSpace(out.String()), "\n"))
}

// BenchmarkStartOff is what a place for a span costs without traces: nothing is allocated.
func BenchmarkStartOff(b *testing.B) {
	ctx := trace.With(b.Context(), parent)
	b.ReportAllocs()
	for b.Loop() {
		_, span := trace.Start(ctx, "step", trace.Client)
		if span.Recorded() {
			span.Set("a", "b")
		}
		span.End(nil)
	}
}

func TestDisabledSpanDoesNotAllocate(t *testing.T) {
	ctx := trace.With(t.Context(), parent)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, span := trace.Start(ctx, "step", trace.Client)
		span.End(nil)
	}))
}
