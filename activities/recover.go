package activities

import (
	"context"
	"encoding/json"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// MaxPredecessors bounds how many runs one run takes over from.
const MaxPredecessors = 16

// RecoverCursor says which runs are still to be read, and from where.
type RecoverCursor struct {
	// Run is the newest run that was broken off; the runs that it was to take over from are found first.
	Run string `json:"run,omitempty"`
	// Runs are the runs that are still to be read, oldest first, once they are found. After is the id of the newest history
	// event of the first of them that was read.
	Runs  []string `json:"runs,omitempty"`
	After int64    `json:"after,omitempty"`
}

// RecoverInput asks for signals of the runs before this one that did not come to their end.
type RecoverInput struct {
	OrderID string        `json:"orderId"`
	Cursor  RecoverCursor `json:"cursor"`
	// Ended reports that the order has ended: then every signal is late and gets its verdict. Otherwise signals are merged.
	Ended bool `json:"ended,omitempty"`
}

// Signal is a signal that was acknowledged to its sender, and perhaps not written down.
type Signal struct {
	Name    string          `json:"name"`
	Payload json.RawMessage `json:"payload"`
	// Identity is that of the event which the signal passes on, where the payload has been cut.
	Identity string `json:"identity,omitempty"`
}

// RecoverResult are signals, as many as fit one answer.
type RecoverResult struct {
	Signals []Signal `json:"signals,omitempty"`
	// Next is where to go on; nil when everything was read.
	Next *RecoverCursor `json:"next,omitempty"`
}

// Predecessors reads what earlier runs of an order were told; see sagaclient.Client.
type Predecessors interface {
	Recover(ctx context.Context, in RecoverInput) (RecoverResult, error)
}

// Recover reads what the runs before this one were told. It changes nothing.
func (o *Outcomes) Recover(ctx context.Context, in RecoverInput) (RecoverResult, error) {
	if o.Predecessors == nil {
		return RecoverResult{}, toTemporal(fault.New(fault.Unavailable, "this worker cannot read the runs of order %s", in.OrderID))
	}
	result, err := o.Predecessors.Recover(ctx, in)
	return result, toTemporal(err)
}
