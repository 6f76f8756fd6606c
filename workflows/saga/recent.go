package saga

import "slices"

// maxSeen is how many ids of signals a run remembers. A duplicate that is older changes nothing either: facts merge, and
// effects have slots.
const maxSeen = 256

// recentIDs are the newest ids of signals, oldest first.
type recentIDs struct {
	order []string
	known map[string]bool
}

// newRecentIDs returns the newest maxSeen of ids.
func newRecentIDs(ids []string) *recentIDs {
	r := &recentIDs{known: make(map[string]bool)}
	for _, id := range ids {
		r.add(id)
	}
	return r
}

// add remembers an id, and reports whether it is new.
func (r *recentIDs) add(id string) bool {
	if r.known[id] {
		return false
	}
	r.known[id] = true
	r.order = append(r.order, id)
	if len(r.order) > maxSeen {
		delete(r.known, r.order[0])
		r.order = slices.Delete(r.order, 0, 1)
	}
	return true
}

// list are the ids that are remembered, oldest first.
func (r *recentIDs) list() []string { return slices.Clone(r.order) }
