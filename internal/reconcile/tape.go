package reconcile

import (
	"iter"

	"github.com/ordersaga/ordersaga/event"
)

// tape is a walk that is read in parts. On a server that scans, each walk more costs as much as all the others.
type tape struct {
	next func() (event.Record, error, bool)
	stop func()
	// held is a record that a part has read and that belongs to the next one.
	held *taken
}

type taken struct {
	record event.Record
	err    error
}

func newTape(walk iter.Seq2[event.Record, error]) *tape {
	t := &tape{}
	t.next, t.stop = iter.Pull2(walk)
	return t
}

// upTo yields the records of the streams before a name that have not been read yet; before all names if it is empty.
func (t *tape) upTo(name string) iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		for {
			if t.held == nil {
				r, err, more := t.next()
				if !more {
					return
				}
				t.held = &taken{r, err}
			}
			at := *t.held
			if at.record.Stream >= name && name != "" {
				return
			}
			t.held = nil
			if !yield(at.record, at.err) {
				return
			}
		}
	}
}
