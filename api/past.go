package api

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// moment selects the state of a saga that a request reads: after the event of a version, or at a time.
type moment struct {
	version int64
	at      time.Time
}

// moment reads ?version= and ?at=; past is false if neither is given.
func (q *query) moment() (m moment, past bool) {
	text := q.one("version")
	version, ok := parseVersion(text)
	if text != "" && (!ok || version == 0) {
		q.add("version", "must be the version of an event, from 1")
	}
	at, timed := q.time("at")
	if text != "" && q.values.Has("at") {
		q.add("version", "cannot be combined with at")
	}
	return moment{version, at}, version > 0 || timed
}

// readTo reads the records of a stream up to a moment. The error is NotFound if the stream has no such version, or has no event at that time.
func (s *Server) readTo(ctx context.Context, stream string, m moment) ([]event.Record, error) {
	records, err := s.cfg.Log.Read(ctx, stream, 0, int(min(m.version, math.MaxInt32)))
	if err != nil {
		return nil, err
	}
	if m.version > 0 {
		if int64(len(records)) < m.version {
			return nil, fault.New(fault.NotFound, "stream %s has no version %d: it has %d events", stream, m.version, len(records))
		}
		return records, nil
	}
	if later := slices.IndexFunc(records, func(r event.Record) bool { return r.Time.After(m.at) }); later >= 0 {
		records = records[:later]
	}
	if len(records) == 0 {
		return nil, fault.New(fault.NotFound, "stream %s has no event at that time", stream)
	}
	return records, nil
}
