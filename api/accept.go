package api

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

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
