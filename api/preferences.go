package api

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// preferredType returns the offer that the client likes best (RFC 9110, 12.5.1), the first one when it likes
// several the same or says nothing. A client that likes none gets the first one too: it is better than nothing.
func preferredType(h http.Header, offers ...string) string {
	best, bestQuality := offers[0], 0.0
	accepted := strings.Join(h.Values(echo.HeaderAccept), ",")
	for _, offer := range offers {
		if quality := qualityOf(offer, accepted); quality > bestQuality {
			best, bestQuality = offer, quality
		}
	}
	return best
}

// qualityOf returns how much a client likes a media type, from 0 to 1. The most specific range counts.
func qualityOf(offer, accepted string) float64 {
	kind, _, _ := strings.Cut(offer, "/")
	quality, specific := 0.0, 0
	for element := range strings.SplitSeq(accepted, ",") {
		media, parameters, err := mime.ParseMediaType(element)
		if err != nil {
			continue
		}
		rank := map[string]int{offer: 3, kind + "/*": 2, "*/*": 1}[media]
		if rank <= specific {
			continue
		}
		specific, quality = rank, 1
		if q, given := parameters["q"]; given {
			if quality, err = strconv.ParseFloat(q, 64); err != nil {
				quality = 0
			}
		}
	}
	return quality
}

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

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
