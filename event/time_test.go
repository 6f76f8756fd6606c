package event_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
)

func TestParseTimeAcceptsRFC3339(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-31T12:00:00Z":           "2026-01-31T12:00:00Z",
		"2026-01-31t12:00:00z":           "2026-01-31T12:00:00Z",
		"2026-01-31 12:00:00.25+02:00":   "2026-01-31T10:00:00.25Z",
		"2026-01-31T12:00:00-00:00":      "2026-01-31T12:00:00Z",
		"1990-12-31T23:59:60Z":           "1991-01-01T00:00:00Z",
		"1990-12-31t23:59:60.999999999z": "1991-01-01T00:00:00Z",
		"1990-12-31T15:59:60-08:00":      "1991-01-01T00:00:00Z",
		"2016-12-31T23:59:60+00:00":      "2017-01-01T00:00:00Z",
	} {
		at, err := event.ParseTime(text)
		require.NoError(t, err, text)
		require.Equal(t, want, at.UTC().Format(time.RFC3339Nano), text)
	}
}

func TestParseTimeRefusesOtherFormats(t *testing.T) {
	for _, text := range []string{
		"", "T", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31_12:00:00Z", "20260131T120000Z", "2026-01-31T12:00:60Z",
		"2026-01-31T23:59:60+01:00", "2026-01-31T23:59:61Z", "2026-01-31T23:59:60", "2026-02-30T00:00:00Z", "2026-01-31T12:00:00 Z",
		"Sat, 31 Jan 2026 12:00:00 GMT", "2026-01-31T12:00\xff", "\xff026-01-31t23:59:60z",
	} {
		_, err := event.ParseTime(text)
		require.Error(t, err, text)
	}
}
