package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

var errDuration = errors.New("not a duration")

// ParseDuration parses a duration in Go's syntax, extended by days: 6d, 1d12h, 90m. A day has 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	days, rest, hasDays := strings.Cut(s, "d")
	if !hasDays {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n > uint64(math.MaxInt64/day) {
		return 0, errDuration
	}
	total := time.Duration(n) * day
	if rest == "" {
		return total, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 || rest[0] == '+' || total > math.MaxInt64-more {
		return 0, errDuration
	}
	return total + more, nil
}

// FormatDuration formats a duration for ParseDuration: days first, without zero units.
func FormatDuration(d time.Duration) string {
	if d <= 0 {
		return d.String()
	}
	days := ""
	if d >= day {
		days = strconv.FormatInt(int64(d/day), 10) + "d"
		if d %= day; d == 0 {
			return days
		}
	}
	rest := d.String()
	if d%time.Minute == 0 {
		rest = strings.TrimSuffix(rest, "0s")
	}
	if d%time.Hour == 0 {
		rest = strings.TrimSuffix(rest, "0m")
	}
	return days + rest
}
