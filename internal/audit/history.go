package audit

import (
	"cmp"
	"fmt"
	"slices"
)

// History are the checkpoints and leaves of a log, verified.
type History struct {
	// Checkpoints are those with a valid signature, by number.
	Checkpoints map[int64]Opened
	// Trusted is the newest checkpoint that the leaves agree with; its number is 0 if there is none.
	Trusted Opened
	// Findings are the damages of checkpoints and leaves.
	Findings []Finding

	leaves []Leaf
	tree   *Tree
}

// VerifyHistory verifies the signed notes of checkpoints 1 to n, the leaves, and what an auditor has kept. A note that is missing is empty. Complete
// is false if a leaf after these is not readable. Kept are signed notes of the same log from another source, such as an earlier visit. Every witness must
// have cosigned them; without them, the newest note.
func VerifyHistory(keys Keys, notes []string, leaves []Leaf, complete bool, kept ...string) (*History, error) {
	tree, err := Grow(0, nil, leaves)
	if err != nil {
		return nil, err
	}
	h := &History{Checkpoints: make(map[int64]Opened, len(notes)), leaves: leaves, tree: tree}
	var last Opened
	agree := true
	for i, signed := range notes {
		n := int64(i) + 1
		o, err := keys.Open(signed)
		switch {
		case signed == "":
			h.found(Missing, n, "the signed note is missing")
			continue
		case err != nil:
			h.found(Changed, n, "%v", err)
			continue
		case o.N != n:
			h.found(Reordered, n, "it has the note of checkpoint %d", o.N)
			continue
		case last.N > 0 && o.Origin != last.Origin, o.Tree.N <= last.Tree.N:
			h.found(Forked, n, "it does not continue checkpoint %d", last.N)
			continue
		}
		h.Checkpoints[n], last = o, o
		if !agree {
			continue
		}
		if agree, err = h.agrees(o, complete); err != nil {
			return nil, err
		}
		if agree {
			h.Trusted = o
		}
	}
	if last.N == int64(len(notes)) && (tree.N > last.Tree.N || tree.N == last.Tree.N && !complete) {
		h.found(Inserted, last.N, "there are leaves after those of the last checkpoint")
	}
	if last.N > 0 && len(kept) == 0 {
		if err := keys.cosigned(last); err != nil {
			h.found(Changed, last.N, "%v", err)
		}
	}
	for _, signed := range kept {
		if err := h.keeps(keys, signed); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *History) found(k Kind, n int64, format string, args ...any) {
	h.Findings = append(h.Findings, Finding{Kind: k, Checkpoint: n, Detail: fmt.Sprintf(format, args...)})
}

// agrees compares the leaves with a checkpoint.
func (h *History) agrees(o Opened, complete bool) (bool, error) {
	switch {
	case o.Tree.N > h.tree.N && complete:
		h.found(Missing, o.N, "it has %d leaves; there are %d", o.Tree.N, h.tree.N)
		return false, nil
	case o.Tree.N > h.tree.N:
		h.found(Changed, o.N, "leaf %d is not readable", h.tree.N)
		return false, nil
	}
	root, err := h.tree.Root(o.Tree.N)
	if err == nil && root != o.Hash {
		h.found(Changed, o.N, "the leaves have another root than the signed one")
	}
	return root == o.Hash, err
}

// keeps checks that the history contains a checkpoint that an auditor has kept. The error is about its signature.
func (h *History) keeps(keys Keys, signed string) error {
	o, err := keys.openCosigned(signed)
	if err != nil {
		return err
	}
	if o.Tree.N > h.Trusted.Tree.N {
		h.found(Truncated, o.N, "a note that was kept has %d leaves; the log has %d", o.Tree.N, h.Trusted.Tree.N)
		return nil
	}
	root, err := h.tree.Root(o.Tree.N)
	if err == nil && (root != o.Hash || o.Origin != h.Trusted.Origin) {
		h.found(Forked, o.N, "a note that was kept has another root than the log")
	}
	return err
}

// Leaves are the leaves that the newest trusted checkpoint covers, by stream, oldest first.
func (h *History) Leaves() map[string][]Leaf {
	by := make(map[string][]Leaf)
	for _, l := range h.leaves[:h.Trusted.Tree.N] {
		by[l.Stream] = append(by[l.Stream], l)
	}
	return by
}

// Since are the streams with a leaf after checkpoint n. The error names a checkpoint that is not trusted.
func (h *History) Since(n int64) (map[string]bool, error) {
	o, ok := h.Checkpoints[n]
	if !ok || o.N > h.Trusted.N {
		return nil, fmt.Errorf("checkpoint %d cannot be verified", n)
	}
	streams := make(map[string]bool)
	for _, l := range h.leaves[o.Tree.N:h.Trusted.Tree.N] {
		streams[l.Stream] = true
	}
	return streams, nil
}

// sortFindings sorts findings by checkpoint, stream and version.
func sortFindings(findings []Finding) {
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Checkpoint, b.Checkpoint), cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Version, b.Version))
	})
}
