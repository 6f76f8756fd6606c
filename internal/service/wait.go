package service

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// probeTimeout bounds one attempt to reach a dependency, probePause lies between two.
	probeTimeout = 5 * time.Second
	probePause   = 500 * time.Millisecond
	// quietPeriod is how long nothing is logged about a dependency that does not answer: most are there a moment later.
	quietPeriod = 2 * time.Second
	// logAgain is how often it is logged what is being waited for.
	logAgain = 5 * time.Second
)

// await waits until a dependency answers, and logs what it waits for. The error is the context's: a service that is started
// before its dependencies waits for them.
func await(ctx context.Context, logger *slog.Logger, name, address string, probe func(context.Context) error) error {
	started := time.Now()
	logged := started.Add(quietPeriod - logAgain)
	for {
		attempt, cancel := context.WithTimeout(ctx, probeTimeout)
		err := probe(attempt)
		cancel()
		if err == nil {
			logger.LogAttrs(ctx, slog.LevelInfo, "dependency is available", slog.String("dependency", name),
				slog.String("address", address), slog.Int64("after_ms", time.Since(started).Milliseconds()))
			return nil
		}
		if time.Since(logged) >= logAgain {
			logged = time.Now()
			logger.LogAttrs(ctx, slog.LevelWarn, "waiting for dependency", slog.String("dependency", name),
				slog.String("address", address), slog.Any("error", err))
		}
		select {
		case <-time.After(probePause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// background runs what is retried while a process runs. The zero value is ready.
type background struct {
	cancels []context.CancelFunc
	running sync.WaitGroup
}

// start runs f beside the caller; f's context ends with the background, not with ctx.
func (b *background) start(ctx context.Context, f func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.cancels = append(b.cancels, cancel)
	b.running.Go(func() { f(ctx) })
}

func (b *background) stop() {
	for _, cancel := range b.cancels {
		cancel()
	}
	b.running.Wait()
}
