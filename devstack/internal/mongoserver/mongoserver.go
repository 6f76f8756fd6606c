// Package mongoserver runs a server that speaks the MongoDB wire protocol
// inside this process: FerretDB 1 on SQLite files.
//
// It is a substitute for development and tests. It has no transactions and
// no change streams, and only look-ups by _id use an index. A mongod on the
// PATH is better, and the launcher prefers it.
package mongoserver

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// Config says where the server listens, always on loopback, and stores.
type Config struct {
	// Dir is the folder of the database files; it must exist.
	Dir  string `json:"dir"`
	Port int    `json:"port"`
	// Durable makes writes survive a power failure. Without it they survive
	// the death of the process only.
	Durable bool `json:"durable"`
}

// Run serves until the context ends.
func Run(ctx context.Context, cfg Config) error {
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: fmt.Sprintf("127.0.0.1:%d", cfg.Port)},
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})), // it warns of every refusal, duplicate keys included
		Handler:   "sqlite",
		SQLiteURL: cfg.url(),
	})
	if err != nil {
		return fmt.Errorf("make mongodb wire server: %w", err)
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	indexing, stop := context.WithCancel(ctx)
	var indexed sync.WaitGroup
	indexed.Go(func() { (&indexer{dir: cfg.Dir, log: logger}).run(indexing) })
	defer indexed.Wait()
	defer stop()
	if err := server.Run(ctx); err != nil {
		return fmt.Errorf("run mongodb wire server: %w", err)
	}
	return nil
}

func (c Config) url() string {
	synchronous := "off"
	if c.Durable {
		synchronous = "normal"
	}
	folder := url.URL{
		Scheme:   "file",
		Path:     filepath.ToSlash(c.Dir) + "/",
		RawQuery: url.Values{"_pragma": {"synchronous(" + synchronous + ")"}}.Encode(),
	}
	return folder.String()
}
