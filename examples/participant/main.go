// Command participant is a warehouse and a payment service of another team: ordersaga calls it over HTTP. It fulfils api/participant.yaml with the
// standard library alone.
//
// Everything that it decides is a record in one file, written before the answer is sent. A real service uses a table with the key as its primary
// key, and decides in a transaction.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "participant:", err)
		os.Exit(1)
	}
}

func run() error {
	addr := flag.String("addr", "127.0.0.1:9000", "address to listen on")
	file := flag.String("file", "participant.jsonl", "file for everything that was decided")
	flag.Parse()
	secret, err := parseSecret(os.Getenv("PARTICIPANT_SECRET"))
	if err != nil {
		return err
	}
	s := &service{
		secret: secret, stock: map[string]int64{"tea": 100, "pot": 100},
		reservations: map[string]reservation{}, payments: map[string]payment{},
	}
	if err := s.open(*file); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Printf("participant: listening on http://%s\n", listener.Addr())
	return (&http.Server{Handler: s.handler(), ReadTimeout: 10 * time.Second}).Serve(listener)
}
