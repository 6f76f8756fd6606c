// Package mongoletters keeps dead letters in a MongoDB collection, dead_letters.
//
// It may import internal/deadletter, event, internal/wire, internal/cursor, internal/null, internal/fault, internal/eventlog/mongolog and the driver.
//
// # Documents
//
// A letter is one document, with its payload as binary. A payload over MaxInline is cut into parts, documents
// <id>/<n> of the same collection that are written before the letter's: when the letter is there, all of it is. So is a
// payload that is sent instead of the letter's own: <id>/<hash>/<n>. Documents are inserted and never replaced, but for
// status and version of a letter, which repeat what the event log says so that lists can be filtered by it.
package mongoletters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Collection is the collection's name.
const Collection = "dead_letters"

// MaxInline is the largest payload that stands in its letter's document, and the size of a part: a document must stay
// below 16 MiB, headers and all.
const MaxInline = 8 << 20

// timeout bounds each round trip, whatever deadline the caller's context has; big payloads take some.
const timeout = 20 * time.Second

// Store keeps letters. It needs no closing; the client behind the database is the caller's.
type Store struct {
	letters *mongo.Collection
	// latest is letters with reads that miss nothing, for what letters did not find.
	latest *mongo.Collection
	// inline is MaxInline; tests take less.
	inline int
	// marks puts the marks of this process in a row: servers that lose concurrent updates lose none of them then.
	marks sync.Mutex
	// lookup is mongolog.LookupAuto until the server was asked.
	lookup atomic.Int32
	// sorting is nil until the server was asked whether it sorts what it could read in the order of an index.
	sorting atomic.Pointer[bool]
	// table is for FerretDB 1, and small is smallCollection; tests take less.
	table table
	small int
}

var _ deadletter.Store = (*Store)(nil)

// New returns a store. It does no I/O. The database's concerns do not matter: the store sets its own.
func New(db *mongo.Database) *Store {
	o := options.Collection().SetWriteConcern(writeconcern.Majority()).SetReadPreference(readpref.Primary())
	letters := db.Collection(Collection, o)
	return &Store{letters: letters, latest: mongolog.Latest(letters), inline: MaxInline, small: smallCollection}
}

// Setup makes the indexes of lists. It may be called again and by several processes at once. See mongolog.Index.Build for the
// context. Errors: Unavailable.
func (s *Store) Setup(ctx context.Context) error {
	indexes, err := s.Indexes(ctx)
	if err != nil {
		return err
	}
	return mongolog.Ensure(ctx, indexes)
}

// Indexes returns the indexes of lists; FerretDB 1 would not use them and gets none. Errors: Unavailable.
func (s *Store) Indexes(ctx context.Context) ([]mongolog.Index, error) {
	ferretDB1, err := s.isFerretDB1(ctx)
	if err != nil || ferretDB1 {
		return nil, err
	}
	newest := bson.D{{Key: "failedAt", Value: -1}, {Key: "_id", Value: -1}}
	by := func(field string) mongolog.Index {
		keys := append(bson.D{{Key: "kind", Value: 1}}, newest...)
		if field != "kind" {
			keys = append(bson.D{{Key: "kind", Value: 1}, {Key: field, Value: 1}}, newest...)
		}
		return mongolog.Index{Collection: s.letters, Name: field + "_newest", Keys: keys}
	}
	return []mongolog.Index{by("kind"), by("status"), by("reason"), by("type")}, nil
}

// isFerretDB1 asks the server once. There a filter on more than _id reads the whole collection.
func (s *Store) isFerretDB1(ctx context.Context) (bool, error) {
	if known := mongolog.Lookup(s.lookup.Load()); known != mongolog.LookupAuto {
		return known == mongolog.LookupProbe, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	lookup, err := mongolog.DetectLookup(ctx, s.letters.Database())
	if err != nil {
		return false, err
	}
	s.lookup.Store(int32(lookup))
	return lookup == mongolog.LookupProbe, nil
}

// Insert implements deadletter.Store.
func (s *Store) Insert(ctx context.Context, l deadletter.Letter) (bool, error) {
	d, err := s.document(l)
	if err != nil {
		return false, err
	}
	if len(l.Message.Body) > s.inline {
		if d.Parts, err = s.putParts(ctx, l.ID, l.ID, l.Message.Body); err != nil {
			return false, err
		}
		d.Body = nil
	}
	inserted, err := s.insert(ctx, d, "keep dead letter %s", l.ID)
	if inserted {
		s.table.put(rowOf(d))
	}
	return inserted, err
}

// insert reports false when the document is there.
func (s *Store) insert(ctx context.Context, d any, format string, args ...any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := s.letters.InsertOne(ctx, d)
	if mongolog.Duplicate(err) {
		return false, nil
	}
	return err == nil, unavailable(ctx, err, format, args...)
}

// putParts cuts a payload. The same parts may be there already.
func (s *Store) putParts(ctx context.Context, letter, prefix string, body []byte) (count int, err error) {
	count = max((len(body)+s.inline-1)/s.inline, 1)
	for n := range count {
		piece := body[n*s.inline : min((n+1)*s.inline, len(body))]
		p := part{ID: fmt.Sprintf("%s/%04d", prefix, n), Kind: "part", Letter: letter, Body: piece, Parts: count}
		if _, err := s.insert(ctx, p, "keep part %d of %s", n, prefix); err != nil {
			return 0, err
		}
	}
	return count, nil
}

// parts puts a payload together again. Parts are written before anything refers to them, so one that is not found is
// Unavailable: after a failover it may be there the next time. Errors: Unavailable.
func (s *Store) parts(ctx context.Context, prefix string, count int) ([]byte, error) {
	body := []byte{}
	for n := 0; n < max(count, 1); n++ {
		var p part
		err := s.find(ctx, fmt.Sprintf("%s/%04d", prefix, n), &p)
		if errors.Is(err, fault.NotFound) {
			err = fault.Missing("part %d of %s was not found", n, prefix)
		}
		if err != nil {
			return nil, err
		}
		count = p.Parts
		body = append(body, p.Body...)
	}
	return body, nil
}

// find reads a document by its id. Errors: NotFound, Unavailable.
func (s *Store) find(ctx context.Context, id string, into any, o ...options.Lister[options.FindOneOptions]) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := s.letters.FindOne(ctx, byID(id), o...).Decode(into)
	if errors.Is(err, mongo.ErrNoDocuments) {
		if again := s.latest.FindOne(ctx, byID(id), o...).Decode(into); !mongolog.NoReplicas(again) {
			err = again
		}
	}
	if errors.Is(err, mongo.ErrNoDocuments) {
		return fault.New(fault.NotFound, "%s is not kept", id)
	}
	return unavailable(ctx, err, "read %s", id)
}

// Get implements deadletter.Store.
func (s *Store) Get(ctx context.Context, id string) (deadletter.Letter, bool, error) {
	var d document
	err := s.find(ctx, id, &d)
	if errors.Is(err, fault.NotFound) || err == nil && d.Kind != kindLetter {
		return deadletter.Letter{}, false, nil
	}
	if err != nil {
		return deadletter.Letter{}, false, err
	}
	found := d.letter()
	if found.Message, err = d.message(); err != nil {
		return found, false, fault.Wrap(err, fault.Corrupt, "read dead letter %s", id)
	}
	found.Derive()
	found.Message.Body = d.Body
	if d.Parts > 0 {
		found.Message.Body, err = s.parts(ctx, id, d.Parts)
	}
	return found, err == nil, err
}

// Mark implements deadletter.Store.
func (s *Store) Mark(ctx context.Context, id string, status deadletter.Status, version int64) error {
	s.marks.Lock()
	defer s.marks.Unlock()
	const rounds = 3
	for range rounds {
		var d document
		err := s.find(ctx, id, &d, options.FindOne().SetProjection(bson.D{{Key: "version", Value: 1}}))
		if errors.Is(err, fault.NotFound) || err == nil && d.Version >= version {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.set(ctx, id, status, version); err != nil {
			return err
		}
		s.table.mark(id, status, version)
	}
	return nil // somebody else marks, with what he knows
}

func (s *Store) set(ctx context.Context, id string, status deadletter.Status, version int64) error {
	ferretDB1, err := s.isFerretDB1(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	filter := byID(id)
	if !ferretDB1 {
		// Keeps an older version from replacing a newer one.
		filter = append(filter, bson.E{Key: "version", Value: bson.D{{Key: "$lt", Value: version}}})
	}
	_, err = s.letters.UpdateOne(ctx, filter, bson.D{{Key: "$set", Value: bson.D{{Key: "status", Value: string(status)}, {Key: "version", Value: version}}}})
	return unavailable(ctx, err, "mark dead letter %s", id)
}

// Keep implements deadletter.Store.
func (s *Store) Keep(ctx context.Context, id string, body []byte) error {
	_, err := s.putParts(ctx, id, id+"/"+deadletter.HashOf(body), body)
	return err
}

// Kept implements deadletter.Store.
func (s *Store) Kept(ctx context.Context, id, hash string) ([]byte, error) {
	return s.parts(ctx, id+"/"+hash, 1)
}

// document makes the document of a letter, payload and all.
func (s *Store) document(l deadletter.Letter) (document, error) {
	props, err := json.Marshal(propertiesOf(l.Message))
	if err != nil {
		return document{}, fault.Wrap(err, fault.Internal, "write dead letter %s", l.ID)
	}
	headers, err := encodeHeaders(l.Message.Headers)
	if err != nil {
		return document{}, fault.Wrap(err, fault.Internal, "write dead letter %s", l.ID)
	}
	return document{
		ID: l.ID, Kind: kindLetter, Reason: string(l.Reason), Detail: l.Detail, Type: l.Type, EventID: l.EventID, Subject: l.Subject,
		Exchange: deadletter.Tidy(l.Message.Exchange), RoutingKey: deadletter.Tidy(l.Message.RoutingKey),
		Attempts: int64(l.Attempts), Parked: int64(l.Parked), FirstSeen: dateOf(l.FirstSeen), FailedAt: dateOf(l.FailedAt),
		KeptAt: dateOf(l.KeptAt), Queue: deadletter.Tidy(l.Queue), ReplayOf: string(l.ReplayOf), Replays: int64(l.Replays), Mark: deadletter.Tidy(l.Mark), Dropped: l.HeadersDropped,
		CorrelationID: l.CorrelationID, PayloadHash: l.PayloadHash, Size: int64(l.Size), Properties: string(props), Headers: headers,
		Body: l.Message.Body, Status: string(deadletter.StatusOpen),
	}, nil
}

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }

// unavailable wraps what server, network or context did; nil stays nil.
func unavailable(ctx context.Context, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = errors.Join(ended, err)
	}
	return fault.Wrap(err, fault.Unavailable, format, args...)
}
