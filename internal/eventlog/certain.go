package eventlog

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
)

// CertainReader reads without missing anything.
type CertainReader interface {
	// ReadCertain is Read, but never misses a record whose append was acknowledged before the call, as a Read may for some
	// seconds after a failover. It costs more: it is for callers that conclude something from what is not there. Errors:
	// Unavailable, Corrupt.
	ReadCertain(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
}

// recordReader is the part of Reader that ReadCertain falls back to.
type recordReader interface {
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
}

// ReadCertain calls ReadCertain of a log that has it. One that has not, such as a log in memory, misses nothing: Read is called.
func ReadCertain(ctx context.Context, log recordReader, stream string, after int64, limit int) ([]event.Record, error) {
	if c, ok := log.(CertainReader); ok {
		return c.ReadCertain(ctx, stream, after, limit)
	}
	return log.Read(ctx, stream, after, limit)
}

// ReadCertain implements CertainReader.
func (f *Follower) ReadCertain(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	return ReadCertain(ctx, f.log, stream, after, limit)
}
