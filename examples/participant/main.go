// Command participant is a warehouse and a payment service of another team: ordersaga calls it over HTTP. It fulfils api/participant.yaml with the
// standard library alone.
//
// Everything that it decides is a record in one file, written before the answer is sent. A real service uses a table with the key as its primary
// key, and decides in a transaction.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
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
	goods := flag.String("stock", "tea=100,pot=100", "stock at the first start")
	flag.Parse()
	secret, err := parseSecret(os.Getenv("PARTICIPANT_SECRET"))
	if err != nil {
		return err
	}
	s := &service{secret: secret, now: time.Now, reservations: map[string]reservation{}, payments: map[string]payment{}}
	if s.stock, err = parseStock(*goods); err != nil {
		return err
	}
	if err := s.open(*file); err != nil {
		return err
	}
	defer s.file.Close()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Printf("participant: listening on http://%s\n", listener.Addr())
	server := &http.Server{Handler: s.handler(), ReadTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// parseStock reads tea=100,pot=100.
func parseStock(text string) (map[string]int64, error) {
	stock := make(map[string]int64)
	for item := range strings.SplitSeq(text, ",") {
		sku, quantity, _ := strings.Cut(item, "=")
		n, err := strconv.ParseInt(quantity, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("-stock %s: expected SKU=QUANTITY", item)
		}
		stock[sku] = n
	}
	return stock, nil
}
