package event_test

import (
	"strings"
	"testing"

	"github.com/ordersaga/ordersaga/event"
)

// FuzzNames: an ID survives being part of a name, a name has one ID, and neither is longer than its bound.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"order-1", "gid://shopify/Order/1", "%2F", "%2f", "%", "..", "a@b", "\xff", "ü", strings.Repeat("ü", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name := event.Escape(text)
		if strings.ContainsAny(name, "/@ ") || len(name) > 3*len(text) {
			t.Fatalf("%q became %q", text, name)
		}
		if id, ok := event.Unescape(name); !ok || id != text {
			t.Fatalf("%q became %q and then %q", text, name, id)
		}
		if id, ok := event.Unescape(text); ok && event.Escape(id) != text {
			t.Fatalf("%q is a second name of %q", text, id)
		}
		if workflow := event.WorkflowID("order-", text); len(workflow) > 255 {
			t.Fatalf("the workflow ID has %d bytes", len(workflow))
		}
		if at, err := event.ParseTime(text); err == nil && at.IsZero() && !strings.HasPrefix(text, "0001-01-01") {
			t.Fatalf("%q is the zero time", text)
		}
	})
}
