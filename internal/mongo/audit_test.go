package mongo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/audit/audittest"
	"github.com/ordersaga/ordersaga/internal/checkpoint"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// auditClock is a clock that a test moves.
type auditClock struct{ ahead atomic.Int64 }

func (c *auditClock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// ledgers makes ledgers of a database, each like one of another process.
func ledgers(t *testing.T, db *DB, change func(*checkpoint.Config)) (func(changes ...func(*checkpoint.Config)) *checkpoint.Ledger, audit.Keys) {
	t.Helper()
	private, public, err := audit.NewKey("log.example")
	require.NoError(t, err)
	signer, err := audit.ParseSigner(private)
	require.NoError(t, err)
	keys, err := audit.ParseKeys(public)
	require.NoError(t, err)
	return func(changes ...func(*checkpoint.Config)) *checkpoint.Ledger {
		log := NewLog(db, EventsCollection)
		c := checkpoint.Config{
			Log: log, Events: log, Store: NewAudit(db), Signer: signer, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
		}
		if change != nil {
			change(&c)
		}
		for _, change := range changes {
			change(&c)
		}
		return checkpoint.New(c)
	}, keys
}

// appendTo appends n records to a stream.
func appendTo(t *testing.T, log *Log, stream string, n int) []event.Record {
	t.Helper()
	var head event.Head
	if r, ok, err := log.Head(t.Context(), stream); err == nil && ok {
		head = r.HeadOf()
	}
	entries := make([]event.Entry, n)
	for i, r := range audittest.Records(stream, int(head.Version)+n)[head.Version:] {
		entries[i] = r.Entry
	}
	_, records, err := log.Append(t.Context(), stream, head, entries)
	require.NoError(t, err)
	return records
}

func sound(t *testing.T, l *checkpoint.Ledger, keys audit.Keys) *audit.Report {
	t.Helper()
	report, err := l.Verify(t.Context(), audit.Options{Keys: keys})
	require.NoError(t, err)
	require.Empty(t, report.Findings)
	return report
}

func TestCheckpointsFollowTheLog(t *testing.T) {
	db := connect(t)
	log := open(t, db)
	require.NoError(t, Setup(t.Context(), log.RecordedIndexes()))
	dir := t.TempDir()
	var clock auditClock
	var published []string
	ledger, keys := ledgers(t, db, func(c *checkpoint.Config) {
		c.Clock, c.Dir = clock.now, dir
		c.Publish = func(_ context.Context, r event.Record) error { published = append(published, r.Key); return nil }
	})
	l := ledger()
	none, err := l.Create(t.Context(), false)
	require.NoError(t, err)
	assert.Zero(t, none.N, "there is nothing to sign")
	appendTo(t, log, "order-1", 3)
	appendTo(t, log, "order-2", 2)
	first, err := l.Create(t.Context(), false)
	require.NoError(t, err)
	assert.Equal(t, checkpoint.Created{N: 1, New: true, Size: 2, Leaves: 2, TookMillis: first.TookMillis}, first)
	same, err := l.Create(t.Context(), false)
	require.NoError(t, err)
	assert.False(t, same.New, "the stream of the checkpoints alone is no reason for one")
	appendTo(t, log, "order-1", 1)
	second, err := l.Create(t.Context(), false)
	require.NoError(t, err)
	assert.EqualValues(t, 2, second.Leaves, "one is of the stream of the checkpoints")
	assert.Equal(t, []string{"signed/1", "signed/2"}, published)
	assert.FileExists(t, filepath.Join(dir, "2"))

	// An older version of the service does not store the record time: the daily sweep finds its records.
	appendTo(t, log, "order-3", 1)
	_, err = log.events.UpdateMany(t.Context(), bson.D{{Key: "stream", Value: "order-3"}}, bson.D{{Key: "$unset", Value: bson.D{{Key: "recorded", Value: ""}}}})
	require.NoError(t, err)
	missed, err := l.Create(t.Context(), false)
	require.NoError(t, err)
	assert.False(t, missed.New)
	clock.ahead.Store(int64(25 * time.Hour))
	swept, err := l.Create(t.Context(), false)
	require.NoError(t, err)
	assert.True(t, swept.New)

	report := sound(t, l, keys)
	assert.EqualValues(t, 3, report.Checkpoint)
	assert.EqualValues(t, 2, report.Uncovered, "the last checkpoint's own records")
	proof, err := l.Prove(t.Context(), "order-1")
	require.NoError(t, err)
	assert.Len(t, proof.Events, 4)
	_, findings, err := proof.Verify(keys)
	require.NoError(t, err)
	assert.Empty(t, findings)
	since, err := l.Verify(t.Context(), audit.Options{Keys: keys, Since: 2})
	require.NoError(t, err)
	assert.Empty(t, since.Findings)
	assert.EqualValues(t, 2, since.Streams)

	// What follows from the leaves is computed again.
	require.NoError(t, db.Database.Collection(auditTiles).Drop(t.Context()))
	_, err = ledger().Prove(t.Context(), "order-2")
	require.NoError(t, err)
	appendTo(t, log, "order-2", 1)
	_, err = ledger().Create(t.Context(), false)
	require.NoError(t, err)
	sound(t, l, keys)
}

// stopped fails the appends to a slot, like a process that is killed before them.
type stopped struct {
	checkpoint.Log
	slot string
}

var errStopped = errors.New("stopped")

func (s stopped) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	if strings.HasPrefix(entries[0].Key, s.slot) {
		return event.Head{}, nil, errStopped
	}
	return s.Log.Append(ctx, stream, head, entries)
}

func TestRacingSignersWithAKill(t *testing.T) {
	db := connect(t)
	log := open(t, db)
	ledger, keys := ledgers(t, db, nil)
	stop, appended := make(chan struct{}), sync.WaitGroup{}
	appended.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				appendTo(t, log, []string{"order-1", "order-2", "order-3"}[i%3], 1)
			}
		}
	})
	var kept []string
	for round := range 4 {
		var signers errgroup.Group
		for i := range 3 {
			l := ledger()
			if i == 2 && round%2 == 0 {
				// A process that is killed after it has recorded a checkpoint and before it signs it.
				l = ledger(func(c *checkpoint.Config) { c.Log = stopped{c.Log, "signed/"} })
			}
			signers.Go(func() error {
				_, err := l.Create(t.Context(), false)
				if errors.Is(err, errStopped) {
					return nil
				}
				return err
			})
		}
		require.NoError(t, signers.Wait())
		list, err := ledger().List(t.Context(), 0, 100)
		require.NoError(t, err)
		for i, s := range list {
			if i < len(kept) {
				require.Equal(t, kept[i], s.Note, "a signed checkpoint never changes")
			} else {
				kept = append(kept, s.Note)
			}
		}
	}
	close(stop)
	appended.Wait()
	require.NotEmpty(t, kept)
	_, err := ledger().Create(t.Context(), false)
	require.NoError(t, err)
	report, err := ledger().Verify(t.Context(), audit.Options{Keys: keys, Kept: kept})
	require.NoError(t, err)
	assert.Empty(t, report.Findings)
}

// replace stores records in place of a stream.
func replace(t *testing.T, log *Log, stream string, records []event.Record) {
	t.Helper()
	_, err := log.events.DeleteMany(t.Context(), bson.D{{Key: "stream", Value: stream}})
	require.NoError(t, err)
	docs, err := toDocuments(records)
	require.NoError(t, err)
	ids := make(map[string]bool)
	for _, d := range docs {
		if ids[d.DocumentID] {
			d.DocumentID += "b"
		}
		ids[d.DocumentID] = true
		_, err := log.events.InsertOne(t.Context(), d)
		require.NoError(t, err)
	}
}

// TestHeadsOfManyStreamsAreReplaced: one checkpoint replaces the heads of more streams than FerretDB 1 has connections.
func TestHeadsOfManyStreamsAreReplaced(t *testing.T) {
	store := NewAudit(connect(t))
	covered := make([]checkpoint.Covered, 150)
	names := make([]string, len(covered))
	for version := int64(1); version <= 2; version++ {
		for i := range covered {
			names[i] = fmt.Sprintf("order-%d", i)
			covered[i] = checkpoint.Covered{Stream: names[i], Version: version, Index: version*int64(len(covered)) + int64(i)}
		}
		require.NoError(t, store.Cover(t.Context(), covered))
	}
	found, err := store.Covered(t.Context(), names)
	require.NoError(t, err)
	for _, c := range covered {
		require.Equal(t, c, found[c.Stream])
	}
}

// TestDamageInTheDatabaseIsNamed damages documents in every way, and verifies the log and its export.
func TestDamageInTheDatabaseIsNamed(t *testing.T) {
	db := connect(t)
	// Without the unique indexes, which would refuse some of the damage.
	log := NewLog(db, EventsCollection)
	ledger, keys := ledgers(t, db, nil)
	l := ledger()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's seed
	streams := []string{"order-1", "order-2", "payment-1", "sku-tea"}
	leaves := make(map[string][]audit.Leaf)
	for range 3 {
		for _, stream := range streams {
			records := appendTo(t, log, stream, 1+r.IntN(3))
			last := records[len(records)-1]
			leaves[stream] = append(leaves[stream], audit.Leaf{Stream: stream, Version: last.Version, Hash: last.Hash})
		}
		_, err := l.Create(t.Context(), true)
		require.NoError(t, err)
	}
	sound(t, l, keys)
	for _, d := range audittest.Damages {
		if d.InOrder {
			continue
		}
		stream := streams[r.IntN(len(streams))]
		records, err := log.Read(t.Context(), stream, 0, 0)
		require.NoError(t, err)
		out, want := d.Apply(r, records, leaves[stream])
		replace(t, log, stream, out)
		report, err := l.Verify(t.Context(), audit.Options{Keys: keys})
		require.NoError(t, err)
		dir := filepath.Join(t.TempDir(), "export")
		_, _, err = l.Export(t.Context(), dir, nil)
		require.NoError(t, err)
		exported, err := audit.VerifyExport(t.Context(), dir, audit.Options{Keys: keys})
		require.NoError(t, err)
		for where, findings := range map[string][]audit.Finding{"live": report.Findings, "export": exported.Findings} {
			if where == "export" && want.Version > int64(len(records)) {
				assert.Empty(t, findings, "an export ends with the last checkpoint")
				continue
			}
			if assert.Len(t, findings, 1, "%s, %s", d.Name, where) {
				if where == "export" && want.Kind == audit.Inserted && want.Version == int64(len(records)) {
					continue // the record that was moved after the last checkpoint, and would show the insertion, is not exported: forked or changed
				}
				findings[0].Detail = ""
				assert.Equal(t, want, findings[0], "%s, %s", d.Name, where)
			}
		}
		replace(t, log, stream, records)
	}
	sound(t, l, keys)

	for _, n := range []int64{0, 4, math.MaxInt64/2 + 2, math.MaxInt64} {
		_, err := l.Get(t.Context(), n)
		require.ErrorIs(t, err, fault.NotFound, "%d", n)
		list, err := l.List(t.Context(), max(n, 3), 10)
		require.NoError(t, err)
		require.Empty(t, list, "%d", n)
	}

	// The end of the log, checkpoint included, is revealed by a note that an auditor has kept.
	newest, err := l.Get(t.Context(), 3)
	require.NoError(t, err)
	records, err := log.Read(t.Context(), audit.Stream, 0, 0)
	require.NoError(t, err)
	replace(t, log, audit.Stream, records[:4])
	report, err := l.Verify(t.Context(), audit.Options{Keys: keys, Kept: []string{newest.Note}})
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(report.Findings, func(f audit.Finding) bool { return f.Kind == audit.Truncated && f.Checkpoint == 3 }), "%v", report.Findings)
	replace(t, log, audit.Stream, records)
	_, err = db.Database.Collection(auditLeaves).DeleteMany(t.Context(), bson.D{})
	require.NoError(t, err)
	report, err = l.Verify(t.Context(), audit.Options{Keys: keys})
	require.NoError(t, err)
	require.NotEmpty(t, report.Findings)
	assert.Equal(t, audit.Missing, report.Findings[0].Kind, "lost leaves")
}

// TestCheckpointsWithoutABroker: notes are written and checkpoints continue; they are published later, in order.
func TestCheckpointsWithoutABroker(t *testing.T) {
	db := connect(t)
	log := open(t, db)
	dir := t.TempDir()
	away := true
	var published []string
	ledger, keys := ledgers(t, db, func(c *checkpoint.Config) {
		c.Dir = dir
		c.Publish = func(_ context.Context, r event.Record) error {
			if away {
				return fault.New(fault.Unavailable, "the broker is away")
			}
			published = append(published, r.Key)
			return nil
		}
	})
	for n := int64(1); n <= 3; n++ {
		appendTo(t, log, "order-1", 1)
		created, err := ledger().Create(t.Context(), false)
		require.NoError(t, err)
		assert.Equal(t, n, created.N)
		assert.FileExists(t, filepath.Join(dir, fmt.Sprint(n)))
	}
	away = false
	for range 2 {
		_, err := ledger().Create(t.Context(), false)
		require.NoError(t, err)
		assert.Equal(t, []string{"signed/1", "signed/2", "signed/3"}, published)
	}
	sound(t, ledger(), keys)

	// A process that is late does not publish them again.
	store := NewAudit(db)
	for _, n := range []int64{7, 6} {
		require.NoError(t, store.SetNumber(t.Context(), "number", n))
	}
	n, err := store.Number(t.Context(), "number")
	require.NoError(t, err)
	assert.EqualValues(t, 7, n)
}

// TestCheckpointOfAFastClock: the clock of the process that signed last was ahead.
func TestCheckpointOfAFastClock(t *testing.T) {
	db := connect(t)
	log := open(t, db)
	require.NoError(t, Setup(t.Context(), log.RecordedIndexes()))
	ledger, keys := ledgers(t, db, nil)
	var fast auditClock
	fast.ahead.Store(int64(48 * time.Hour))
	appendTo(t, log, "order-1", 1)
	_, err := ledger(func(c *checkpoint.Config) { c.Clock = fast.now }).Create(t.Context(), false)
	require.NoError(t, err)
	// Another process has swept since: the search finds the event without a sweep.
	require.NoError(t, NewAudit(db).SetTime(t.Context(), "swept", time.Now()))
	appendTo(t, log, "order-2", 1)
	created, err := ledger().Create(t.Context(), false)
	require.NoError(t, err)
	assert.True(t, created.New)
	list, err := ledger().List(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.False(t, list[1].Time.Before(list[0].Time), "%s is before %s", list[1].Time, list[0].Time)

	// The last sweep seems to be in the future: it does not stop the next one.
	require.NoError(t, NewAudit(db).SetTime(t.Context(), "swept", fast.now()))
	appendTo(t, log, "order-3", 1)
	_, err = log.events.UpdateMany(t.Context(), bson.D{{Key: "stream", Value: "order-3"}}, bson.D{{Key: "$unset", Value: bson.D{{Key: "recorded", Value: ""}}}})
	require.NoError(t, err)
	created, err = ledger().Create(t.Context(), false)
	require.NoError(t, err)
	assert.True(t, created.New)
	sound(t, ledger(), keys)
}

// TestLeftoversOfKilledCheckpointsAreRemoved kills a process after it has stored leaves, and before it records their checkpoint.
func TestLeftoversOfKilledCheckpointsAreRemoved(t *testing.T) {
	db := connect(t)
	log := open(t, db)
	ledger, keys := ledgers(t, db, nil)
	killed := ledger(func(c *checkpoint.Config) { c.Log = stopped{c.Log, "checkpoint/"} })
	chunks := func() int64 {
		n, err := db.Database.Collection(auditLeaves).CountDocuments(t.Context(), bson.D{})
		require.NoError(t, err)
		return n
	}
	for n := range int64(2) {
		appendTo(t, log, "order-1", 1)
		_, err := killed.Create(t.Context(), true)
		require.ErrorIs(t, err, errStopped)
		appendTo(t, log, "order-1", 1)
		assert.Equal(t, n+1, chunks())
		_, err = ledger().Create(t.Context(), true)
		require.NoError(t, err)
		assert.Equal(t, n+1, chunks())
	}
	// Leaves are kept if those of the recorded root are lost.
	require.NoError(t, NewAudit(db).DropLeaves(t.Context(), map[int64]string{1: "another", 2: "another"}))
	assert.EqualValues(t, 2, chunks())
	sound(t, ledger(), keys)
}
