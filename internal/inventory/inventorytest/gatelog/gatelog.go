// Package gatelog is an event log that fails on demand, for tests: an append waits until the test releases it, writes only a part, or returns
// Unavailable after it was executed. It wraps any eventlog.Log and preserves its contract: all of this can happen between a process and a
// server.
//
// It imports event, internal/eventlog and internal/fault. It is safe for concurrent use.
package gatelog

import (
	"context"
	"sync"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Log is an eventlog.Log with a gate before Append.
type Log struct {
	eventlog.Log

	mu      sync.Mutex
	next    []action
	appends int
	finds   int
}

// appendFunc appends entries to the log.
type appendFunc func(ctx context.Context, entries []event.Entry) answer

// action replaces one append.
type action func(ctx context.Context, appendTo appendFunc, entries []event.Entry) answer

type answer struct {
	head event.Head
	tail []event.Record
	err  error
}

// Wrap returns a gate for log. Initially it is open.
func Wrap(log eventlog.Log) *Log { return &Log{Log: log} }

// Appends returns the number of appends so far.
func (l *Log) Appends() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appends
}

// Finds returns the number of calls of Find so far.
func (l *Log) Finds() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.finds
}

// Open cancels all actions that have not happened yet.
func (l *Log) Open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = nil
}

// Find implements eventlog.Reader.
func (l *Log) Find(ctx context.Context, stream, key string) (event.Record, bool, error) {
	l.mu.Lock()
	l.finds++
	l.mu.Unlock()
	return l.Log.Find(ctx, stream, key)
}

// Append implements eventlog.Log.
func (l *Log) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	l.mu.Lock()
	l.appends++
	var act action
	if len(l.next) > 0 {
		act, l.next = l.next[0], l.next[1:]
	}
	l.mu.Unlock()
	appendTo := func(ctx context.Context, entries []event.Entry) answer {
		newest, tail, err := l.Log.Append(ctx, stream, head, entries)
		return answer{newest, tail, err}
	}
	if act != nil {
		a := act(ctx, appendTo, entries)
		return a.head, a.tail, a.err
	}
	a := appendTo(ctx, entries)
	return a.head, a.tail, a.err
}

func (l *Log) demand(act action) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = append(l.next, act)
}

func unavailable(what string) answer {
	return answer{err: fault.New(fault.Unavailable, "gate: %s", what)}
}

// LoseRequest makes the next append fail without writing anything.
func (l *Log) LoseRequest() {
	l.demand(func(context.Context, appendFunc, []event.Entry) answer {
		return unavailable("request lost")
	})
}

// LoseAnswer makes the next append write everything and fail.
func (l *Log) LoseAnswer() {
	l.demand(func(ctx context.Context, appendTo appendFunc, entries []event.Entry) answer {
		appendTo(ctx, entries)
		return unavailable("answer lost")
	})
}

// WriteHalf makes the next append write the first half of its entries, rounded up, and fail.
func (l *Log) WriteHalf() {
	l.demand(func(ctx context.Context, appendTo appendFunc, entries []event.Entry) answer {
		appendTo(ctx, entries[:(len(entries)+1)/2])
		return unavailable("half written")
	})
}

// Hold blocks the next append, before it writes anything, until it is released.
func (l *Log) Hold() *Held {
	h := &Held{arrived: make(chan struct{}), abandoned: make(chan struct{}), released: make(chan struct{}), done: make(chan struct{})}
	l.demand(h.act)
	return h
}

// Held is a blocked append.
type Held struct {
	arrived, abandoned, released, done chan struct{}
	abandon, release                   sync.Once
}

func (h *Held) act(ctx context.Context, appendTo appendFunc, entries []event.Entry) answer {
	close(h.arrived)
	result := make(chan answer, 1)
	go func() {
		defer close(h.done)
		<-h.released
		result <- appendTo(context.WithoutCancel(ctx), entries)
	}()
	select {
	case a := <-result:
		return a
	case <-h.abandoned:
		return unavailable("abandoned")
	case <-ctx.Done():
		return answer{err: fault.Wrap(ctx.Err(), fault.Unavailable, "gate")}
	}
}

// Arrived is closed when the append is blocked.
func (h *Held) Arrived() <-chan struct{} { return h.arrived }

// Abandon returns Unavailable to the caller, while the append stays blocked.
func (h *Held) Abandon() { h.abandon.Do(func() { close(h.abandoned) }) }

// Release executes the append, even if its caller has left, and returns when it is done. It must be called after Arrived is closed.
func (h *Held) Release() {
	h.release.Do(func() { close(h.released) })
	<-h.done
}
