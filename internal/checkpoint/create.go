package checkpoint

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// overlap is how long before the previous search the search for changed streams begins: clocks of processes differ, and an append may take
	// a while.
	overlap = 10 * time.Minute
	// sweepEvery is the interval of searches in all streams.
	sweepEvery = 24 * time.Hour
	// maxRaces bounds how often a checkpoint is computed again because another process was first.
	maxRaces = 5
	fileMode = 0o644
)

// Config configures a Ledger.
type Config struct {
	// Log, Events and Store are required.
	Log    Log
	Events Events
	Store  Store
	// Signer signs checkpoints; only Create needs it.
	Signer audit.Signer
	// Publish publishes a record of a signed checkpoint. Optional.
	Publish func(ctx context.Context, r event.Record) error
	// Dir is a folder for signed notes. Optional.
	Dir    string
	Clock  func() time.Time
	Logger *slog.Logger
}

// Ledger has the checkpoints of a log.
type Ledger struct{ cfg Config }

// New returns a Ledger. It does no I/O.
func New(c Config) *Ledger { return &Ledger{c} }

// Created is the result of Create.
type Created struct {
	// N is the newest checkpoint, and New reports whether this call has recorded it. Nothing is recorded if no stream has changed.
	N      int64 `json:"n"`
	New    bool  `json:"new"`
	Size   int64 `json:"size"`
	Leaves int64 `json:"leaves"`
	// TookMillis is the time in milliseconds.
	TookMillis int64 `json:"tookMillis"`
}

// Create completes the previous checkpoint, and records and signs the next one if a stream has changed. With sweep it reads all streams; it also does so
// for the first checkpoint and once a day. Errors: Invalid without a key, or with one of another log; Unavailable.
func (l *Ledger) Create(ctx context.Context, sweep bool) (Created, error) {
	began := time.Now()
	if !l.cfg.Signer.Configured() {
		return Created{}, fault.New(fault.Invalid, "AUDIT_SIGNING_KEY is not set")
	}
	for range maxRaces {
		created, err := l.create(ctx, sweep)
		if !eventlog.Lost(err) {
			created.TookMillis = time.Since(began).Milliseconds()
			return created, err
		}
	}
	return Created{}, fault.New(fault.Unavailable, "other processes record checkpoints")
}

// create is one attempt; the error is a lost race if another process has appended to the stream.
func (l *Ledger) create(ctx context.Context, sweep bool) (Created, error) {
	last, err := l.newest(ctx)
	if err != nil {
		return Created{}, err
	}
	done := Created{N: last.body.N, Size: last.body.Size}
	if last.body.N > 0 {
		if last.body.Origin != l.cfg.Signer.Origin() {
			return done, fault.New(fault.Invalid, "the checkpoints are of the log %q; the signing key is of %q", last.body.Origin, l.cfg.Signer.Origin())
		}
		if last, err = l.finish(ctx, last); err != nil {
			return done, err
		}
	}
	now := l.cfg.Clock().UTC().Truncate(event.TimeResolution)
	swept, err := l.cfg.Store.Time(ctx, stateSwept)
	if err != nil {
		return done, err
	}
	age := now.Sub(swept)
	sweep = sweep || age >= sweepEvery || age < -overlap
	searched, err := l.cfg.Events.Now(ctx)
	if err != nil {
		return done, err
	}
	at, since, err := l.times(ctx, last.body, now)
	if err != nil {
		return done, err
	}
	if sweep {
		since = time.Time{}
	}
	leaves, err := l.changed(ctx, since)
	if err != nil {
		return done, err
	}
	if len(leaves) > 0 {
		if done, err = l.record(ctx, last, leaves, at, sweep); err != nil {
			return done, err
		}
		if err := l.cfg.Store.SetTime(ctx, stateSearched, searched); err != nil {
			return done, err
		}
	}
	if sweep {
		if err := l.dropLeftovers(ctx); err != nil {
			l.warn(ctx, "leftovers of checkpoints are not removed", err)
		}
		if err := l.cfg.Store.SetTime(ctx, stateSwept, now); err != nil {
			return done, err
		}
	}
	if err := l.publish(ctx, done.N); err != nil {
		l.warn(ctx, "checkpoints are published later", err)
	}
	return done, nil
}

func (l *Ledger) warn(ctx context.Context, message string, err error) {
	l.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, message, slog.Any("error", err))
}

// times returns the time of the checkpoint after last, which is never before that of last, and when the search for changed streams begins. The clock of
// the process that recorded last may have been ahead, so the server's time at its search counts, too. Without one all records with a time are read.
func (l *Ledger) times(ctx context.Context, last body, now time.Time) (at, since time.Time, err error) {
	if last.N == 0 {
		return now, since, nil
	}
	c, err := last.checkpoint()
	if err != nil {
		return at, since, err
	}
	if since, err = l.cfg.Store.Time(ctx, stateSearched); since.After(c.Time) {
		since = c.Time
	}
	if at = now; at.Before(c.Time) {
		at = c.Time
	}
	return at, since.Add(-overlap), err
}

// changed returns the leaves of streams that have grown since their last leaf. The stream of the checkpoints alone is no reason for a checkpoint.
func (l *Ledger) changed(ctx context.Context, since time.Time) ([]audit.Leaf, error) {
	heads, err := l.cfg.Events.HeadsSince(ctx, since)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(heads))
	for i, h := range heads {
		names[i] = h.Stream
	}
	covered, err := l.cfg.Store.Covered(ctx, names)
	if err != nil {
		return nil, err
	}
	heads = slices.DeleteFunc(heads, func(h audit.Leaf) bool { return h.Version <= covered[h.Stream].Version })
	if !slices.ContainsFunc(heads, func(h audit.Leaf) bool { return h.Stream != audit.Stream }) {
		return nil, nil
	}
	slices.SortFunc(heads, func(a, b audit.Leaf) int { return cmp.Compare(a.Stream, b.Stream) })
	return heads, nil
}

// record records the checkpoint after last with its leaves, and completes it.
func (l *Ledger) record(ctx context.Context, last newest, leaves []audit.Leaf, at time.Time, sweep bool) (Created, error) {
	before, err := l.tree(ctx, last.body)
	if err != nil {
		return Created{}, err
	}
	tree, err := audit.Grow(last.body.Size, before, leaves)
	if err != nil {
		return Created{}, err
	}
	b := body{
		N: last.body.N + 1, Origin: l.cfg.Signer.Origin(), Size: tree.N, RootHash: tree.Hash.String(), Leaves: int64(len(leaves)), Time: format(at), Sweep: sweep,
	}
	if err := l.cfg.Store.SaveLeaves(ctx, b.N, b.RootHash, leaves); err != nil {
		return Created{}, err
	}
	head, tail, err := l.cfg.Log.Append(ctx, audit.Stream, last.head, []event.Entry{l.entry("checkpoint", event.AuditCheckpointRecorded, b.N, at, b)})
	if err != nil {
		return Created{}, err
	}
	if len(tail) > 0 {
		// The same checkpoint may have been recorded and signed by another process.
		head = tail[0].HeadOf()
	}
	if _, err := l.finish(ctx, newest{head: head, body: b}); err != nil {
		return Created{}, err
	}
	return Created{N: b.N, New: true, Size: b.Size, Leaves: b.Leaves}, nil
}

// dropLeftovers removes the leaves of attempts that have not recorded their checkpoint: another process was first, or they were killed.
func (l *Ledger) dropLeftovers(ctx context.Context) error {
	roots := make(map[int64]string)
	for page, err := range event.Pages(ctx, l.cfg.Log, audit.Stream, 0) {
		if err != nil {
			return err
		}
		for _, r := range page {
			if b, err := event.Decode[body](r.Event); err == nil && r.Type == event.AuditCheckpointRecorded && recordedAt(b.N) == r.Version {
				roots[b.N] = b.RootHash
			}
		}
	}
	return l.cfg.Store.DropLeaves(ctx, roots)
}

// finish signs a recorded checkpoint, stores what follows from its leaves, and writes its note. Each step may be repeated.
func (l *Ledger) finish(ctx context.Context, s newest) (newest, error) {
	stored, err := l.cfg.Store.Number(ctx, stateStored)
	if err != nil || s.signed != nil && stored >= s.body.N {
		return s, err
	}
	if err := l.index(ctx, s.body); err != nil {
		return s, err
	}
	if s.signed == nil {
		if s.signed, err = l.sign(ctx, s); err != nil {
			return s, err
		}
		s.head = s.signed.HeadOf()
	}
	sum, err := summary(*s.signed)
	if err != nil {
		return s, err
	}
	if err := l.write(sum); err != nil {
		return s, err
	}
	l.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "checkpoint signed", slog.Int64("checkpoint", sum.N), slog.Int64("size", sum.Size),
		slog.String("root_hash", sum.RootHash), slog.String("key_id", sum.KeyID))
	return s, l.cfg.Store.SetNumber(ctx, stateStored, s.body.N)
}

// publish publishes the checkpoints up to n that are not published yet, oldest first. Some may be published again.
func (l *Ledger) publish(ctx context.Context, n int64) error {
	if l.cfg.Publish == nil {
		return nil
	}
	published, err := l.cfg.Store.Number(ctx, statePublished)
	if err != nil || published >= n {
		return err
	}
	for page, err := range event.Pages(ctx, l.cfg.Log, audit.Stream, signedAt(published)) {
		if err != nil {
			return err
		}
		for _, r := range page {
			if r.Type != event.AuditCheckpointSigned || r.Version > signedAt(n) {
				continue
			}
			if err := l.cfg.Publish(ctx, r); err != nil {
				return err
			}
			if err := l.cfg.Store.SetNumber(ctx, statePublished, r.Version/2); err != nil {
				return err
			}
		}
	}
	return nil
}

// sign appends the signed note. If another process has appended one, that one is valid.
func (l *Ledger) sign(ctx context.Context, s newest) (*event.Record, error) {
	c, err := s.body.checkpoint()
	if err != nil {
		return nil, err
	}
	note, err := l.cfg.Signer.Sign(c)
	if err != nil {
		return nil, err
	}
	d := signed{N: c.N, Origin: c.Origin, Size: c.Tree.N, RootHash: s.body.RootHash, Time: s.body.Time, KeyID: l.cfg.Signer.KeyID(), Note: note}
	_, tail, err := l.cfg.Log.Append(ctx, audit.Stream, s.head, []event.Entry{l.entry("signed", event.AuditCheckpointSigned, c.N, l.cfg.Clock(), d)})
	if err != nil && !eventlog.Lost(err) {
		return nil, err
	}
	if len(tail) == 0 || tail[0].Type != event.AuditCheckpointSigned {
		return nil, fault.New(fault.Corrupt, "stream %s has no signature of checkpoint %d after its record", audit.Stream, c.N)
	}
	return &tail[0], nil
}

// write writes the note to the folder for notes: a file for the checkpoint, and one for the newest of the folder. Another process may write a later one
// meanwhile: that one's file is there before it is the newest.
func (l *Ledger) write(s Summary) error {
	if l.cfg.Dir == "" {
		return nil
	}
	err := replace(filepath.Join(l.cfg.Dir, strconv.FormatInt(s.N, 10)), []byte(s.Note))
	for before := int64(0); err == nil; {
		var names []os.DirEntry
		names, err = os.ReadDir(l.cfg.Dir)
		newest := s.N
		for _, name := range names {
			if n, err := strconv.ParseInt(name.Name(), 10, 64); err == nil {
				newest = max(newest, n)
			}
		}
		if err != nil || newest == before {
			break
		}
		before = newest
		var note []byte
		if note, err = os.ReadFile(filepath.Join(l.cfg.Dir, strconv.FormatInt(newest, 10))); err == nil {
			err = replace(filepath.Join(l.cfg.Dir, "newest"), note)
		}
	}
	return fault.Wrap(err, fault.Unavailable, "write checkpoint %d to AUDIT_CHECKPOINT_DIR", s.N)
}

// replace replaces a file at once, and durably.
func replace(path string, text []byte) error {
	file, err := os.OpenFile(path+"."+rand.Text(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// index stores the tiles and the covered streams of a recorded checkpoint.
func (l *Ledger) index(ctx context.Context, b body) error {
	leaves, err := l.cfg.Store.Leaves(ctx, b.N, b.RootHash, b.Leaves)
	if err != nil {
		return err
	}
	if int64(len(leaves)) != b.Leaves {
		return fault.New(fault.Corrupt, "leaf %d of checkpoint %d is lost", len(leaves), b.N)
	}
	size := b.Size - b.Leaves
	var before body
	if b.N > 1 {
		records, err := l.cfg.Log.Read(ctx, audit.Stream, recordedAt(b.N-1)-1, 1)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return fault.Missing("checkpoint %d was not found", b.N-1)
		}
		if before, err = event.Decode[body](records[0].Event); err != nil {
			return err
		}
	}
	old, err := l.tree(ctx, before)
	if err != nil {
		return err
	}
	tree, err := audit.Grow(size, old, leaves)
	if err != nil {
		return err
	}
	if tree.Hash.String() != b.RootHash {
		return fault.New(fault.Corrupt, "the leaves of checkpoint %d have another root", b.N)
	}
	return l.saveTree(ctx, size, tree, leaves)
}

func (l *Ledger) saveTree(ctx context.Context, size int64, tree *audit.Tree, leaves []audit.Leaf) error {
	tiles := make(map[string][]byte)
	for _, tile := range tlog.NewTiles(tileHeight, size, tree.N) {
		data, err := tlog.ReadTileData(tile, tree)
		if err != nil {
			return err
		}
		tiles[tile.Path()] = data
	}
	if err := l.cfg.Store.SaveTiles(ctx, tiles); err != nil {
		return err
	}
	covered := make([]Covered, len(leaves))
	for i, leaf := range leaves {
		covered[i] = Covered{leaf.Stream, leaf.Version, size + int64(i)}
	}
	return l.cfg.Store.Cover(ctx, covered)
}
