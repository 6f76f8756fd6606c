package trace

import (
	"context"
	"log/slog"
)

// Saga says which saga a context is about.
type Saga struct {
	// Flow is the name of its flow. Key is the name of its ID in logs, such as order_id.
	Flow, Key, ID string
	CorrelationID string
}

type sagaKey struct{}

// sagaContext is a context that is about a saga. It is one allocation, where context.WithValue needs two.
type sagaContext struct {
	context.Context //nolint:containedctx // it is a context
	saga            Saga
}

// Value implements context.Context.
func (c *sagaContext) Value(key any) any {
	if _, is := key.(sagaKey); is {
		return &c.saga
	}
	return c.Context.Value(key)
}

// WithSaga returns a context that is about a saga.
func WithSaga(ctx context.Context, s Saga) context.Context { return &sagaContext{ctx, s} }

// SagaOf returns the saga that a context is about; ok is false if it is about none.
func SagaOf(ctx context.Context) (s Saga, ok bool) {
	known, ok := ctx.Value(sagaKey{}).(*Saga)
	if !ok {
		return s, false
	}
	return *known, true
}

// Logged returns a handler that adds to a record what the context says: trace_id, flow, the ID of the saga and correlation_id. A record that
// has one of them keeps it.
func Logged(h slog.Handler) slog.Handler { return logged{h} }

type logged struct{ slog.Handler }

// Handle implements slog.Handler.
func (l logged) Handle(ctx context.Context, r slog.Record) error {
	s, _ := SagaOf(ctx)
	attrs := [...]slog.Attr{
		slog.String("trace_id", id(ctx)), slog.String("flow", s.Flow), slog.String(s.Key, s.ID), slog.String("correlation_id", s.CorrelationID),
	}
	cloned := false
	for _, a := range attrs {
		if a.Key == "" || a.Value.String() == "" || has(r, a.Key) {
			continue
		}
		if !cloned {
			r, cloned = r.Clone(), true
		}
		r.AddAttrs(a)
	}
	return l.Handler.Handle(ctx, r)
}

func has(r slog.Record, key string) (found bool) {
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}

// WithAttrs implements slog.Handler.
func (l logged) WithAttrs(attrs []slog.Attr) slog.Handler { return logged{l.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (l logged) WithGroup(name string) slog.Handler { return logged{l.Handler.WithGroup(name)} }
