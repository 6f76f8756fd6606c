package deadletter

import (
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// EarlyNote stands in the detail of a letter whose cancellation is kept for an order that was not known.
const EarlyNote = "the cancellation is kept for 30 days and cancels the order if it comes"

// earlyFor is how long such a letter is kept, from when it failed.
const earlyFor = 30 * 24 * time.Hour

// KeptUntil returns until when a letter is marked as kept: that of a cancellation which came before its order. It is zero for
// every other letter. Nothing deletes letters; the mark says how long one is worth keeping open.
func (l Letter) KeptUntil() time.Time {
	if l.Reason != fault.OrderUnknown || l.Type != event.OrderCancellationRequested || !strings.Contains(l.Detail, EarlyNote) {
		return time.Time{}
	}
	return l.FailedAt.Add(earlyFor)
}
