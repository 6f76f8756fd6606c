package reconcile

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/event"
)

// deadUnfinished is how long a replay or a retry of a dead letter may take before it was broken off.
const deadUnfinished = 5 * time.Minute

// deadVisitor folds what was decided about a dead letter.
type deadVisitor struct {
	*chain
	id    string
	state deadletter.State
	// lost tells that the stream does not fold.
	lost bool
}

func (v *deadVisitor) record(r event.Record, damaged error) {
	if !v.follows(r, damaged) || v.broken || v.lost {
		return
	}
	next, err := v.state.Fold([]event.Record{r})
	if v.lost = err != nil; v.lost {
		v.found(StreamFold, r.Version, "%v", err)
		return
	}
	v.state = next
}

// end looks for what was begun and not finished.
func (v *deadVisitor) end(context.Context) error {
	s := v.state
	begun := s.Status == deadletter.StatusReplaying || s.Status == deadletter.StatusRetrying
	if v.broken || v.lost || !begun || v.look.now.Sub(s.UpdatedAt) <= deadUnfinished {
		return nil
	}
	v.look.found(DeadUnfinished, v.id, v.stream, s.Head.Version, "it is %s since %s", s.Status, s.UpdatedAt.UTC().Format(time.RFC3339))
	return nil
}
