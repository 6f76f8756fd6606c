package deadletter

import (
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/internal/null"
)

// Content is what is in a letter, as JSON can say it.
type Content struct {
	Properties Properties `json:"properties"`
	// Headers are the sender's: bytes are base64, and null is what JSON cannot say.
	Headers map[string]any `json:"headers"`
	// Payload is text or base64, as PayloadEncoding says; null when it is larger than what is to be shown.
	Payload         *string `json:"payload"`
	PayloadEncoding string  `json:"payloadEncoding"`
}

// Properties are what the message's sender said besides its headers.
type Properties struct {
	ContentType     string    `json:"contentType"`
	ContentEncoding string    `json:"contentEncoding"`
	MessageID       string    `json:"messageId"`
	CorrelationID   string    `json:"correlationId"`
	Type            string    `json:"type"`
	AppID           string    `json:"appId"`
	Timestamp       null.Time `json:"timestamp"`
}

// Content returns what is in the letter, without a payload of more bytes than maxPayload.
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
			value = nil // a number that is none
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
