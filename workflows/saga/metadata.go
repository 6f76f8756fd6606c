package saga

import (
	"encoding/json"
	"unicode/utf8"
)

// Limits of what the Temporal Web UI shows beside a workflow, an activity or a timer, in bytes of JSON. The server refuses a start, or
// fails the workflow task again and again, when a payload is larger than its limits: 400 bytes for a summary and 20,000 for
// details by default, with whatever a codec adds.
const (
	MaxSummary = 200
	MaxDetails = 8000
)

// Summary bounds a summary. What is cut off ends with an ellipsis.
func Summary(text string) string { return bounded(text, MaxSummary) }

// Details bounds details.
func Details(text string) string { return bounded(text, MaxDetails) }

// ellipsis replaces what was cut off.
const ellipsis = "…"

// bounded cuts a text so that its JSON has at most so many bytes.
func bounded(text string, limit int) string {
	if len(text)+len(`""`) > limit || jsonBytes(text) > limit {
		limit -= len(ellipsis)
		size := len(`""`)
		for at, r := range text {
			size += jsonBytes(string(r)) - len(`""`)
			if size > limit {
				return text[:at] + ellipsis
			}
		}
	}
	return text
}

// jsonBytes is the length of a text in JSON; a byte that is no text becomes a replacement character there.
func jsonBytes(text string) int {
	raw, err := json.Marshal(text)
	if err != nil {
		return len(text) * utf8.UTFMax
	}
	return len(raw)
}
