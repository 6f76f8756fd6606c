package eventlog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// start is the time of the tests' first event.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func entry(key string) event.Entry {
	return event.New("order-1", key, event.OrderAccepted, "1", start, map[string]any{"orderId": "1"})
}

// numbered returns entries with the keys from … to.
func numbered(from, to int) []event.Entry {
	var list []event.Entry
	for i := from; i <= to; i++ {
		list = append(list, entry(fmt.Sprint(i)))
	}
	return list
}
