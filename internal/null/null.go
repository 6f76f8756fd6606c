// Package null has values for JSON that are null when they are empty, in the form that the REST API gives them.
package null

import (
	"bytes"
	"encoding/json"
	"time"
)

// Text is null when it is empty.
type Text string

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	// json.Marshal would escape what only HTML needs escaped, for callers that do not want it, too.
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(string(t))
	return text.Bytes(), err
}

// Time is RFC 3339 in UTC with milliseconds, and null when it is zero.
type Time struct{ time.Time }

// At returns a Time.
func At(t time.Time) Time { return Time{t} }

const layout = `"2006-01-02T15:04:05.000Z07:00"`

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(t.UTC().Format(layout)), nil
}
