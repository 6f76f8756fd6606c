package reconcile

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/internal/deadletter"
)

// deadUnfinished is how long a replay or a retry of a dead letter may take before it was broken off.
const deadUnfinished = 5 * time.Minute

// deadVisitor looks for what was decided about a dead letter, begun and not finished.
func (l *look) deadVisitor(id, stream string) visitor {
	return &sagaVisitor[deadletter.State]{chain: l.chain(stream), judge: func(_ context.Context, s deadletter.State) error {
		begun := s.Status == deadletter.StatusReplaying || s.Status == deadletter.StatusRetrying
		if begun && l.now.Sub(s.UpdatedAt) > deadUnfinished {
			l.found(DeadUnfinished, id, stream, s.Head.Version, "it is %s since %s", s.Status, s.UpdatedAt.UTC().Format(time.RFC3339))
		}
		return nil
	}}
}
