package trace

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the name of the instrumentation of this service.
const Scope = "github.com/ordersaga/ordersaga"

// Kind is the kind of a span.
type Kind = trace.SpanKind

// The kinds of spans.
const (
	Internal = trace.SpanKindInternal
	Server   = trace.SpanKindServer
	Client   = trace.SpanKindClient
	Producer = trace.SpanKindProducer
	Consumer = trace.SpanKindConsumer
)

// Span is a part of a trace. The zero Span records nothing.
type Span struct{ span trace.Span }

// Start begins a span inside that of the context. Without one that is recorded it does nothing, and returns the context as it is.
func Start(ctx context.Context, name string, kind Kind) (context.Context, Span) {
	if !Recorded(ctx) {
		return ctx, Span{}
	}
	ctx, span := trace.SpanFromContext(ctx).TracerProvider().Tracer(Scope).Start(ctx, name, trace.WithSpanKind(kind))
	return ctx, Span{span}
}

// Recorded reports whether a context has a span that is recorded: otherwise Start does nothing.
func Recorded(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// Begin begins the first span of what a request or a message causes. Parent is the trace parent that its caller sent; an invalid one is left
// out. A nil tracer makes no span.
func Begin(ctx context.Context, tracer trace.Tracer, name string, kind Kind, parent string) (context.Context, Span) {
	ctx = With(ctx, parent)
	if tracer == nil {
		return ctx, Span{}
	}
	if Valid(parent) {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{Header: parent})
	}
	ctx, span := tracer.Start(ctx, name, trace.WithSpanKind(kind))
	return ctx, Span{span}
}

// Recorded reports whether the span is recorded: otherwise its attributes need not be made.
func (s Span) Recorded() bool { return s.span != nil && s.span.IsRecording() }

// Name replaces the name.
func (s Span) Name(name string) {
	if s.Recorded() {
		s.span.SetName(name)
	}
}

// Set sets an attribute.
func (s Span) Set(key, value string) {
	if s.Recorded() {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// SetInt sets an attribute that is a number.
func (s Span) SetInt(key string, value int) {
	if s.Recorded() {
		s.span.SetAttributes(attribute.Int(key, value))
	}
}

// Fail marks the span as failed.
func (s Span) Fail(text string) {
	if s.Recorded() {
		s.span.SetStatus(codes.Error, text)
	}
}

// End ends the span, with the error of what it was about.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil && s.span.IsRecording() {
		s.span.RecordError(err)
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End()
}
