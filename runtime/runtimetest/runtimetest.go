// Package runtimetest gives tests of flows what the service gives their participants, in memory.
package runtimetest

import (
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/runtime"
)

// Env returns an event log in memory, which keeps the contract of the real one, and the payment simulator over it, whose methods are those of
// PAYMENT_GATEWAY=simulator, such as tok_visa and tok_declined.
func Env() runtime.Env {
	log := memlog.New()
	payments, err := simulator.New(simulator.Config{Log: log})
	if err != nil {
		panic(err) // its configuration is the one above
	}
	return runtime.Env{Payments: payments, Log: log, Logger: slog.New(slog.DiscardHandler), Clock: time.Now}
}
