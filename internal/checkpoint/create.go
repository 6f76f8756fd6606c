package checkpoint

import (
	"cmp"
	"context"
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
	// overlap is how long before the previous checkpoint the search for changed streams begins: clocks of processes differ, and an append may take
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
	at := l.cfg.Clock().UTC().Truncate(event.TimeResolution)
	swept, err := l.cfg.Store.Swept(ctx)
	if err != nil {
		return done, err
	}
	sweep = sweep || at.Sub(swept) >= sweepEvery
	leaves, err := l.changed(ctx, last.body, sweep)
	if err != nil {
		return done, err
	}
	if len(leaves) > 0 {
		if done, err = l.record(ctx, last, leaves, at, sweep); err != nil {
			return done, err
		}
	}
	if sweep {
		err = l.cfg.Store.SetSwept(ctx, at)
	}
	return done, err
}

// changed returns the leaves of streams that have grown since their last leaf. The stream of the checkpoints alone is no reason for a checkpoint.
func (l *Ledger) changed(ctx context.Context, last body, sweep bool) ([]audit.Leaf, error) {
	var since time.Time
	if !sweep && last.N > 0 {
		c, err := last.checkpoint()
		if err != nil {
			return nil, err
		}
		since = c.Time.Add(-overlap)
	}
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
	if eventlog.Lost(err) {
		return Created{}, errors.Join(err, l.dropLost(ctx, b, tail))
	}
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

// dropLost removes the leaves of a checkpoint that another process has recorded first, unless they are the same.
func (l *Ledger) dropLost(ctx context.Context, b body, tail []event.Record) error {
	if len(tail) == 0 {
		return nil
	}
	recorded, err := event.Decode[body](tail[0].Event)
	if err != nil || recorded.N != b.N || recorded.RootHash == b.RootHash {
		return nil //nolint:nilerr // the next checkpoint reads the log and reports it
	}
	return l.cfg.Store.DropLeaves(ctx, b.N, b.RootHash, b.Leaves)
}

// finish signs a recorded checkpoint, stores what follows from its leaves, publishes and writes it. Each step may be repeated.
func (l *Ledger) finish(ctx context.Context, s newest) (newest, error) {
	finished, err := l.cfg.Store.Finished(ctx)
	if err != nil || s.signed != nil && finished >= s.body.N {
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
	if l.cfg.Publish != nil {
		if err := l.cfg.Publish(ctx, *s.signed); err != nil {
			return s, err
		}
	}
	if err := l.write(sum); err != nil {
		return s, err
	}
	l.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "checkpoint signed", slog.Int64("checkpoint", sum.N), slog.Int64("size", sum.Size),
		slog.String("root_hash", sum.RootHash), slog.String("key_id", sum.KeyID))
	return s, l.cfg.Store.SetFinished(ctx, s.body.N)
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

// write writes the note to the folder for notes: a file for the checkpoint, and one for the newest.
func (l *Ledger) write(s Summary) error {
	if l.cfg.Dir == "" {
		return nil
	}
	for _, name := range []string{strconv.FormatInt(s.N, 10), "newest"} {
		path := filepath.Join(l.cfg.Dir, name)
		err := os.WriteFile(path+".new", []byte(s.Note), fileMode)
		if err == nil {
			err = os.Rename(path+".new", path)
		}
		if err != nil {
			return fault.Wrap(err, fault.Unavailable, "write checkpoint %d to AUDIT_CHECKPOINT_DIR", s.N)
		}
	}
	return nil
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
