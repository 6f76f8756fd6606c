package replay

import (
	"cmp"
	"slices"
)

// add counts a checked history.
func (r *Report) add(f *Finding) {
	r.Checked++
	switch {
	case f == nil:
		r.OK++
		return
	case f.Kind == Unreadable:
		r.Unreadable++
	default:
		r.Broken++
	}
	if len(r.Findings) < MaxFindings {
		r.Findings = append(r.Findings, *f)
	}
}

// Good reports that every history replays.
func (r *Report) Good() bool { return r.Broken == 0 && r.Unreadable == 0 }

// Unlisted is the number of findings that are only counted.
func (r *Report) Unlisted() int { return r.Broken + r.Unreadable - len(r.Findings) }

// sort sorts the findings. The list is never nil: JSON has [] for an empty list.
func (r *Report) sort() {
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	slices.SortFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Flow, b.Flow), cmp.Compare(a.ID, b.ID), cmp.Compare(a.File, b.File),
			cmp.Compare(a.RunID, b.RunID),
		)
	})
}
