package eventlog

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
)

// CertainReader has a read that never misses an acknowledged record.
type CertainReader interface {
	// ReadCertain is Read, but never misses a record whose append was acknowledged before the call; Read may, for some seconds after
	// a failover. It costs more: it is for callers that draw conclusions from the absence of records. Errors: Unavailable,
	// Corrupt.
	ReadCertain(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
}

// recordReader is the part of Reader that ReadCertain needs.
type recordReader interface {
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
}

// ReadCertain calls ReadCertain of log if it is a CertainReader, otherwise Read: other logs, such as memlog, miss nothing.
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
