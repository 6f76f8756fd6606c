package checkpoint

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// streamsPerPart is the number of streams of a part of a verification.
	streamsPerPart = 5000
	// partsAtOnce bounds how many parts are read concurrently.
	partsAtOnce = 4
	// progressEvery is the number of events between two progress reports.
	progressEvery = 10_000
)

// history reads and verifies checkpoints and leaves. It also returns the notes, the newest one last.
func (l *Ledger) history(ctx context.Context, o audit.Options) (*audit.History, []string, error) {
	notes, count, err := l.notes(ctx)
	if err != nil {
		return nil, nil, err
	}
	leaves, err := l.allLeaves(ctx, count)
	if err != nil {
		return nil, nil, err
	}
	h, err := audit.VerifyHistory(o.Keys, notes, leaves, true, o.Kept...)
	return h, notes, err
}

// notes returns the signed notes; missing ones are empty. A checkpoint that is not signed yet is left out.
func (l *Ledger) notes(ctx context.Context) (notes []string, count int64, err error) {
	for r, err := range l.cfg.Events.Stored(ctx, eventlog.Selection{Names: []string{audit.Stream}}) {
		if err != nil {
			return nil, 0, err
		}
		n := (r.Version + 1) / 2
		if r.Version != signedAt(n) {
			continue
		}
		for int64(len(notes)) < n {
			notes = append(notes, "")
		}
		if d, err := event.Decode[signed](r.Event); err == nil {
			notes[n-1] = d.Note
		}
	}
	return notes, int64(len(notes)), nil
}

// live is the verification of a live log.
type live struct {
	*Ledger
	o      audit.Options
	leaves map[string][]audit.Leaf
	// names are the streams with leaves that are verified, in order.
	names []string
	done  atomic.Int64
}

// Verify verifies the log against its checkpoints. Records after the newest checkpoint are verified as chains. The log may grow meanwhile. Errors:
// Invalid for keys and checkpoints of o, Unavailable.
func (l *Ledger) Verify(ctx context.Context, o audit.Options) (*audit.Report, error) {
	began := time.Now()
	history, notes, err := l.history(ctx, o)
	if err != nil {
		return nil, err
	}
	v := &live{Ledger: l, o: o, leaves: history.Leaves()}
	v.names = slices.Sorted(maps.Keys(v.leaves))
	var selections []eventlog.Selection
	if o.Since > 0 {
		since, err := history.Since(o.Since)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "verify since %d", o.Since)
		}
		v.names = slices.DeleteFunc(v.names, func(name string) bool { return !since[name] })
		for names := range slices.Chunk(v.names, streamsPerPart) {
			selections = append(selections, eventlog.Selection{Names: names})
		}
	} else {
		selections = v.ranges()
	}
	newest := ""
	if len(notes) > 0 {
		newest = notes[len(notes)-1]
	}
	resume, err := audit.OpenResume(o.State, fmt.Sprintf("live since %d of %q", o.Since, newest))
	if err != nil {
		return nil, err
	}
	parts := make([]audit.Part, len(selections))
	work, within := errgroup.WithContext(ctx)
	work.SetLimit(partsAtOnce)
	for i, s := range selections {
		work.Go(func() (err error) {
			parts[i], err = resume.Do(fmt.Sprint(i), func() (audit.Part, error) { return v.part(within, s) })
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	report := history.NewReport()
	for _, p := range parts {
		report.Add(p)
	}
	report.Finish(began)
	return report, nil
}

// ranges divides all names of streams into parts.
func (v *live) ranges() []eventlog.Selection {
	var all []eventlog.Selection
	from := ""
	if !v.cfg.Events.Scans() {
		for i := streamsPerPart; i < len(v.names); i += streamsPerPart {
			all = append(all, eventlog.Selection{From: from, To: v.names[i]})
			from = v.names[i]
		}
	}
	return append(all, eventlog.Selection{From: from})
}

// part verifies the streams of a selection, several at once.
func (v *live) part(ctx context.Context, s eventlog.Selection) (part audit.Part, err error) {
	var mu sync.Mutex
	work, within := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	verify := func(stream string, stored []audit.Stored) {
		work.Go(func() error {
			one, err := v.stream(within, stream, stored)
			mu.Lock()
			defer mu.Unlock()
			part.Streams, part.Events, part.Uncovered = part.Streams+one.Streams, part.Events+one.Events, part.Uncovered+one.Uncovered
			part.Findings = append(part.Findings, one.Findings...)
			return err
		})
		if done := v.done.Add(int64(len(stored))); v.o.Progress != nil && done/progressEvery != (done-int64(len(stored)))/progressEvery {
			v.o.Progress(done)
		}
	}
	seen := make(map[string]bool)
	err = each(ctx, v.cfg.Events, s, func(stream string, stored []audit.Stored) error {
		seen[stream] = true
		verify(stream, stored)
		return nil
	})
	if err == nil {
		for _, name := range v.names {
			if s.Selects(name) && !seen[name] {
				verify(name, nil)
			}
		}
	}
	if failed := work.Wait(); failed != nil && err == nil {
		err = failed
	}
	return part, err
}

// stream verifies a stream. Records that are appended during a walk may be missing in it: damage is looked at twice.
func (v *live) stream(ctx context.Context, stream string, stored []audit.Stored) (audit.Part, error) {
	var first audit.Part
	first.Stream(stream, stored, v.leaves[stream])
	if len(first.Findings) == 0 {
		return first, nil
	}
	var again audit.Part
	err := each(ctx, v.cfg.Events, eventlog.Selection{Names: []string{stream}}, func(name string, stored []audit.Stored) error {
		again.Stream(name, stored, v.leaves[name])
		return nil
	})
	if again.Streams == 0 {
		again.Stream(stream, nil, v.leaves[stream])
	}
	return again, err
}

// each calls use with the records of each selected stream.
func each(ctx context.Context, events Events, s eventlog.Selection, use func(stream string, stored []audit.Stored) error) error {
	var stored []audit.Stored
	for r, err := range events.Stored(ctx, s) {
		if err != nil {
			return err
		}
		if len(stored) > 0 && stored[0].Stream != r.Stream {
			if err := use(stored[0].Stream, stored); err != nil {
				return err
			}
			stored = nil
		}
		stored = append(stored, r)
	}
	if len(stored) > 0 {
		return use(stored[0].Stream, stored)
	}
	return nil
}

// Export writes everything that the newest checkpoint covers to a folder, which is empty or does not exist. Damage is exported as it is stored. Errors:
// Invalid, Unavailable, and those of files.
func (l *Ledger) Export(ctx context.Context, dir string, progress func(events int64)) (n, events int64, err error) {
	notes, count, err := l.notes(ctx)
	if err != nil {
		return 0, 0, err
	}
	leaves, err := l.allLeaves(ctx, count)
	if err != nil {
		return 0, 0, err
	}
	w, err := audit.NewWriter(dir)
	if err != nil {
		return 0, 0, fault.Wrap(err, fault.Invalid, "export")
	}
	for i, signed := range notes {
		if signed != "" {
			w.Note(int64(i)+1, signed)
		}
	}
	last := make(map[string]int64)
	for _, leaf := range leaves {
		w.Leaf(leaf)
		last[leaf.Stream] = max(last[leaf.Stream], leaf.Version)
	}
	for r, failed := range l.cfg.Events.Stored(ctx, eventlog.Selection{}) {
		if err = failed; err != nil {
			break
		}
		if r.Version > last[r.Stream] {
			continue
		}
		if r.Data == nil {
			r.Data = []byte("{}") // it could not be read: its hash is wrong
		}
		w.Record(r.Record)
		if events++; progress != nil && events%progressEvery == 0 {
			progress(events)
		}
	}
	if failed := w.Close(); failed != nil && err == nil {
		err = failed
	}
	return count, events, err
}

// Prove returns the proof of the records of a stream, up to its newest leaf. Errors: NotFound if no checkpoint has the stream, NotCheckpointed before
// the first one, Unavailable.
func (l *Ledger) Prove(ctx context.Context, stream string) (audit.Proof, error) {
	newest, err := l.last(ctx)
	if err != nil {
		return audit.Proof{}, err
	}
	found, err := l.cfg.Store.Covered(ctx, []string{stream})
	if err != nil {
		return audit.Proof{}, err
	}
	covered, ok := found[stream]
	if !ok || covered.Index >= newest.Size {
		return audit.Proof{}, fault.New(fault.NotCheckpointed, "no checkpoint has stream %s yet", stream)
	}
	records, err := l.cfg.Log.Read(ctx, stream, 0, int(covered.Version))
	if err != nil {
		return audit.Proof{}, err
	}
	if int64(len(records)) < covered.Version {
		return audit.Proof{}, fault.Missing("version %d of stream %s was not found", len(records)+1, stream)
	}
	tree, err := l.tree(ctx, newest.body())
	if err != nil {
		return audit.Proof{}, err
	}
	path, err := tlog.ProveRecord(newest.Size, covered.Index, tree)
	if err != nil {
		return audit.Proof{}, fault.Wrap(err, fault.Corrupt, "prove stream %s", stream)
	}
	head := records[len(records)-1]
	return audit.NewProof(audit.Leaf{Stream: stream, Version: head.Version, Hash: head.Hash}, covered.Index, path, newest.Note, records)
}

// ProveConsistency returns the proof that the newest signed checkpoint continues checkpoint n. Errors: NotFound, Unavailable.
func (l *Ledger) ProveConsistency(ctx context.Context, n int64) (audit.Consistency, error) {
	older, err := l.Get(ctx, n)
	if err != nil {
		return audit.Consistency{}, err
	}
	newest, err := l.last(ctx)
	if err != nil {
		return audit.Consistency{}, err
	}
	tree, err := l.tree(ctx, newest.body())
	if err != nil {
		return audit.Consistency{}, err
	}
	proof, err := tlog.ProveTree(newest.Size, older.Size, tree)
	return audit.Consistency{Format: audit.ConsistencyFormat, Older: older.Note, Checkpoint: newest.Note, Proof: proof},
		fault.Wrap(err, fault.Corrupt, "prove checkpoint %d", n)
}
