// Package trace carries the W3C trace context of a request, so that what it causes can be joined to it: from the header
// of a request or a message, through contexts and workflows, to the headers of the events that are published.
//
// Spans are made inside spans alone: Start makes one where the context has one that is recorded, and nothing elsewhere. The first span of a
// request or a message is made with a tracer, which internal/tracing has if traces are exported. Without one, what a caller sent is handed
// on as it is.
//
// The package is a leaf: besides the standard library it imports the API of OpenTelemetry.
package trace

import (
	"context"
	"regexp"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Header is the name of the header, in HTTP and on the bus: https://www.w3.org/TR/trace-context/#traceparent-header.
const Header = "traceparent"

// form is version 00 of the header.
var form = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)

type key struct{}

// With returns a context with the trace parent in it. An invalid one is left out: a trace helps readers, and is no reason to
// refuse anything.
func With(ctx context.Context, parent string) context.Context {
	if !Valid(parent) {
		return ctx
	}
	return context.WithValue(ctx, key{}, parent)
}

// Parent returns the trace parent of a context: its span, else what a caller sent, or "" when it has none.
func Parent(ctx context.Context) string {
	if trace.SpanContextFromContext(ctx).IsValid() {
		header := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, header)
		return header[Header]
	}
	parent, _ := ctx.Value(key{}).(string)
	return parent
}

// id returns the trace ID of a context, or "" when it has none.
func id(ctx context.Context) string {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		return span.TraceID().String()
	}
	parent, _ := ctx.Value(key{}).(string)
	if len(parent) < 35 {
		return ""
	}
	return parent[3:35]
}

// Valid reports whether a header is a trace parent. IDs of zeros only are invalid.
func Valid(parent string) bool {
	ids := form.FindStringSubmatch(parent)
	return len(ids) == 3 && strings.Trim(ids[1], "0") != "" && strings.Trim(ids[2], "0") != ""
}

// Headers returns the headers that carry the trace parent of a context.
func Headers(ctx context.Context) map[string]string {
	if parent := Parent(ctx); parent != "" {
		return map[string]string{Header: parent}
	}
	return nil
}
