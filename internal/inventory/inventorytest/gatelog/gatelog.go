// Package gatelog is an event log that misbehaves on demand, for tests: an append waits until the test lets it
// go, writes a part, or says Unavailable after it was performed. It wraps any eventlog.Log, and never breaks
// that log's contract: everything that it does may happen between a process and a server.
//
// It imports event, internal/eventlog and internal/fault. It may be used by any number of goroutines.
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

// action is what happens to one append.
type action func(ctx context.Context, appendTo func(context.Context, []event.Entry) answer, entries []event.Entry) answer

type answer struct {
	head event.Head
	tail []event.Record
	err  error
}

// Wrap returns a gate before log. It is open until it is told otherwise.
func Wrap(log eventlog.Log) *Log { return &Log{Log: log} }

// Appends returns how many appends came to the gate so far.
func (l *Log) Appends() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appends
}

// Finds returns how many calls of Find came so far.
func (l *Log) Finds() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.finds
}

// Open forgets what was demanded and did not happen yet.
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
	if act == nil {
		act = perform
	}
	a := act(ctx, appendTo, entries)
	return a.head, a.tail, a.err
}

func (l *Log) demand(act action) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = append(l.next, act)
}

func perform(ctx context.Context, appendTo func(context.Context, []event.Entry) answer, entries []event.Entry) answer {
	return appendTo(ctx, entries)
}

func unavailable(what string) answer {
	return answer{err: fault.New(fault.Unavailable, "gate: %s", what)}
}

// LoseRequest lets the next append fail before anything of it is written.
func (l *Log) LoseRequest() {
	l.demand(func(context.Context, func(context.Context, []event.Entry) answer, []event.Entry) answer {
		return unavailable("request lost")
	})
}

// LoseAnswer lets the next append happen and fail.
func (l *Log) LoseAnswer() {
	l.demand(func(ctx context.Context, appendTo func(context.Context, []event.Entry) answer, entries []event.Entry) answer {
		appendTo(ctx, entries)
		return unavailable("answer lost")
	})
}

// WriteHalf lets the next append write the first half of its entries, rounded up, and fail.
func (l *Log) WriteHalf() {
	l.demand(func(ctx context.Context, appendTo func(context.Context, []event.Entry) answer, entries []event.Entry) answer {
		appendTo(ctx, entries[:(len(entries)+1)/2])
		return unavailable("written by half")
	})
}

// Hold stops the next append before anything of it is written, until it is released.
func (l *Log) Hold() *Held {
	h := &Held{arrived: make(chan struct{}), abandoned: make(chan struct{}), released: make(chan struct{}), done: make(chan struct{})}
	l.demand(h.act)
	return h
}

// Held is an append that waits before the log.
type Held struct {
	arrived, abandoned, released, done chan struct{}
	abandon, release                   sync.Once
}

func (h *Held) act(ctx context.Context, appendTo func(context.Context, []event.Entry) answer, entries []event.Entry) answer {
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

// Arrived is closed when the append has come.
func (h *Held) Arrived() <-chan struct{} { return h.arrived }

// Abandon makes the caller see Unavailable, while the append still waits: a writer that sleeps.
func (h *Held) Abandon() { h.abandon.Do(func() { close(h.abandoned) }) }

// Release lets the append go on, whether or not its caller still waits, and returns when it happened. It must be
// called after Arrived.
func (h *Held) Release() {
	h.release.Do(func() { close(h.released) })
	<-h.done
}
