package readmodel

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
)

// Difference is an entry that a rebuild would change.
type Difference struct {
	// Stream is the stream of the entry.
	Stream string
	// Missing reports that the list has no readable entry for the stream; Orphan, that the log has no stream for the entry.
	Missing, Orphan bool
	// Fields are the names of the values that differ, sorted.
	Fields []string
}

// String says what differs.
func (d Difference) String() string {
	switch {
	case d.Missing:
		return d.Stream + ": the list has no entry"
	case d.Orphan:
		return d.Stream + ": the log has no stream"
	}
	return d.Stream + ": " + strings.Join(d.Fields, ", ")
}

// Compare does what Rebuild does without a change of the list, and reports each difference, one at a time. In its result, Written is the number of
// entries that a rebuild would change, and Removed the number of those that it would remove. Errors: those of Rebuild.
func (p Projection) Compare(ctx context.Context, store Store, source Source, progress func(done int), report func(Difference)) (Rebuilt, error) {
	c := &comparison{Store: store, stream: p.Stream, report: report}
	result, err := p.Rebuild(ctx, c, source, progress)
	result.Written = c.changed
	return result, err
}

// comparison is a Store that reports what would be written.
type comparison struct {
	Store
	stream func(id string) string
	report func(Difference)

	mu      sync.Mutex
	changed int
}

func (c *comparison) Replace(ctx context.Context, o Order, most int64) (bool, error) {
	stored, found, err := c.Get(ctx, o.ID)
	if err != nil || found && stored.Version > most {
		return false, err
	}
	d := Difference{Stream: c.stream(o.ID), Missing: !found || stored.Version == 0}
	if !d.Missing {
		if d.Fields, err = differing(stored, o); err != nil {
			return false, err
		}
	}
	if d.Missing || len(d.Fields) > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed++
		c.report(d)
	}
	return true, nil
}

func (c *comparison) Remove(_ context.Context, id string) (bool, error) {
	c.report(Difference{Stream: c.stream(id), Orphan: true})
	return true, nil
}

// differing returns the names of the values that differ.
func differing(a, b Order) ([]string, error) {
	var values [2]map[string]json.RawMessage
	for i, o := range []Order{a, b} {
		text, err := json.Marshal(o)
		if err == nil {
			err = json.Unmarshal(text, &values[i])
		}
		if err != nil {
			return nil, err
		}
	}
	var names []string
	for name, value := range values[1] {
		if !bytes.Equal(value, values[0][name]) {
			names = append(names, name)
		}
	}
	for name := range values[0] {
		if _, both := values[1][name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
