package event_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
)

// shopIDs are IDs as shops have them.
var shopIDs = []string{
	"gid://shopify/Order/123", "T3JkZXI6MjU=", "auth0|5f7c8ec7", "ABC/1 ü", "#1001", "100%", "a@b", "late-1", "a/b/../c", "-1", "_", "...",
	"e\u0301", "é", "注文-1", "🫖", strings.Repeat("注", 66), strings.Repeat("/", 200),
}

func TestValidID(t *testing.T) {
	for _, id := range append(shopIDs, "a", "A-1_2.3", strings.Repeat("x", 200), "a b") {
		require.True(t, event.ValidID(id), "%q", id)
	}
	for _, id := range []string{
		"", ".", "..", " a", "a ", " ", strings.Repeat("x", 201), strings.Repeat("ü", 101), "a\n", "a\x00b", "a\tb", "a\u00a0b", "a\u2028b",
		"\u202eabc", "a\u2066b", "a\u200bb", "a\u200db", "\ufeffa", "a\ufffdb", "\xff", "a\xc3", "a\u0378b", "\ue000",
	} {
		require.False(t, event.ValidID(id), "%q", id)
	}
}

func TestValidToken(t *testing.T) {
	for id, valid := range map[string]bool{
		"a": true, "A-1_2.3": true, strings.Repeat("x", 64): true, "": false, strings.Repeat("x", 65): false,
		"-a": false, ".a": false, "a b": false, "a/b": false, "a@b": false, "ä": false, "a\n": false,
	} {
		require.Equal(t, valid, event.ValidToken(id), "%q", id)
	}
}

func TestEscape(t *testing.T) {
	for id, name := range map[string]string{
		"":                        "",
		"shop-1001.a_B":           "shop-1001.a_B",
		"gid://shopify/Order/123": "gid%3A%2F%2Fshopify%2FOrder%2F123",
		"T3JkZXI6MjU=":            "T3JkZXI6MjU%3D",
		"auth0|5f7c8ec7":          "auth0%7C5f7c8ec7",
		"ABC/1 ü":                 "ABC%2F1%20%C3%BC",
		"100%":                    "100%25",
		"%2F":                     "%252F",
		"é":                       "%C3%A9",
		"e\u0301":                 "e%CC%81",
	} {
		require.Equal(t, name, event.Escape(id))
		back, ok := event.Unescape(name)
		require.True(t, ok, name)
		require.Equal(t, id, back)
	}
	for _, name := range []string{"%", "a%2", "%2f", "%41", "a/b", "a b", "%zz", "ü", "a~b"} {
		_, ok := event.Unescape(name)
		require.False(t, ok, "%q is not what Escape makes", name)
	}
}

func TestEscapedNamesAreStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,63}`).Draw(t, "id")
		require.Equal(t, "order-"+id, event.OrderStream(id))
		require.Equal(t, "sku-"+id, event.StockStream(id))
		require.Equal(t, "late-"+id, event.LateStream(id))
		require.Equal(t, "notice-completed-"+id, event.NoticeStream("completed-"+id))
		require.Equal(t, "customer-"+id, event.WorkflowID("customer-", id))
		require.Equal(t, id+"/undo/authorize", event.Key(id, "undo/authorize"))
	})
}

func anyID() *rapid.Generator[string] {
	text := rapid.StringOfN(rapid.SampledFrom([]rune(`ab0.-_%/@~|:=+ 2Fü注'"\`)), 1, 60, 200)
	return rapid.OneOf(rapid.SampledFrom(shopIDs), text.Filter(event.ValidID))
}

// names are all names that are made of one ID.
func names(id string) map[string]string {
	named := map[string]string{
		"order": event.OrderStream(id), "sku": event.StockStream(id), "payment": event.PaymentStream(id), "refunds": event.RefundsStream(id),
		"late": event.LateStream(id), "early": event.EarlyStream(id), "customer": event.CustomerStream(id), "dead": event.DeadStream(id),
		"reconcile order": event.ReconcileStream(event.OrderStream(id)), "reconcile late": event.ReconcileStream(event.LateStream(id)),
		"welcome": event.NoticeStream("welcome-" + id), "completed": event.NoticeStream("completed-" + id),
	}
	for _, prefix := range []string{"order-", "late-", "customer-", "notice-welcome-", "notice-completed-", "shortage-"} {
		named["workflow "+prefix] = "workflow/" + event.WorkflowID(prefix, id)
	}
	for _, step := range []string{"authorize", "capture", "void", "undo/authorize", "refund/e-1"} {
		named["key "+step] = "key/" + event.Key(id, step)
	}
	for _, slot := range []string{"/reserve", "/settle"} {
		named["slot "+slot] = "slot/" + event.Escape(id) + slot
	}
	return named
}

// TestNamesNeverCollide: different IDs, and different things with one ID, have different names; a stream's name tells its ID.
func TestNamesNeverCollide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyID().Draw(t, "a"), anyID().Draw(t, "b")
		owner := map[string]string{}
		for _, id := range []string{a, b} {
			for what, name := range names(id) {
				before, taken := owner[name]
				require.False(t, taken && before != id+"\x00"+what, "%q is the name of %q and of %s of %q", name, before, what, id)
				owner[name] = id + "\x00" + what
				require.NotContains(t, name, "@", "it separates stream and version")
			}
		}
		for _, of := range []struct {
			stream string
			id     func(string) (string, bool)
		}{
			{event.OrderStream(a), event.OrderIDOf}, {event.StockStream(a), event.SKUOf}, {event.PaymentStream(a), event.PaymentReferenceOf},
			{event.RefundsStream(a), event.RefundsReferenceOf}, {event.DeadStream(a), event.DeadLetterIDOf},
		} {
			id, ok := of.id(of.stream)
			require.True(t, ok, of.stream)
			require.Equal(t, a, id)
		}
	})
}

// TestWorkflowIDsFit: Temporal's SQL databases take 255 characters.
func TestWorkflowIDsFit(t *testing.T) {
	long, longer := strings.Repeat("注", 66), strings.Repeat("注", 65)+"文"
	id := event.WorkflowID("notice-completed-", long)
	require.LessOrEqual(t, len(id), 255)
	require.NotEqual(t, id, event.WorkflowID("notice-completed-", longer), "the part that is cut off tells them apart")
	require.Equal(t, id, event.WorkflowID("notice-completed-", long))
	_, ok := event.Unescape(strings.TrimPrefix(id, "notice-completed-"))
	require.False(t, ok, "it does not pass for another ID")
	require.Equal(t, "order-"+strings.Repeat("x", 200), event.WorkflowID("order-", strings.Repeat("x", 200)))
}
