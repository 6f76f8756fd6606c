package mongo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/checkpoint"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Collections of checkpoints. Only leaves cannot be computed again.
const (
	auditLeaves = "audit_leaves"
	auditTiles  = "audit_tiles"
	auditHeads  = "audit_heads"
	auditState  = "audit_state"
)

const (
	// leavesPerChunk is the number of leaves in a document.
	leavesPerChunk = 1000
	// auditBatch is the number of documents per round trip.
	auditBatch = 1000
	// ferretBatch is the number of updates per round trip to FerretDB 1: a command keeps a connection to its database for each of them until it ends, and
	// blocks forever when all 100 are taken.
	ferretBatch = 10
	// manyStreams is the number of streams from which all covered heads are read instead.
	manyStreams = 20_000
)

var (
	_ checkpoint.Events = (*Log)(nil)
	_ checkpoint.Store  = (*Audit)(nil)
)

// RecordedIndexes returns the index that finds changed streams by record time. FerretDB 1 would not use it.
func (l *Log) RecordedIndexes() []Index {
	if l.events.db.Server == FerretDB1 {
		return nil
	}
	return []Index{{l.events, "recorded", bson.D{{Key: "recorded", Value: 1}}, false}}
}

// Now implements checkpoint.Events.
func (l *Log) Now(ctx context.Context) (time.Time, error) {
	ctx, cancel := l.events.withTimeout(ctx)
	defer cancel()
	var hello struct {
		LocalTime time.Time `bson:"localTime"`
	}
	err := l.events.Database().RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	return hello.LocalTime, unavailable(ctx, err, "read the time of the server")
}

// Scans implements checkpoint.Events.
func (l *Log) Scans() bool { return l.events.db.Server == FerretDB1 }

// HeadsSince implements checkpoint.Events. Records of versions of the service that did not store their time are found only without one.
func (l *Log) HeadsSince(ctx context.Context, since time.Time) ([]audit.Leaf, error) {
	projection := bson.D{{Key: "stream", Value: 1}, {Key: "version", Value: 1}, {Key: "hash", Value: 1}}
	newest := make(map[string]audit.Leaf)
	take := func(raw bson.Raw) {
		leaf := audit.Leaf{}
		leaf.Stream, _ = raw.Lookup("stream").StringValueOK()
		leaf.Version, _ = raw.Lookup("version").AsInt64OK()
		leaf.Hash, _ = raw.Lookup("hash").StringValueOK()
		if leaf.Version > newest[leaf.Stream].Version {
			newest[leaf.Stream] = leaf
		}
	}
	if since.IsZero() {
		for raw, err := range l.events.scanByID(projection).all(ctx) {
			if err != nil {
				return nil, err
			}
			take(raw)
		}
	} else if err := l.recordedSince(ctx, since, projection, take); err != nil {
		return nil, err
	}
	leaves := make([]audit.Leaf, 0, len(newest))
	for _, leaf := range newest {
		leaves = append(leaves, leaf)
	}
	return leaves, nil
}

func (l *Log) recordedSince(ctx context.Context, since time.Time, projection bson.D, take func(raw bson.Raw)) error {
	filter := bson.D{{Key: "recorded", Value: bson.D{{Key: "$gte", Value: bson.NewDateTimeFromTime(since)}}}}
	cursor, err := l.events.Find(ctx, filter, options.Find().SetProjection(projection).SetBatchSize(scanBatch))
	if err != nil {
		return unavailable(ctx, err, "find changed streams")
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
	for cursor.Next(ctx) {
		take(cursor.Current)
	}
	return unavailable(ctx, cursor.Err(), "find changed streams")
}

// Stored implements checkpoint.Events. The place of a record is its _id.
func (l *Log) Stored(ctx context.Context, s eventlog.Selection) iter.Seq2[audit.Stored, error] {
	return func(yield func(audit.Stored, error) bool) {
		for raw, err := range l.scanRecords(s).all(ctx) {
			if err != nil {
				yield(audit.Stored{}, err)
				return
			}
			if !yield(stored(raw), nil) {
				return
			}
		}
	}
}

func stored(raw bson.Raw) audit.Stored {
	r, err := decode(raw)
	one := audit.Stored{Record: r, Damaged: err != nil}
	if id, _ := raw.Lookup("_id").StringValueOK(); id != documentID(r.Stream, r.Version) {
		one.Damaged = true
		if place, found := strings.CutPrefix(id, r.Stream+"@"); found {
			if version, err := strconv.ParseInt(place, 10, 64); err == nil {
				one.Version = version
			}
		}
	}
	return one
}

// Audit has the leaves of checkpoints and what follows from them. It implements checkpoint.Store.
type Audit struct{ leaves, tiles, heads, state collection }

// NewAudit returns the store of checkpoints of a database. It needs no indexes.
func NewAudit(db *DB) *Audit {
	return &Audit{db.collection(auditLeaves), db.collection(auditTiles), db.collection(auditHeads), db.collection(auditState)}
}

type leafChunk struct {
	ID       string   `bson:"_id"`
	Streams  []string `bson:"streams"`
	Versions []int64  `bson:"versions"`
	Hashes   []string `bson:"hashes"`
}

func chunkID(n int64, root string, i int) string { return fmt.Sprintf("%d/%s/%d", n, root, i) }

func chunks(count int64) int { return int((count + leavesPerChunk - 1) / leavesPerChunk) }

// SaveLeaves implements checkpoint.Store.
func (a *Audit) SaveLeaves(ctx context.Context, n int64, root string, leaves []audit.Leaf) error {
	i := 0
	for chunk := range slices.Chunk(leaves, leavesPerChunk) {
		doc := leafChunk{ID: chunkID(n, root, i)}
		for _, l := range chunk {
			doc.Streams, doc.Versions, doc.Hashes = append(doc.Streams, l.Stream), append(doc.Versions, l.Version), append(doc.Hashes, l.Hash)
		}
		if _, err := a.leaves.insert(ctx, doc, "store leaves of checkpoint %d", n); err != nil {
			return err
		}
		i++
	}
	return nil
}

// Leaves implements checkpoint.Store.
func (a *Audit) Leaves(ctx context.Context, n int64, root string, count int64) ([]audit.Leaf, error) {
	leaves := make([]audit.Leaf, 0, count)
	for i := range chunks(count) {
		var doc leafChunk
		err := a.leaves.get(ctx, byID(chunkID(n, root, i)), &doc)
		if errors.Is(err, fault.NotFound) {
			return leaves, nil
		}
		if err != nil {
			return nil, err
		}
		for j := range min(len(doc.Streams), len(doc.Versions), len(doc.Hashes)) {
			leaves = append(leaves, audit.Leaf{Stream: doc.Streams[j], Version: doc.Versions[j], Hash: doc.Hashes[j]})
		}
	}
	return leaves, nil
}

// DropLeaves implements checkpoint.Store.
func (a *Audit) DropLeaves(ctx context.Context, roots map[int64]string) error {
	others, kept := make(map[string]int64), make(map[int64]bool)
	for raw, err := range a.leaves.scanByID(bson.D{{Key: "_id", Value: 1}}).all(ctx) {
		if err != nil {
			return err
		}
		id, _ := raw.Lookup("_id").StringValueOK()
		number, _, _ := strings.Cut(id, "/")
		n, err := strconv.ParseInt(number, 10, 64)
		if root, ok := roots[n]; err != nil || !ok {
			continue
		} else if strings.HasPrefix(id, number+"/"+root+"/") {
			kept[n] = true
		} else {
			others[id] = n
		}
	}
	for id, n := range others {
		if !kept[n] {
			continue
		}
		if _, err := a.leaves.remove(ctx, id, "remove leaves of checkpoint %d", n); err != nil {
			return err
		}
	}
	return nil
}

type tileDocument struct {
	ID   string `bson:"_id"`
	Data []byte `bson:"data"`
}

// SaveTiles implements checkpoint.Store.
func (a *Audit) SaveTiles(ctx context.Context, tiles map[string][]byte) error {
	var models []driver.WriteModel
	for path, data := range tiles {
		models = append(models, driver.NewReplaceOneModel().SetFilter(byID(path)).SetReplacement(tileDocument{path, data}).SetUpsert(true))
	}
	return a.tiles.bulk(ctx, models, "store tiles")
}

// Tiles implements checkpoint.Store.
func (a *Audit) Tiles(ctx context.Context, paths []string) (map[string][]byte, error) {
	tiles := make(map[string][]byte, len(paths))
	for _, path := range paths {
		var doc tileDocument
		err := a.tiles.get(ctx, byID(path), &doc)
		if errors.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		tiles[path] = doc.Data
	}
	return tiles, nil
}

type headDocument struct {
	Stream  string `bson:"_id"`
	Version int64  `bson:"version"`
	Index   int64  `bson:"index"`
}

// Cover implements checkpoint.Store.
func (a *Audit) Cover(ctx context.Context, covered []checkpoint.Covered) error {
	var newer map[string]checkpoint.Covered
	if a.heads.db.Server == FerretDB1 {
		// It scans the collection for every filter with more than _id: one scan instead of one for each stream.
		names := make([]string, len(covered))
		for i, c := range covered {
			names[i] = c.Stream
		}
		var err error
		if newer, err = a.Covered(ctx, names); err != nil {
			return err
		}
	}
	var models []driver.WriteModel
	for _, c := range covered {
		older := byID(c.Stream)
		if a.heads.db.Server != FerretDB1 {
			older = append(older, bson.E{Key: "index", Value: bson.D{{Key: "$lt", Value: c.Index}}})
		} else if stored, found := newer[c.Stream]; found && stored.Index >= c.Index {
			continue
		}
		set := bson.D{{Key: "$set", Value: bson.D{{Key: "version", Value: c.Version}, {Key: "index", Value: c.Index}}}}
		// Without an older one it inserts; if there is a newer one, that is a duplicate.
		models = append(models, driver.NewUpdateOneModel().SetFilter(older).SetUpdate(set).SetUpsert(true))
	}
	return a.heads.bulk(ctx, models, "store heads of checkpoints")
}

// Covered implements checkpoint.Store.
func (a *Audit) Covered(ctx context.Context, streams []string) (map[string]checkpoint.Covered, error) {
	found := make(map[string]checkpoint.Covered)
	if len(streams) >= manyStreams || a.heads.db.Server == FerretDB1 && len(streams) > 1 {
		for raw, err := range a.heads.scanByID(nil).all(ctx) {
			var d headDocument
			if err == nil {
				err = bson.Unmarshal(raw, &d)
			}
			if err != nil {
				return nil, fault.Wrap(err, fault.Unavailable, "read heads of checkpoints")
			}
			found[d.Stream] = checkpoint.Covered(d)
		}
		return found, nil
	}
	for batch := range slices.Chunk(streams, auditBatch) {
		filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: batch}}}}
		if len(batch) == 1 {
			filter = byID(batch[0])
		}
		docs, err := find[headDocument](ctx, a.heads, filter, options.Find(), "read heads of checkpoints")
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			found[d.Stream] = checkpoint.Covered(d)
		}
	}
	return found, nil
}

type stateDocument struct {
	ID string        `bson:"_id"`
	N  int64         `bson:"n"`
	At bson.DateTime `bson:"at"`
}

func (a *Audit) get(ctx context.Context, id string) (stateDocument, error) {
	var d stateDocument
	err := a.state.get(ctx, byID(id), &d)
	if errors.Is(err, fault.NotFound) {
		err = nil
	}
	return d, err
}

// Time implements checkpoint.Store.
func (a *Audit) Time(ctx context.Context, name string) (time.Time, error) {
	d, err := a.get(ctx, name)
	return d.At.Time(), err
}

// SetTime implements checkpoint.Store.
func (a *Audit) SetTime(ctx context.Context, name string, at time.Time) error {
	return a.set(ctx, name, bson.D{{Key: "$set", Value: bson.D{{Key: "at", Value: bson.NewDateTimeFromTime(at)}}}})
}

// Number implements checkpoint.Store.
func (a *Audit) Number(ctx context.Context, name string) (int64, error) {
	d, err := a.get(ctx, name)
	return d.N, err
}

// SetNumber implements checkpoint.Store.
func (a *Audit) SetNumber(ctx context.Context, name string, n int64) error {
	return a.set(ctx, name, bson.D{{Key: "$max", Value: bson.D{{Key: "n", Value: n}}}})
}

func (a *Audit) set(ctx context.Context, name string, update bson.D) error {
	return a.state.bulk(ctx, []driver.WriteModel{driver.NewUpdateOneModel().SetFilter(byID(name)).SetUpdate(update).SetUpsert(true)}, "store the state of checkpoints")
}

// bulk writes in batches, in any order. Duplicates are no errors. Errors: Unavailable.
func (c collection) bulk(ctx context.Context, models []driver.WriteModel, what string) error {
	size := auditBatch
	if c.db.Server == FerretDB1 {
		size = ferretBatch
	}
	for batch := range slices.Chunk(models, size) {
		err := c.bulkOne(ctx, batch)
		if err != nil {
			return unavailable(ctx, err, "%s", what)
		}
	}
	return nil
}

func (c collection) bulkOne(ctx context.Context, batch []driver.WriteModel) error {
	_, err := c.BulkWrite(ctx, batch, options.BulkWrite().SetOrdered(false))
	var many driver.BulkWriteException
	if errors.As(err, &many) && many.WriteConcernError == nil && !slices.ContainsFunc(many.WriteErrors, func(e driver.BulkWriteError) bool { return e.Code != codeDuplicateKey }) {
		return nil
	}
	return err
}
