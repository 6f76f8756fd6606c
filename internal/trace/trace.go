// Package trace carries the W3C trace context of a request, so that what it causes can be joined to it: from the header
// of a request or a message, through contexts and workflows, to the headers of the events that are published.
//
// Nothing here makes spans: what a caller sent is handed on as it is. The package is a leaf: it imports the standard
// library only.
package trace

import (
	"context"
	"regexp"
	"strings"
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

// Parent returns the trace parent of a context, or "" when it has none.
func Parent(ctx context.Context) string {
	parent, _ := ctx.Value(key{}).(string)
	return parent
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
