package shortage

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Registered names. They are part of histories: never rename one.
const (
	// Workflow is the workflow type; Signal makes a run check again.
	Workflow = "ShortageSaga"
	Signal   = "shortage"

	NameAsk = "shortage.Ask"
)

// WorkflowID is the workflow id of the saga that settles a SKU's shortage.
func WorkflowID(sku string) string { return event.WorkflowID("shortage-", sku) }

// Summary is the saga in one line, for the Temporal Web UI.
func Summary(sku string) string { return "fewer of " + sku + " are on hand than reserved" }

// Input starts the saga, or continues it: the stock and its holders are in the log.
type Input struct {
	SKU string `json:"sku"`
}

// Result is what the saga came to.
type Result struct {
	SKU string `json:"sku"`
	// Shortfall is what is still missing: orders that go through hold it, and need attention when they commit.
	Shortfall int64 `json:"shortfall"`
}

// How long the saga waits for the orders that it has asked. The pause doubles while nothing changes.
const (
	minShortagePause = 100 * time.Millisecond
	maxShortagePause = 10 * time.Minute
)

var callAskHolders = saga.Activity(NameAsk, (*Activities).Ask,
	saga.ActivityCall[AskInput, AskResult]{
		Queue: saga.QueueOrders, Summary: "ask the newest orders that hold the SKU",
	})

// Run is the saga of a SKU of which a count found fewer than are reserved. It asks the orders that hold it, the newest
// first, until nothing is missing or no order is left that can give way. Each order decides for itself, in its own stream.
func Run(ctx workflow.Context, in Input) (Result, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	r := &shortageRun{ctx: ctx, in: in}
	for {
		r.DrainSignals()
		counts := r.counts
		next, err := saga.UntilDone(ctx, callAskHolders, AskInput(in), r.show)
		if err != nil {
			return Result{}, err
		}
		if next.Progress(r.last) {
			r.tries = 0
		}
		r.last, r.tries = next, r.tries+1
		r.show("waiting for the orders that were asked")
		r.DrainSignals()
		switch {
		case next.Undecided == 0 && r.counts == counts:
			return Result{SKU: in.SKU, Shortfall: next.Shortfall}, nil
		case r.drain.Due(ctx):
			return Result{}, workflow.NewContinueAsNewError(ctx, Workflow, in)
		case r.counts != counts:
			continue
		}
		pause := min(minShortagePause<<min(r.tries, 20), maxShortagePause)
		if err := saga.Pause(ctx, r, pause, "wait for the orders that were asked"); err != nil {
			return Result{}, err
		}
	}
}

// shortageRun is one run of a shortage saga.
type shortageRun struct {
	ctx workflow.Context
	in  Input
	// counts counts signals; tries the looks since something changed; last is what the newest one found.
	counts, tries int
	last          AskResult
	drain         saga.Drain
}

// DrainSignals takes in the signals, each of which says that there is a new count.
func (r *shortageRun) DrainSignals() {
	for workflow.GetSignalChannel(r.ctx, Signal).ReceiveAsync(nil) {
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
