// Command soak runs the acceptance test of the bus; see package soak. `make soak` calls it under devstack.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ordersaga/ordersaga/test/soak"
)

func main() { os.Exit(run()) }

func run() int {
	o := soak.Options{Out: os.Stdout}
	flag.StringVar(&o.Binary, "binary", "bin/ordersaga", "path of the service's binary")
	flag.IntVar(&o.Orders, "orders", 2000, "how many orders there are at least")
	flag.IntVar(&o.Outages, "outages", 20, "how often the broker is stopped or killed, at least")
	flag.Float64Var(&o.Rate, "rate", 4, "orders a second")
	flag.Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()), "what everything random comes from")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := soak.Run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		return 1
	}
	fmt.Println("\nEverything holds.")
	return 0
}
