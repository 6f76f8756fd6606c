package deadletter

import (
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/internal/null"
)

// Content is the content of a letter in JSON.
type Content struct {
	Properties Properties `json:"properties"`
	// Headers are the headers of the sender; bytes are base64, and null replaces values that JSON cannot express.
	Headers map[string]any `json:"headers"`
	// Payload is text or base64, see PayloadEncoding; null if it is too large to be shown.
	Payload         *string `json:"payload"`
	PayloadEncoding string  `json:"payloadEncoding"`
}

// Properties are the AMQP properties of the message.
type Properties struct {
	ContentType     string    `json:"contentType"`
	ContentEncoding string    `json:"contentEncoding"`
	MessageID       string    `json:"messageId"`
	CorrelationID   string    `json:"correlationId"`
	Type            string    `json:"type"`
	AppID           string    `json:"appId"`
	Timestamp       null.Time `json:"timestamp"`
}

// Content returns the content of the letter, without a payload of more than maxPayload bytes.
func (l Letter) Content(maxPayload int) Content {
	m := l.Message
	c := Content{
		Properties: Properties{m.ContentType, m.ContentEncoding, m.MessageID, m.CorrelationID, m.Type, m.AppID, null.At(m.Timestamp)},
		Headers:    make(map[string]any, len(m.Headers)),
	}
	for name, value := range m.Headers {
		if at, isTime := value.(time.Time); isTime {
			value = null.At(at)
		} else if _, err := json.Marshal(value); err != nil {
			value = nil // such as NaN
		}
		c.Headers[name] = value
	}
	text := string(m.Body)
	switch {
	case len(text) > maxPayload:
		c.PayloadEncoding = "omitted"
		return c
	case utf8.ValidString(text):
		c.PayloadEncoding = "text"
	default:
		text, c.PayloadEncoding = base64.StdEncoding.EncodeToString(m.Body), "base64"
	}
	c.Payload = &text
	return c
}
