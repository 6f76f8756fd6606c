package tracing

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// ids makes the IDs of traces and spans. They are random, but for spans of runs: a run is replayed wherever its workflow is needed again,
// and its span is exported by each process that had it, the last time when it closes. All of these are one span, so that what its activities
// did has a parent.
type ids struct{}

var _ sdktrace.IDGenerator = ids{}

// runKey is the key of a run's name in the context of its span.
type runKey struct{}

// NewIDs implements sdktrace.IDGenerator.
func (ids) NewIDs(context.Context) (id oteltrace.TraceID, span oteltrace.SpanID) {
	binary.NativeEndian.PutUint64(id[:8], random())
	binary.NativeEndian.PutUint64(id[8:], random())
	return id, randomSpan()
}

// NewSpanID implements sdktrace.IDGenerator.
func (ids) NewSpanID(ctx context.Context, id oteltrace.TraceID) (span oteltrace.SpanID) {
	name, isRun := ctx.Value(runKey{}).(string)
	if !isRun {
		return randomSpan()
	}
	parent := oteltrace.SpanContextFromContext(ctx).SpanID()
	sum := sha256.Sum256(append(append(id[:], parent[:]...), name...))
	copy(span[:], sum[:])
	return span
}

func randomSpan() (span oteltrace.SpanID) {
	binary.NativeEndian.PutUint64(span[:], random())
	return span
}

// random is never 0, which is no ID.
func random() uint64 {
	return max(rand.Uint64(), 1) //nolint:gosec // an ID needs no secrecy
}
