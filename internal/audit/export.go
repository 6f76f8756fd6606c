package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// Names in the folder of an export.
const (
	notesFolder  = "checkpoints"
	leavesFile   = "leaves.ndjson"
	eventsFolder = "events"
)

// eventsPerFile is the number of records after which an export begins its next file, with the next stream.
const eventsPerFile = 20_000

const (
	folderMode = 0o755
	fileMode   = 0o644
)

// Writer writes an export: notes, leaves, and records ordered by stream and version. It is for one goroutine.
type Writer struct {
	dir    string
	leaves *os.File
	toLeaf *bufio.Writer
	events *os.File
	toFile *bufio.Writer
	files  int
	inFile int
	stream string
	err    error
}

// NewWriter creates an export in a folder that is empty or does not exist.
func NewWriter(dir string) (*Writer, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty", dir)
	}
	for _, folder := range []string{notesFolder, eventsFolder} {
		if err := os.MkdirAll(filepath.Join(dir, folder), folderMode); err != nil {
			return nil, err
		}
	}
	leaves, err := os.Create(filepath.Join(dir, leavesFile))
	if err != nil {
		return nil, err
	}
	return &Writer{dir: dir, leaves: leaves, toLeaf: bufio.NewWriter(leaves)}, nil
}

// Note writes the signed note of a checkpoint.
func (w *Writer) Note(n int64, signed string) {
	w.keep(os.WriteFile(filepath.Join(w.dir, notesFolder, strconv.FormatInt(n, 10)), []byte(signed), fileMode))
}

// Leaf writes the next leaf.
func (w *Writer) Leaf(l Leaf) { w.line(w.toLeaf, l.Bytes()) }

// Record writes the next record.
func (w *Writer) Record(r event.Record) {
	if w.err == nil && (w.events == nil || r.Stream != w.stream && w.inFile >= eventsPerFile) {
		w.closeEvents()
		w.files++
		file, err := os.Create(filepath.Join(w.dir, eventsFolder, fmt.Sprintf("%05d.ndjson", w.files)))
		w.keep(err)
		w.events, w.toFile, w.inFile = file, bufio.NewWriter(file), 0
	}
	text, err := eventlog.Canonical(r)
	w.keep(err)
	w.line(w.toFile, text)
	w.stream = r.Stream
	w.inFile++
}

func (w *Writer) line(to *bufio.Writer, text []byte) {
	if w.err == nil {
		_, err := to.Write(append(text, '\n'))
		w.keep(err)
	}
}

func (w *Writer) keep(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *Writer) closeEvents() {
	if w.events != nil {
		w.keep(w.toFile.Flush())
		w.keep(w.events.Close())
		w.events = nil
	}
}

// Close completes the export and returns the first error.
func (w *Writer) Close() error {
	w.closeEvents()
	w.keep(w.toLeaf.Flush())
	w.keep(w.leaves.Close())
	return w.err
}

// readNotes returns the notes of an export; missing ones are empty.
func readNotes(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, notesFolder))
	if err != nil {
		return nil, err
	}
	var newest int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && strconv.Itoa(n) == e.Name() {
			newest = max(newest, n)
		}
	}
	notes := make([]string, newest)
	for i := range notes {
		text, err := os.ReadFile(filepath.Join(dir, notesFolder, strconv.Itoa(i+1)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		notes[i] = string(text)
	}
	return notes, nil
}

// readLeaves returns the leaves of an export up to the first one that is not readable; complete reports whether there is none.
func readLeaves(dir string) (leaves []Leaf, complete bool, err error) {
	complete = true
	err = eachLine(filepath.Join(dir, leavesFile), func(text []byte) bool {
		l, err := ParseLeaf(text)
		if complete = err == nil; complete {
			leaves = append(leaves, l)
		}
		return complete
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return leaves, complete, err
}

// eventFiles returns the paths of the files with records, in order.
func eventFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, eventsFolder))
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".ndjson") {
			files = append(files, filepath.Join(dir, eventsFolder, e.Name()))
		}
	}
	slices.Sort(files)
	return files, nil
}

// eachLine calls use with the lines of a file until it returns false. A line is valid during the call.
func eachLine(path string, use func(text []byte) bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewReaderSize(file, readBuffer)
	var long []byte
	for {
		text, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, text...)
			continue
		}
		if len(long) > 0 {
			text = append(long, text...)
			long = nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err != nil && len(text) == 0 || !use(bytes.TrimSuffix(text, []byte("\n"))) {
			return nil
		}
	}
}

const readBuffer = 1 << 16

// readRecords returns the records of a file by stream, in stored order.
func readRecords(path string) (map[string][]Stored, error) {
	by := make(map[string][]Stored)
	var before Stored
	err := eachLine(path, func(text []byte) bool {
		before = parseLine(bytes.Clone(text), before)
		by[before.Stream] = append(by[before.Stream], before)
		return true
	})
	return by, err
}
