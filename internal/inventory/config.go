package inventory

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Config is what a Ledger needs. Log and Registry are mandatory.
type Config struct {
	// Log holds the streams.
	Log eventlog.Log
	// Registry holds the names of the SKUs.
	Registry Registry
	// Orders says what the orders that hold stock are about to do. Default: their streams in Log say it.
	Orders Orders
	// Logger is for what operators should know. Default: nothing is logged.
	Logger *slog.Logger
	// Clock tells the time of events. Default: time.Now.
	Clock func() time.Time
	// AppendTimeout bounds one call of the log, after which its outcome is unknown. Default: 5 s, which is longer
	// than a failover of a replica set usually takes to fail a write.
	AppendTimeout time.Duration
	// Jitter returns a pause of at most limit before a lost race is tried again. Default: uniformly random.
	Jitter func(limit time.Duration) time.Duration
	// SlotCache and HeadCache are how many slots and SKUs are remembered. Defaults: 16384 and 4096, about 5 MB.
	// They change what is read, never what is answered.
	SlotCache, HeadCache int
}

// Validate fills in the defaults. The error is Invalid.
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
	if c.Orders == nil {
		c.Orders = logOrders{log: c.Log}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.AppendTimeout == 0 {
		c.AppendTimeout = 5 * time.Second
	}
	if c.Jitter == nil {
		c.Jitter = rand.N[time.Duration]
	}
	if c.SlotCache == 0 {
		c.SlotCache = 16384
	}
	if c.HeadCache == 0 {
		c.HeadCache = 4096
	}
	return fault.NewInvalid("inventory configuration", wrong)
}
