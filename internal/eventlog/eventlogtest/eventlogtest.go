// Package eventlogtest is the contract suite of eventlog.Log. Every adapter runs it, with every server that it supports:
//
//	func TestContract(t *testing.T) {
//		eventlogtest.Run(t, func(t *testing.T) eventlogtest.Opener { … })
//	}
//
// The suite uses no sleeps and no clock. At its end each subtest verifies, with a new handle, the hash chain of every stream that it used.
package eventlogtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// Store is an adapter under test.
type Store interface {
	eventlog.Log
	eventlog.Lister
	eventlog.Walker
}

// Opener opens a handle on one log, like another process: handles share no caches.
type Opener func(t *testing.T) Store

// Factory creates an empty log that no other test uses, and deletes it when t ends.
type Factory func(t *testing.T) Opener

// Run runs the whole suite.
func Run(t *testing.T, fresh Factory) {
	t.Helper()
	groups := map[string][]testCase{
		"append": appendCases, "conflict": conflictCases, "race": raceCases, "read": readCases, "refuse": refuseCases, "walk": walkCases,
	}
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		for _, c := range groups[group] {
			t.Run(group+"/"+strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
				open := fresh(t)
				s := &fixture{T: t, ctx: t.Context(), open: open, log: open(t), stream: "order-1", streams: make(map[string]struct{})}
				c.run(s)
				s.verifyAll()
			})
		}
	}
	t.Run("model", func(t *testing.T) { runModel(t, fresh) })
}

// testCase is one rule of the contract.
type testCase struct {
	name string
	run  func(s *fixture)
}

// fixture is the environment of a case.
type fixture struct {
	*testing.T
	ctx  context.Context
	open Opener
	// log and stream are those that most cases use.
	log    Store
	stream string

	mu      sync.Mutex
	streams map[string]struct{}
}

// start is the time of the suite's first event.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// entry returns an entry with a key and content.
func entry(key, what string) event.Entry {
	return event.Entry{Key: key, Event: event.Event{
		ID: event.DerivedID("eventlogtest", key, what), Type: event.OrderAccepted, Source: event.Source,
		Subject: "1", Time: start, CorrelationID: "c-1", CausationID: "e-0", SchemaVersion: 1,
		Data: fmt.Appendf(nil, `{"orderId":"1","what":%q,"lines":[{"sku":"A-1","quantity":2,"note":null}]}`, what),
	}}
}

// entries returns an entry for each key, all with the same content.
func entries(keys ...string) []event.Entry {
	list := make([]event.Entry, len(keys))
	for i, key := range keys {
		list[i] = entry(key, "it")
	}
	return list
}

// reattempted returns the same decisions as a later attempt would append them: with other IDs, times and causes.
func reattempted(list []event.Entry) []event.Entry {
	again := slices.Clone(list)
	for i := range again {
		again[i].ID += "-again"
		again[i].Time = again[i].Time.Add(time.Hour)
		again[i].CorrelationID, again[i].CausationID = "c-2", "e-9"
		again[i].Data = []byte(strings.ReplaceAll(string(again[i].Data), ",", " , "))
	}
	return again
}

// keysOf returns the keys of records.
func keysOf(records []event.Record) []string {
	keys := make([]string, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	return keys
}

// touch adds a stream to those that verifyAll verifies.
func (s *fixture) touch(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[stream] = struct{}{}
}

// append calls Append of the main handle with the main stream.
func (s *fixture) append(head event.Head, list []event.Entry) (event.Head, []event.Record, error) {
	s.touch(s.stream)
	return s.log.Append(s.ctx, s.stream, head, list)
}

// must appends with a new handle; it must succeed. It returns the new head.
func (s *fixture) must(stream string, head event.Head, list []event.Entry) event.Head {
	s.Helper()
	s.touch(stream)
	newest, _, err := s.open(s.T).Append(s.ctx, stream, head, list)
	require.NoError(s, err)
	return newest
}

// whole reads a stream with a new handle and verifies it.
func (s *fixture) whole(stream string) []event.Record {
	s.Helper()
	records, err := s.open(s.T).Read(s.ctx, stream, 0, 0)
	require.NoError(s, err)
	require.NoError(s, eventlog.Verify(stream, event.Head{}, records))
	return records
}

// verifyAll verifies every stream that the case used, and that its keys are unique.
func (s *fixture) verifyAll() {
	s.Helper()
	for stream := range s.streams {
		keys := keysOf(s.whole(stream))
		slices.Sort(keys)
		require.Len(s, slices.Compact(slices.Clone(keys)), len(keys), "stream %s holds a key twice: %v", stream, keys)
	}
}

// headOf reads the head with a new handle.
func (s *fixture) headOf(stream string) event.Head {
	s.Helper()
	r, ok, err := s.open(s.T).Head(s.ctx, stream)
	require.NoError(s, err)
	if !ok {
		return event.Head{}
	}
	return r.HeadOf()
}
