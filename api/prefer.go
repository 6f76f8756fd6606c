package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait is the longest that Prefer: wait is honoured.
const maxWait = 60 * time.Second

// preferredWait returns how long the client prefers to wait (RFC 7240, 4.3), at most maxWait. A preference that
// cannot be understood is none; of several the first counts.
func preferredWait(h http.Header) time.Duration {
	for _, value := range h.Values(headerPrefer) {
		for preference := range strings.SplitSeq(value, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, argument, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(argument), `"`), 10, 32)
			if err != nil {
				return 0
			}
			return min(time.Duration(n)*time.Second, maxWait)
		}
	}
	return 0
}

// seconds writes a duration in whole seconds.
func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
