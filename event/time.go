package event

import (
	"strings"
	"time"
)

// ParseTime reads an RFC 3339 time. Unlike time.Parse it takes everything that RFC 3339 allows in section 5.6: T and Z in
// lower case, a space between date and time, and leap seconds, which are the first instant of the next minute here.
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
		// UTC has them at the end of a day; the offset says at which local time that is.
		at, leapErr := time.Parse(time.RFC3339Nano, before+":59"+rest)
		if utc := at.UTC(); leapErr == nil && utc.Hour() == 23 && utc.Minute() == 59 {
			return at.Truncate(time.Second).Add(time.Second), nil
		}
	}
	return time.Time{}, err
}
