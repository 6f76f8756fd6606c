package wire

import (
	"encoding/json"
	"math"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// findTime returns when it happened. A time that cannot be read is an error only where the type's time is used; elsewhere
// the message's own timestamp is taken, if there is one.
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
	if m.Timestamp.IsZero() || !sane(m.Timestamp) {
		return time.Time{}, nil
	}
	return m.Timestamp.UTC().Truncate(event.TimeResolution), nil
}

// readTime reads a time: RFC 3339, or a number of seconds or milliseconds since 1970. Otherwise it says what must be.
func readTime(raw json.RawMessage) (at time.Time, wrong string) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		at, err := event.ParseTime(text)
		if err != nil || !sane(at) {
			return time.Time{}, "must be an RFC 3339 time such as 2026-01-31T12:00:00Z"
		}
		return at.UTC().Truncate(event.TimeResolution), ""
	}
	var number float64
	if json.Unmarshal(raw, &number) == nil {
		// 1e11 as milliseconds is March 1973, as seconds the year 5138: no event is mistaken.
		if number < 1e11 {
			number *= 1000
		}
		if at := time.UnixMilli(int64(math.Round(number))).UTC(); number > 0 && number < 1e14 && sane(at) {
			return at, ""
		}
	}
	return time.Time{}, "must be an RFC 3339 time, or seconds or milliseconds since 1970"
}
