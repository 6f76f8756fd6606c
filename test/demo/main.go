// Command demo shows ordersaga at work. `make run` and `make demo` call it under devstack.
//
//	demo welcome   runs the service, loads stock, places one order, says what to try next, and stays
//	demo tour      runs the service, sends an order down every path, and checks what must hold
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ordersaga/ordersaga/test/tour"
)

func main() {
	binary := flag.String("binary", "bin/ordersaga", "path of the service's binary")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	switch flag.Arg(0) {
	case "welcome":
		err = welcome(ctx, *binary)
	case "tour":
		err = tour.Run(ctx, *binary, os.Stdout)
	default:
		err = fmt.Errorf("say welcome or tour, not %q", flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

// environment returns a variable, or a default.
func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
