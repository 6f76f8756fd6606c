package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sealed"
)

// LettersCollection is the name of the collection of dead letters.
const LettersCollection = "dead_letters"

const (
	// maxInline is the largest body that is stored in the document of its letter, and the size of a part: a document must stay below
	// 16 MiB, including headers.
	maxInline = 8 << 20
	// lettersTimeout is the minimum timeout of a round trip: large bodies take time.
	lettersTimeout = 20 * time.Second
)

// Letters stores dead letters. It implements deadletter.Store.
//
// A letter is one document with its body. A body over maxInline is split into parts, documents <id>/<n> of the same collection, which are
// written before the letter: when the letter exists, it is complete. A corrected body for a replay is stored as <id>/<hash>/<n>. Documents
// are inserted and never changed, except status and version of a letter, which repeat the event log for filtering. Delete deletes all of them.
type Letters struct {
	letters collection
	// listed is the collection for lists: letters, or the copies for FerretDB 1.
	listed collection
	// inline is maxInline, or less in tests.
	inline int
	// locks is for FerretDB 1.
	locks documentLocks
	// keys has a key of each sealed letter.
	keys *Keys
	// box opens sealed letters; nil when there are none. New ones are sealed if seals is set.
	box   *sealed.Box
	seals bool
}

// listProjection excludes what lists do not return.
var listProjection = bson.D{{Key: "body", Value: 0}, {Key: "headers", Value: 0}}

var _ deadletter.Store = (*Letters)(nil)

// NewLetters returns the dead letter store of a database.
func NewLetters(db *DB) *Letters {
	slow := *db
	slow.Timeout = max(db.Timeout, lettersTimeout)
	l := &Letters{letters: slow.collection(LettersCollection), inline: maxInline, keys: NewLetterKeys(db)}
	l.listed = l.letters
	if db.Server == FerretDB1 {
		l.listed = slow.collection(LettersCollection + "_listed")
	}
	return l
}

// Indexes returns the indexes for lists.
func (l *Letters) Indexes() []Index {
	if l.letters.db.Server == FerretDB1 {
		return nil
	}
	indexes := []Index{{l.letters, "kind_newest", append(bson.D{{Key: "kind", Value: 1}}, newestFirst("failedAt")...), false}}
	for _, field := range []string{"status", "reason", "type"} {
		keys := append(bson.D{{Key: "kind", Value: 1}, {Key: field, Value: 1}}, newestFirst("failedAt")...)
		indexes = append(indexes, Index{l.letters, field + "_newest", keys, false})
	}
	return indexes
}

// Insert implements deadletter.Store.
func (l *Letters) Insert(ctx context.Context, dead deadletter.Letter) (_ bool, err error) {
	d := toLetter(dead)
	if len(d.Body) > l.inline {
		if d.Parts, err = l.putParts(ctx, d.ID, d.ID, d.Body); err != nil {
			return false, err
		}
		d.Body = nil
	}
	if err = l.seal(ctx, &d); err != nil {
		return false, err
	}
	if l.letters.db.Server == FerretDB1 {
		summary := d
		summary.Body, summary.Headers = nil, ""
		if _, err := l.listed.insert(ctx, summary, "list dead letter %s", d.ID); err != nil {
			return false, err
		}
	}
	return l.letters.insert(ctx, d, "store dead letter %s", d.ID)
}

// putParts stores a body in parts, which may already exist.
func (l *Letters) putParts(ctx context.Context, id, prefix string, body []byte) (count int, err error) {
	count = max((len(body)+l.inline-1)/l.inline, 1)
	for n := range count {
		piece := body[n*l.inline : min((n+1)*l.inline, len(body))]
		p := part{ID: partID(prefix, n), Kind: "part", Letter: id, Body: piece, Parts: count}
		if err := l.sealPart(ctx, &p); err != nil {
			return 0, err
		}
		if _, err := l.letters.insert(ctx, p, "store part %d of %s", n, prefix); err != nil {
			return 0, err
		}
	}
	return count, nil
}

// parts returns a body that is stored in parts. Parts are written before anything refers to them, so a missing part is Unavailable: after a
// failover it may be found later. Errors: Unavailable.
func (l *Letters) parts(ctx context.Context, prefix string) ([]byte, error) {
	body := []byte{}
	for n, count := 0, 1; n < count; n++ {
		var p part
		err := l.letters.get(ctx, byID(partID(prefix, n)), &p)
		if errors.Is(err, fault.NotFound) {
			err = fault.Missing("part %d of %s was not found", n, prefix)
		}
		if err == nil {
			err = l.openPart(ctx, &p)
		}
		if err != nil {
			return nil, err
		}
		count = p.Parts
		body = append(body, p.Body...)
	}
	return body, nil
}

func partID(prefix string, n int) string { return fmt.Sprintf("%s/%04d", prefix, n) }

// Get implements deadletter.Store.
func (l *Letters) Get(ctx context.Context, id string) (found deadletter.Letter, ok bool, err error) {
	var d letter
	err = l.letters.get(ctx, byID(id), &d)
	if errors.Is(err, fault.NotFound) || err == nil && d.Kind != kindLetter {
		return found, false, nil
	}
	if err != nil {
		return found, false, err
	}
	if err = l.open(ctx, &d); err != nil {
		return found, false, err
	}
	if found, err = d.letter(); err != nil {
		return found, false, fault.Wrap(err, fault.Corrupt, "read dead letter %s", id)
	}
	found.Message.Body = d.Body
	if d.Parts > 0 {
		found.Message.Body, err = l.parts(ctx, id)
	}
	return found, err == nil, err
}

// Mark implements deadletter.Store.
func (l *Letters) Mark(ctx context.Context, id string, status deadletter.Status, version int64) error {
	if l.letters.db.Server == FerretDB1 {
		return errors.Join(l.markSerialized(ctx, l.letters, id, status, version), l.markSerialized(ctx, l.listed, id, status, version))
	}
	// An older version must not replace a newer one.
	filter := append(byID(id), bson.E{Key: "version", Value: bson.D{{Key: "$lt", Value: version}}})
	return mark(ctx, l.letters, filter, status, version)
}

func mark(ctx context.Context, in collection, filter bson.D, status deadletter.Status, version int64) error {
	ctx, cancel := in.withTimeout(ctx)
	defer cancel()
	update := bson.D{{Key: "$set", Value: bson.D{{Key: "status", Value: status}, {Key: "version", Value: version}}}}
	_, err := in.UpdateOne(ctx, filter, update)
	return unavailable(ctx, err, "mark dead letter %s", filter[0].Value)
}

// SaveBody implements deadletter.Store.
func (l *Letters) SaveBody(ctx context.Context, id string, body []byte) error {
	_, err := l.putParts(ctx, id, id+"/"+deadletter.HashOf(body), body)
	return err
}

// LoadBody implements deadletter.Store.
func (l *Letters) LoadBody(ctx context.Context, id, hash string) ([]byte, error) {
	return l.parts(ctx, id+"/"+hash)
}

// Delete implements deadletter.Store. Parts and key are deleted before their letter: an interrupted deletion is repeated as long as the letter exists.
func (l *Letters) Delete(ctx context.Context, id string) error {
	if err := l.deleteParts(ctx, id); err != nil {
		return err
	}
	if err := l.keys.Erase(ctx, id); err != nil {
		return err
	}
	if l.letters.db.Server == FerretDB1 {
		if _, err := l.letters.remove(ctx, id, "delete dead letter %s", id); err != nil {
			return err
		}
	}
	_, err := l.listed.remove(ctx, id, "delete dead letter %s", id)
	return err
}

// deleteParts deletes all documents whose _id begins with that of the letter and a slash.
func (l *Letters) deleteParts(ctx context.Context, id string) error {
	ctx, cancel := l.letters.withTimeout(ctx)
	defer cancel()
	const afterSlash = "0"
	_, err := l.letters.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: id + "/"}, {Key: "$lt", Value: id + afterSlash}}}})
	return unavailable(ctx, err, "delete the parts of dead letter %s", id)
}

// List implements deadletter.Store.
func (l *Letters) List(ctx context.Context, f deadletter.Filter) ([]deadletter.Letter, string, error) {
	if err := f.Validate(); err != nil {
		return nil, "", err
	}
	if l.letters.db.Server == FerretDB1 {
		if err := l.copyListed(ctx); err != nil {
			return nil, "", err
		}
	}
	p := &listing{
		collection: l.listed, name: cursor.DeadLetters, by: "failedAt", filter: bson.D{{Key: "kind", Value: kindLetter}},
		projection: listProjection,
	}
	p.filter = anyOf(anyOf(anyOf(p.filter, "status", f.Statuses), "reason", f.Reasons), "type", f.Types)
	p.within(f.From, f.To, f.Cursor)
	docs, next, err := readPage[letter](ctx, p, f.Limit)
	if err != nil {
		return nil, "", err
	}
	items := make([]deadletter.Letter, len(docs))
	for i, d := range docs {
		items[i], _ = d.letter() // an invalid letter is shown with its valid fields
	}
	return items, next, nil
}
