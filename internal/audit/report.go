package audit

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Report is the result of a verification.
type Report struct {
	// Checkpoint is the newest checkpoint that the leaves agree with, 0 without one.
	Checkpoint int64  `json:"checkpoint"`
	Origin     string `json:"origin,omitempty"`
	Root       string `json:"rootHash,omitempty"`
	Leaves     int64  `json:"leaves"`
	Counts
	Findings []Finding `json:"findings"`
	// TookMillis is the time in milliseconds.
	TookMillis int64 `json:"tookMillis"`
}

// Counts say how much was verified.
type Counts struct {
	Streams int64 `json:"streams"`
	Events  int64 `json:"events"`
	// Uncovered are the events after the newest checkpoint: only their chains are verified.
	Uncovered int64 `json:"uncovered"`
}

func (c *Counts) add(other Counts) {
	c.Streams += other.Streams
	c.Events += other.Events
	c.Uncovered += other.Uncovered
}

// NewReport returns the report of a history, whose streams are verified next.
func (h *History) NewReport() *Report {
	r := &Report{Checkpoint: h.Trusted.N, Origin: h.Trusted.Origin, Leaves: h.Trusted.Tree.N, Findings: append([]Finding{}, h.Findings...)}
	if r.Checkpoint > 0 {
		r.Root = h.Trusted.Hash.String()
	}
	return r
}

// Part is the result of a part of a verification.
type Part struct {
	Counts
	Findings []Finding `json:"findings,omitempty"`
	// Strays are streams with records in a part that is not theirs.
	Strays []string `json:"strays,omitempty"`
}

// Stream verifies a stream and adds it to the part.
func (p *Part) Stream(stream string, stored []Stored, leaves []Leaf) {
	if len(stored) == 0 && len(leaves) == 0 {
		return
	}
	p.Streams++
	p.Events += int64(len(stored))
	var last int64
	for _, l := range leaves {
		last = max(last, l.Version)
	}
	p.Uncovered += max(0, int64(len(stored))-last)
	if f, bad := VerifyStream(stream, stored, leaves); bad {
		p.Findings = append(p.Findings, f)
	}
}

// Add adds a part to the report.
func (r *Report) Add(p Part) {
	r.Counts.add(p.Counts)
	r.Findings = append(r.Findings, p.Findings...)
}

// Finish completes the report.
func (r *Report) Finish(began time.Time) {
	sortFindings(r.Findings)
	r.TookMillis = time.Since(began).Milliseconds()
}

// Resume remembers the parts of a verification that are done in a file. It is safe for concurrent use.
type Resume struct {
	path string
	mu   sync.Mutex
	// state is what the file has.
	state struct {
		// Of identifies what is verified: the parts of something else are not used.
		Of    string          `json:"of"`
		Parts map[string]Part `json:"parts"`
	}
}

// OpenResume reads the file of a verification. Without a path nothing is remembered.
func OpenResume(path, of string) (*Resume, error) {
	r := &Resume{path: path}
	text, err := os.ReadFile(path)
	if path != "" && err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &r.state); err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "%s is not the state of a verification", path)
		}
	}
	if r.state.Of != of || r.state.Parts == nil {
		r.state.Of, r.state.Parts = of, make(map[string]Part)
	}
	return r, nil
}

// Do returns the result of a part, and runs it unless it is done.
func (r *Resume) Do(name string, run func() (Part, error)) (Part, error) {
	r.mu.Lock()
	p, done := r.state.Parts[name]
	r.mu.Unlock()
	if done {
		return p, nil
	}
	p, err := run()
	if err != nil {
		return p, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Parts[name] = p
	return p, r.save()
}

func (r *Resume) save() error {
	if r.path == "" {
		return nil
	}
	text, err := json.Marshal(r.state)
	if err == nil {
		err = os.WriteFile(r.path+".new", text, fileMode)
	}
	if err == nil {
		err = os.Rename(r.path+".new", r.path)
	}
	return err
}
