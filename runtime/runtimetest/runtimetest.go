// Package runtimetest has an in-memory runtime.Env for tests of flows.
package runtimetest

import (
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/runtime"
)

// Env returns an event log in memory, and the payment simulator with its payment methods, such as tok_visa and tok_declined.
func Env() runtime.Env {
	log := memlog.New()
	payments, err := simulator.New(simulator.Config{Log: log})
	if err != nil {
		panic(err) // the configuration is constant
	}
	return runtime.Env{Payments: payments, Log: log, Logger: slog.New(slog.DiscardHandler), Clock: time.Now}
}
