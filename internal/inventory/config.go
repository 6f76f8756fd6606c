package inventory

import (
	"cmp"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Config configures a Ledger.
type Config struct {
	// Log has the streams. Required.
	Log eventlog.Log
	// Registry has the names of the SKUs. Required.
	Registry Registry
	// Orders tells whether orders hold stock temporarily. Default: Temporary tells it by their streams in Log.
	Orders Orders
	// Temporary tells by the stream of an order whether it may soon release the stock that it holds. Default: no order does.
	Temporary func(records []event.Record) (bool, error)
	// Logger default: no logs.
	Logger *slog.Logger
	// Clock is for the times of events. Default: time.Now.
	Clock func() time.Time
	// AppendTimeout bounds one call of the log, after which its result is unknown. Default 5 s, which is longer than writes usually
	// fail during a failover of a replica set.
	AppendTimeout time.Duration
	// Jitter returns a pause of at most limit before a lost race is retried. Default: uniformly random.
	Jitter func(limit time.Duration) time.Duration
	// SlotCache and HeadCache are the numbers of cached slots and heads. Defaults: 16384 and 4096, about 5 MB. They only save
	// reads; they never change a result.
	SlotCache, HeadCache int
}

// Validate sets defaults and reports errors. The error is Invalid.
func (c *Config) Validate() error {
	var wrong []fault.Field
	if c.Log == nil {
		wrong = append(wrong, fault.Fieldf("/log", "is missing"))
	}
	if c.Registry == nil {
		wrong = append(wrong, fault.Fieldf("/registry", "is missing"))
	}
	if c.AppendTimeout < 0 || c.SlotCache < 0 || c.HeadCache < 0 {
		wrong = append(wrong, fault.Fieldf("", "limits must not be negative"))
	}
	if c.Temporary == nil {
		c.Temporary = func([]event.Record) (bool, error) { return false, nil }
	}
	if c.Orders == nil {
		c.Orders = logOrders{c.Log, c.Temporary}
	}
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	c.AppendTimeout = cmp.Or(c.AppendTimeout, 5*time.Second)
	c.SlotCache = cmp.Or(c.SlotCache, 16384)
	c.HeadCache = cmp.Or(c.HeadCache, 4096)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Jitter == nil {
		c.Jitter = rand.N[time.Duration]
	}
	return fault.NewInvalid("inventory configuration", wrong)
}
