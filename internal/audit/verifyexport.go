package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options say what is verified.
type Options struct {
	Keys Keys
	// Since trusts a checkpoint: only streams with later leaves are verified. 0 verifies everything.
	Since int64
	// Kept are notes of the log from another source.
	Kept []string
	// State is the file of the verification, to continue it after an interruption. Optional.
	State string
	// Progress gets the number of verified events, now and then, from any goroutine. Optional.
	Progress func(events int64)
}

// export is the verification of an export.
type export struct {
	o      Options
	files  []string
	starts []start
	leaves map[string][]Leaf
	// names are the streams with leaves, in order.
	names []string
	// since has the streams that are verified; nil is all.
	since map[string]bool
	done  atomic.Int64
}

// start is the first stream of a file.
type start struct {
	stream string
	file   int
}

// VerifyExport verifies an export. The error is about files and keys; damage is in the report.
func VerifyExport(ctx context.Context, dir string, o Options) (*Report, error) {
	began := time.Now()
	history, notes, err := ReadHistory(dir, o)
	if err != nil {
		return nil, err
	}
	e := export{o: o, leaves: history.Leaves()}
	e.names = slices.Sorted(maps.Keys(e.leaves))
	if o.Since > 0 {
		if e.since, err = history.Since(o.Since); err != nil {
			return nil, err
		}
	}
	if e.files, err = eventFiles(dir); err != nil {
		return nil, err
	}
	if err := e.findStarts(); err != nil {
		return nil, err
	}
	resume, err := OpenResume(o.State, fmt.Sprintf("%s since %d of %q", dir, o.Since, notes))
	if err != nil {
		return nil, err
	}
	parts := make([]Part, len(e.files))
	work, _ := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	for i, file := range e.files {
		name, err := fileName(file)
		if err != nil {
			return nil, err
		}
		work.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			parts[i], err = resume.Do(name, func() (Part, error) { return e.file(i) })
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	report := history.NewReport()
	strays, err := e.strays(parts)
	for _, p := range slices.Concat(parts, []Part{strays}) {
		report.Add(p)
	}
	if len(e.files) == 0 {
		report.Add(e.gone("", "", true, nil))
	}
	report.Finish(began)
	return report, err
}

// ReadHistory reads and verifies checkpoints and leaves of an export. It returns the newest note, too.
func ReadHistory(dir string, o Options) (*History, string, error) {
	notes, err := readNotes(dir)
	if err != nil {
		return nil, "", err
	}
	leaves, complete, err := readLeaves(dir)
	if err != nil {
		return nil, "", err
	}
	var newest string
	if len(notes) > 0 {
		newest = notes[len(notes)-1]
	}
	history, err := VerifyHistory(o.Keys, notes, leaves, complete, o.Kept...)
	return history, newest, err
}

// fileName identifies the content of a file well enough to use an earlier result.
func fileName(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %d %d", filepath.Base(path), info.Size(), info.ModTime().UnixNano()), nil
}

// findStarts reads the first stream of each file.
func (e *export) findStarts() error {
	for i, file := range e.files {
		first := Stored{}
		err := eachLine(file, func(text []byte) bool {
			first = parseLine(bytes.Clone(text), first)
			return false
		})
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		e.starts = append(e.starts, start{first.Stream, i})
	}
	sort.SliceStable(e.starts, func(i, j int) bool { return e.starts[i].stream < e.starts[j].stream })
	return nil
}

// home returns the file that a stream belongs to: the last one that does not start after it.
func (e *export) home(stream string) int {
	i := sort.Search(len(e.starts), func(i int) bool { return e.starts[i].stream > stream })
	return e.starts[max(0, i-1)].file
}

func (e *export) skips(stream string) bool { return e.since != nil && !e.since[stream] }

// file verifies the streams of a file.
func (e *export) file(i int) (Part, error) {
	var p Part
	records, err := readRecords(e.files[i])
	if err != nil {
		return p, err
	}
	for stream, stored := range records {
		switch {
		case e.skips(stream):
		case e.home(stream) != i:
			p.Strays = append(p.Strays, stream)
		default:
			p.Stream(stream, stored, e.leaves[stream])
		}
		if done := e.done.Add(int64(len(stored))); e.o.Progress != nil {
			e.o.Progress(done)
		}
	}
	slices.Sort(p.Strays)
	at := slices.IndexFunc(e.starts, func(s start) bool { return s.file == i })
	var from, to string
	if at > 0 {
		from = e.starts[at].stream
	}
	if at+1 < len(e.starts) {
		to = e.starts[at+1].stream
	}
	gone := e.gone(from, to, at+1 == len(e.starts), records)
	p.add(gone.Counts)
	p.Findings = append(p.Findings, gone.Findings...)
	return p, nil
}

// gone verifies the streams between two names of which there are no records.
func (e *export) gone(from, to string, last bool, records map[string][]Stored) (p Part) {
	first, _ := slices.BinarySearch(e.names, from)
	for _, stream := range e.names[first:] {
		if !last && stream >= to {
			break
		}
		if _, there := records[stream]; !there && !e.skips(stream) {
			p.Stream(stream, nil, e.leaves[stream])
		}
	}
	return p
}

// strays verifies streams with records in several files or in a wrong one, and removes what their own files say about them.
func (e *export) strays(parts []Part) (Part, error) {
	var p Part
	files := make(map[string]map[int]bool)
	for i := range parts {
		for _, stream := range parts[i].Strays {
			if files[stream] == nil {
				files[stream] = map[int]bool{e.home(stream): true}
			}
			files[stream][i] = true
		}
	}
	if len(files) == 0 {
		return p, nil
	}
	for i := range parts {
		parts[i].Findings = slices.DeleteFunc(parts[i].Findings, func(f Finding) bool { return files[f.Stream] != nil })
	}
	joined := make(map[string][]Stored)
	for i, file := range e.files {
		records, err := readRecords(file)
		if err != nil {
			return p, err
		}
		for stream, in := range files {
			if in[i] {
				joined[stream] = append(joined[stream], records[stream]...)
			}
		}
	}
	for stream, stored := range joined {
		p.Stream(stream, stored, e.leaves[stream])
	}
	return p, nil
}
