package e2e

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// dump is a database: the documents of each collection.
type dump map[string][]bson.D

// The files of a recorded log: every collection that a backup has, one document a line as canonical extended JSON, and what its sagas wait
// for.
const (
	dumpFile      = "testdata/upgrade/log.json.gz"
	recordingFile = "testdata/upgrade/sagas.json"
)

// line is a line of a dump.
type line struct {
	Collection string          `json:"collection"`
	Document   json.RawMessage `json:"document"`
}

// readDatabase reads everything that the test's database has.
func (s *stack) readDatabase() dump {
	s.t.Helper()
	names, err := s.db.ListCollectionNames(s.ctx, bson.D{})
	require.NoError(s.t, err)
	all := dump{}
	for _, name := range names {
		cursor, err := s.db.Collection(name).Find(s.ctx, bson.D{})
		require.NoError(s.t, err)
		var documents []bson.D
		require.NoError(s.t, cursor.All(s.ctx, &documents))
		slices.SortFunc(documents, func(a, b bson.D) int { return strings.Compare(text(a, "_id"), text(b, "_id")) })
		all[name] = documents
	}
	return all
}

// value is a field of a document.
func value(d bson.D, name string) any {
	for _, field := range d {
		if field.Key == name {
			return field.Value
		}
	}
	return nil
}

// text is a field of a document, if it is text.
func text(d bson.D, name string) string {
	s, _ := value(d, name).(string)
	return s
}

// write writes a dump and its description.
func (s *stack) write(all dump, about recording) {
	s.t.Helper()
	s.writeDump(dumpFile, all)
	raw, err := json.MarshalIndent(about, "", " ")
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(recordingFile, append(raw, '\n'), 0o644))
}

// writeDump writes a dump to a file.
func (s *stack) writeDump(name string, all dump) {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(filepath.Dir(name), 0o755))
	file, err := os.Create(name)
	require.NoError(s.t, err)
	defer file.Close()
	packed, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	require.NoError(s.t, err)
	lines := json.NewEncoder(packed)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, d := range all[name] {
			raw, err := bson.MarshalExtJSON(d, true, false)
			require.NoError(s.t, err)
			require.NoError(s.t, lines.Encode(line{name, raw}))
		}
	}
	require.NoError(s.t, packed.Close())
}

// restore writes a recorded log into the test's database, and returns it with its description.
func (s *stack) restore() (all dump, about recording) {
	s.t.Helper()
	all = s.restoreDump(dumpFile)
	raw, err := os.ReadFile(recordingFile)
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(raw, &about))
	return all, about
}

// restoreDump writes a dump into the test's database, and returns it.
func (s *stack) restoreDump(name string) dump {
	s.t.Helper()
	file, err := os.Open(name)
	require.NoError(s.t, err)
	defer file.Close()
	packed, err := gzip.NewReader(bufio.NewReader(file))
	require.NoError(s.t, err)
	all := dump{}
	for lines := json.NewDecoder(packed); ; {
		var l line
		err := lines.Decode(&l)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(s.t, err)
		var d bson.D
		require.NoError(s.t, bson.UnmarshalExtJSON(l.Document, true, &d))
		all[l.Collection] = append(all[l.Collection], d)
	}
	for name, documents := range all {
		for chunk := range slices.Chunk(documents, 100) {
			_, err := s.db.Collection(name).InsertMany(s.ctx, chunk)
			require.NoError(s.t, err)
		}
	}
	return all
}

// unchanged checks that every event of a recorded log is in the test's database as it was recorded.
func (s *stack) unchanged(recorded dump) {
	s.t.Helper()
	now := map[string]bson.D{}
	for _, d := range s.readDatabase()["events"] {
		now[text(d, "_id")] = d
	}
	for _, d := range recorded["events"] {
		require.Equal(s.t, d, now[text(d, "_id")])
	}
}
