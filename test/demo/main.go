// Command demo shows ordersaga at work. `make run` and `make demo` call it under devstack.
//
//	demo welcome   runs the service, loads stock, places one order, says what to try next, and stays
//	demo record    does the same, and writes the histories of all paths to workflows/testdata/histories
//	demo tour      runs the service, sends an order down every path, and checks what must hold
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/ordersaga/ordersaga/test/tour"
)

func main() { os.Exit(run()) }

func run() int {
	binary := flag.String("binary", "bin/ordersaga", "path of the service's binary")
	began := flag.Int64("began", 0, "welcome: when make run was started, in Unix seconds")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	switch flag.Arg(0) {
	case "welcome":
		err = welcome(ctx, *binary, *began)
	case "tour":
		err = tour.Run(ctx, *binary, os.Stdout, "")
	case "record":
		err = tour.Run(ctx, *binary, io.Discard, "workflows/testdata/histories")
	default:
		err = fmt.Errorf("say welcome, tour or record, not %q", flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}

// environment returns a variable, or a default.
func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
