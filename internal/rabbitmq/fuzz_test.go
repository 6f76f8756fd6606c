package rabbitmq

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// FuzzLetter: a message of the dead letter queue with any headers becomes a letter: the same one each time, with bounded texts, and with the body
// that was sent.
func FuzzLetter(f *testing.F) {
	for _, headers := range []string{
		`{}`, `{"x-death":[{"reason":"expired","queue":"q","exchange":"e","routing-keys":["k"],"count":1}]}`, `{"x-death":{"reason":1}}`, `{"x-death":[1]}`,
		`{"x-death":[{"routing-keys":[1],"time":"x"}]}`, `{"x-ordersaga-attempts":"x","x-ordersaga-replays":1e300,"x-ordersaga-reason":["a"]}`,
		`{"x-ordersaga-death":1,"x-ordersaga-replay-of":"../a","x-ordersaga-first-seen":"y","x-acquired-count":"0"}`, `{"cloudEvents:id":[{}],"ce-type":null}`,
	} {
		f.Add([]byte(headers), []byte(`{"id":"a","type":"order.created","data":{}}`), "order.created")
	}
	f.Fuzz(func(t *testing.T, raw, body []byte, text string) {
		var headers map[string]any
		if json.Unmarshal(raw, &headers) != nil {
			return
		}
		m := wire.Message{Headers: headers, Body: body, MessageID: text, Type: text, AppID: text, RoutingKey: text, Exchange: text, CorrelationID: text, ContentType: text}
		at := time.Unix(1_800_000_000, 0)
		l := deadletter.New(LetterOf(m), at)
		if again := deadletter.New(LetterOf(m), at); again.ID != l.ID {
			t.Fatal("the same message is two letters")
		}
		if string(l.Message.Body) != string(body) {
			t.Fatal("the body has changed")
		}
		for _, shown := range []string{l.Detail, l.Type, l.EventID, l.Subject, l.CorrelationID, string(l.Reason), string(l.ReplayOf)} {
			if len(shown) > deadletter.MaxText || !utf8.ValidString(shown) {
				t.Fatalf("text of %d bytes: %q", len(shown), shown)
			}
		}
		if _, err := json.Marshal(l); err != nil {
			t.Fatal(err)
		}
	})
}
