package audit_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/audit"
)

func TestDeadLetters(t *testing.T) {
	say := func(key, kind string, more map[string]any) fact {
		data := map[string]any{"letterId": "l-1", "payloadHash": strings.Repeat("a", 64)}
		for name, value := range more {
			data[name] = value
		}
		return fact{key, kind, data}
	}
	received, begun := say("receive", "dead.received", nil), say("retry", "dead.retry_begun", nil)
	asked, sent := say("replay/1", "dead.replay_requested", map[string]any{"replay": 1}), say("replay/1/sent", "dead.replayed", map[string]any{"replay": 1})
	for name, c := range map[string]struct {
		facts     []fact
		violation string
	}{
		"a replay":         {[]fact{received, begun, say("retry/end", "dead.retry_failed", nil), asked, sent}, ""},
		"no beginning":     {[]fact{asked, sent}, "begins with dead.replay_requested"},
		"not requested":    {[]fact{received, sent}, "replayed without a request"},
		"retried twice":    {[]fact{received, begun, say("retry/2", "dead.retry_begun", nil)}, "was retried twice"},
		"a type":           {[]fact{say("receive", "dead.received", map[string]any{"type": "shipment.lost", "subject": "42"})}, ""},
		"a text":           {[]fact{say("receive", "dead.received", map[string]any{"type": "shipment.lost", "subject": "Ada\nLovelace"})}, "more of its event than type and subject"},
		"a payload":        {[]fact{received, say("discard/1", "dead.discarded", map[string]any{"payload": "secret"})}, "has the field payload"},
		"no hash":          {[]fact{say("receive", "dead.received", map[string]any{"payloadHash": "secret"})}, "neither which letter nor which payload"},
		"another letter's": {[]fact{say("receive", "dead.received", map[string]any{"letterId": "l-2"})}, "neither which letter nor which payload"},
	} {
		t.Run(name, func(t *testing.T) {
			report := audit.Examine(documents(t, "dead-l-1", c.facts...))
			if c.violation == "" {
				require.Empty(t, report.Violations)
				return
			}
			require.Contains(t, strings.Join(report.Violations, "; "), c.violation)
		})
	}
}
