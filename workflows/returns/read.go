package returns

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Outcome is what a return came to, for people and programs.
type Outcome string

// The outcomes.
const (
	Announced      Outcome = "announced"
	PartlyReceived Outcome = "partly_received"
	Received       Outcome = "received"
	Completed      Outcome = "completed"
	Expired        Outcome = "expired"
	Refused        Outcome = "refused"
	NeedsAttention Outcome = "needs_attention"
)

// Outcome is what the return came to.
func (s *State) Outcome() Outcome {
	switch got := len(s.received()); {
	case s.Status == saga.NeedsAttention:
		return NeedsAttention
	case s.Status == saga.Completed:
		return Completed
	case got == 0 && s.Expired:
		return Expired
	case s.Ended:
		return Refused
	case got == 0:
		return Announced
	case len(s.missing()) > 0:
		return PartlyReceived
	}
	return Received
}

// Reader reads returns.
type Reader struct{ Log event.StreamReader }

// Load folds a return; it is not opened if the log has none. Errors: those of the log and of Fold.
func (r Reader) Load(ctx context.Context, id string) (State, error) {
	return event.FoldPages(ctx, r.Log, key(id), 0, State{}, Flow.Fold)
}

// Check says what a request would come to for an order as it is. The error is a refund.Refusal, or one of the log.
func (r Reader) Check(ctx context.Context, request Request, of *order.State) error {
	ledger, err := refunds.Load(ctx, r.Log, request.OrderID)
	if err == nil {
		_, err = announcement{request, of}.units(ledger)
	}
	return err
}
