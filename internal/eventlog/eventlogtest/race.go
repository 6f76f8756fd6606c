package eventlogtest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// racers is the number of goroutines; half of them have their own handle.
const racers = 8

// raceCases append concurrently.
var raceCases = []testCase{
	{"different keys at one head", func(s *fixture) {
		head := s.must(s.stream, event.Head{}, entries("accept"))
		errs, tails := make([]error, racers), make([][]event.Record, racers)
		s.race(func(i int, log Store) {
			_, tails[i], errs[i] = log.Append(s.ctx, s.stream, head, entries(fmt.Sprintf("k%d", i)))
		})
		winners := 0
		stored := s.whole(s.stream)
		require.Len(s, stored, 2)
		for i, err := range errs {
			if err == nil {
				winners++
			} else {
				require.ErrorIs(s, err, fault.Concurrency)
			}
			require.Equal(s, hashes(stored[1:]), hashes(tails[i]), "winner and losers see the same")
		}
		require.Equal(s, 1, winners)
	}},
	{"the same key with the same content", func(s *fixture) {
		heads, errs := make([]event.Head, racers), make([]error, racers)
		s.race(func(i int, log Store) {
			list := entries("accept")
			if i%2 == 1 {
				list = reattempted(list)
			}
			heads[i], _, errs[i] = log.Append(s.ctx, s.stream, event.Head{}, list)
		})
		for i := range racers {
			require.NoError(s, errs[i])
			require.Equal(s, heads[0], heads[i])
		}
		require.Len(s, s.whole(s.stream), 1)
	}},
	{"the same key with different content", func(s *fixture) {
		errs := make([]error, racers)
		s.race(func(i int, log Store) {
			_, _, errs[i] = log.Append(s.ctx, s.stream, event.Head{}, []event.Entry{entry("decide", fmt.Sprint(i))})
		})
		winners := 0
		for _, err := range errs {
			if err == nil {
				winners++
			} else {
				require.ErrorIs(s, err, fault.KeyTaken)
			}
		}
		require.Equal(s, 1, winners)
	}},
	{"the same batch from all writers", func(s *fixture) {
		errs := make([]error, racers)
		batch := entries("a", "b", "c", "d", "e", "f", "g", "h")
		s.race(func(i int, log Store) {
			_, _, errs[i] = log.Append(s.ctx, s.stream, event.Head{}, batch)
		})
		for _, err := range errs {
			require.NoError(s, err)
		}
		require.Equal(s, []string{"a", "b", "c", "d", "e", "f", "g", "h"}, keysOf(s.whole(s.stream)))
	}},
	{"writers retry until they succeed", func(s *fixture) {
		const each = 4
		s.race(func(i int, log Store) {
			var head event.Head
			for n := range each {
				list := entries(fmt.Sprintf("k%d-%d-a", i, n), fmt.Sprintf("k%d-%d-b", i, n))
				head = s.appendUntilIn(log, s.stream, head, list)
			}
		})
		keys := keysOf(s.whole(s.stream))
		require.Len(s, keys, 2*racers*each)
		for i := range racers {
			for n := range each {
				at := slices.Index(keys, fmt.Sprintf("k%d-%d-a", i, n))
				require.GreaterOrEqual(s, at, 0)
				require.Contains(s, keys[at:], fmt.Sprintf("k%d-%d-b", i, n))
			}
		}
	}},
	{"many streams at once", func(s *fixture) {
		const streams = 24
		s.race(func(i int, log Store) {
			for n := range streams / racers {
				stream := fmt.Sprintf("order-many-%d", i*streams/racers+n)
				var head event.Head
				for k := range 4 {
					head = s.appendUntilIn(log, stream, head, entries(fmt.Sprintf("k%d", k)))
				}
			}
		})
		for n := range streams {
			require.Equal(s, []string{"k0", "k1", "k2", "k3"}, keysOf(s.whole(fmt.Sprintf("order-many-%d", n))))
		}
	}},
}

// race runs f in concurrent goroutines that start together.
func (s *fixture) race(f func(i int, log Store)) {
	s.touch(s.stream)
	var ready, done sync.WaitGroup
	ready.Add(racers)
	for i := range racers {
		log := s.log
		if i%2 == 1 {
			log = s.open(s.T)
		}
		done.Go(func() {
			ready.Done()
			ready.Wait()
			f(i, log)
		})
	}
	done.Wait()
}

// appendUntilIn retries like every caller does: a lost race returns the head for the next attempt.
func (s *fixture) appendUntilIn(log eventlog.Log, stream string, head event.Head, list []event.Entry) event.Head {
	s.touch(stream)
	pending := list
	for range 1000 {
		newest, tail, err := log.Append(s.ctx, stream, head, pending)
		switch {
		case err == nil:
			return newest
		case errors.Is(err, fault.Concurrency):
			// A prefix of the batch may be written, followed by another writer's record.
			pending = slices.DeleteFunc(slices.Clone(pending), func(e event.Entry) bool {
				return slices.ContainsFunc(tail, func(r event.Record) bool { return r.Key == e.Key })
			})
			head = newest
		case errors.Is(err, fault.Unavailable):
			// The result is unknown: repeat the same append.
		default:
			s.Errorf("append %d entries to %s: %v", len(pending), stream, err)
			return newest
		}
	}
	s.Errorf("append %d entries to %s: lost every race", len(pending), stream)
	return head
}
