package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// ShortageWorkflowID is the workflow id of the saga that settles a SKU's shortage.
func ShortageWorkflowID(sku string) string { return "shortage-" + sku }

// ShortageSummary is the saga in one line, for the Temporal Web UI.
func ShortageSummary(sku string) string { return "fewer of " + sku + " than orders have reserved" }

// ShortageInput starts the saga, or goes on with it: what there is and who holds it is in the log.
type ShortageInput struct {
	SKU string `json:"sku"`
}

// ShortageResult is what the saga came to.
type ShortageResult struct {
	SKU string `json:"sku"`
	// Shortfall is what is still missing: orders that go through hold it, and need attention when they commit.
	Shortfall int64 `json:"shortfall"`
}

// StockLost asks an order to give way: stock that it holds is not there.
type StockLost struct {
	SKU string `json:"sku"`
}

// How long the saga waits for the orders that it has asked. The pause doubles while nothing changes.
const (
	minShortagePause = 100 * time.Millisecond
	maxShortagePause = 10 * time.Minute
)

var callAskHolders = saga.Activity(activities.NameAskHolders, (*activities.Shortages).Ask,
	saga.Call[activities.ShortageInput, activities.ShortageResult]{
		Queue: QueueOrders, Summary: "ask the newest orders that hold the SKU",
	})

// Shortage is the saga of a SKU of which a count found fewer than are reserved. It asks the orders that hold it, the newest
// first, until nothing is missing or no order is left that can give way. Each order decides for itself, in its own stream.
func Shortage(ctx workflow.Context, in ShortageInput) (ShortageResult, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	r := &shortageRun{ctx: ctx, in: in}
	for {
		r.TakeIn()
		counts := r.counts
		next, err := saga.UntilDone(ctx, callAskHolders, activities.ShortageInput{SKU: in.SKU}, r.show)
		if err != nil {
			return ShortageResult{}, err
		}
		if next.Progress(r.last) {
			r.tries = 0
		}
		r.last, r.tries = next, r.tries+1
		r.show("waiting for the orders that were asked")
		r.TakeIn()
		switch {
		case next.Undecided == 0 && r.counts == counts:
			return ShortageResult{SKU: in.SKU, Shortfall: next.Shortfall}, nil
		case r.drain.Due(ctx):
			return ShortageResult{}, workflow.NewContinueAsNewError(ctx, NameShortage, in)
		case r.counts != counts:
			continue
		}
		pause := min(minShortagePause<<min(r.tries, 20), maxShortagePause)
		if err := saga.Pause(ctx, r, pause, "wait for the orders that were asked"); err != nil {
			return ShortageResult{}, err
		}
	}
}

// shortageRun is one run of a shortage saga.
type shortageRun struct {
	ctx workflow.Context
	in  ShortageInput
	// counts counts signals; tries the looks since something changed; last is what the newest one found.
	counts, tries int
	last          activities.ShortageResult
	drain         saga.Drain
}

// TakeIn takes in the signals, each of which says that there is a new count.
func (r *shortageRun) TakeIn() {
	for workflow.GetSignalChannel(r.ctx, SignalShortage).ReceiveAsync(nil) {
		r.counts++
	}
}

// Facts counts the signals.
func (r *shortageRun) Facts() int { return r.counts }

// Drain is never closed by callers: the saga takes no Updates.
func (r *shortageRun) Drain() *saga.Drain { return &r.drain }

// show shows how far the saga is.
func (r *shortageRun) show(note string) {
	workflow.SetCurrentDetails(r.ctx, fmt.Sprintf("%d of %s are missing, %d orders have not decided: **%s**\n",
		r.last.Shortfall, r.in.SKU, r.last.Undecided, note))
}
