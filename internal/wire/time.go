package wire

import (
	"encoding/json"
	"math"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// findTime returns the time of the event. An invalid time is an error only if the type's time is used; otherwise the timestamp of the message
// is used, if any.
func (d draft) findTime(typ event.Type, m Message) (time.Time, error) {
	if !absent(d.time) {
		at, wrong := readTime(d.time)
		if wrong == "" {
			return at, nil
		}
		if typ.TimeUsed {
			return time.Time{}, malformed(d.timeAt, wrong)
		}
	}
	if m.Timestamp.IsZero() || !validYear(m.Timestamp) {
		return time.Time{}, nil
	}
	return m.Timestamp.UTC().Truncate(event.TimeResolution), nil
}

// readTime parses a time: RFC 3339, or a number of seconds or milliseconds since 1970. wrong is the rule that it violates.
func readTime(raw json.RawMessage) (at time.Time, wrong string) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		at, err := event.ParseTime(text)
		if err != nil || !validYear(at) {
			return time.Time{}, "must be an RFC 3339 time such as 2026-01-31T12:00:00Z"
		}
		return at.UTC().Truncate(event.TimeResolution), ""
	}
	var number float64
	if json.Unmarshal(raw, &number) == nil {
		// 1e11 is March 1973 in milliseconds and the year 5138 in seconds: there is no ambiguity.
		if number < 1e11 {
			number *= 1000
		}
		if at := time.UnixMilli(int64(math.Round(number))).UTC(); number > 0 && number < 1e14 && validYear(at) {
			return at, ""
		}
	}
	return time.Time{}, "must be an RFC 3339 time, or seconds or milliseconds since 1970"
}
