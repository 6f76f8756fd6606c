package event

import (
	"strings"
	"time"
)

// ParseTime parses an RFC 3339 time. Unlike time.Parse it accepts everything in RFC 3339, section 5.6: lower-case t and z, a space between date and
// time, and leap seconds, which become the first instant of the next minute.
func ParseTime(text string) (time.Time, error) {
	const dateLength = len("2006-01-02")
	if len(text) > dateLength && strings.ContainsRune("Tt ", rune(text[dateLength])) {
		text = text[:dateLength] + "T" + strings.ToUpper(text[dateLength+1:])
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err == nil {
		return at, nil
	}
	const secondsAt = len("2006-01-02T15:04")
	before, after := text[:min(len(text), secondsAt)], text[min(len(text), secondsAt):]
	if rest, leap := strings.CutPrefix(after, ":60"); leap {
		// Leap seconds are at the end of a UTC day; the offset gives the local time.
		at, leapErr := time.Parse(time.RFC3339Nano, before+":59"+rest)
		if utc := at.UTC(); leapErr == nil && utc.Hour() == 23 && utc.Minute() == 59 {
			return at.Truncate(time.Second).Add(time.Second), nil
		}
	}
	return time.Time{}, err
}
