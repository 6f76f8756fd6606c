package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/workflows/order"
)

// marks are how a step's state is drawn in the Temporal Web UI: characters that every font has.
var marks = map[order.StepState]string{
	order.StepDone: "✓", order.StepNow: "▶", order.StepToDo: "○",
	order.StepRefused: "✗", order.StepUndone: "↩", order.StepSkipped: "–",
	order.StepSkippedByHand: "»", order.StepSubstituted: "≈", order.StepUndoSkippedByHand: "»", order.StepUndoSubstituted: "≈",
}

// show tells readers of the Temporal Web UI how far the order is. It is called where a run stays for a while:
// what is passed in milliseconds is not worth a write, nor is the status of an order that only waits for the answer of a
// gateway: Temporal writes each change into its history and its index.
func (r *orderRun) show(note string) {
	workflow.SetCurrentDetails(r.ctx, details(r.state, note))
	if r.state.Status == r.shown || !r.state.Opened() || r.quiet && !worthShowing(r.state.Status) && !r.flagged() {
		return
	}
	err := workflow.UpsertTypedSearchAttributes(r.ctx,
		OrderStatus.ValueSet(string(r.state.Status)),
		NeedsAttention.ValueSet(r.state.Status == order.StatusNeedsAttention))
	if err != nil {
		r.log.Warn("search attributes are not written", "order_id", r.state.Order.ID, "error", err)
		return
	}
	r.shown = r.state.Status
}

// flagged reports whether the attributes say that somebody is asked to look; a continued run inherits what the one before it
// has shown.
func (r *orderRun) flagged() bool {
	flagged, _ := workflow.GetTypedSearchAttributes(r.ctx).GetBool(NeedsAttention)
	return flagged
}

// worthShowing are the statuses at which a quiet run writes its attributes: those that last. Running workflows are replayed by
// this table: it stays as it is, whatever the list of orders does.
func worthShowing(s order.Status) bool {
	switch s {
	case order.StatusAccepted, order.StatusAwaitingPayment, order.StatusAwaitingShipment, order.StatusShipped, order.StatusNeedsAttention,
		order.StatusCompleted, order.StatusRejected, order.StatusCancelled, order.StatusFailed:
		return true
	}
	return false
}

// details is the order as markdown: its status, and each step with how far it is.
func details(s order.State, note string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**", s.Status)
	if s.Reason != "" {
		fmt.Fprintf(&b, " (%s)", s.Reason)
	}
	if note != "" {
		fmt.Fprintf(&b, ", %s", note)
	}
	b.WriteString("\n\n")
	for _, p := range s.Progress() {
		fmt.Fprintf(&b, "- %s %s: %s\n", marks[p.State], p.Step, p.State)
	}
	return b.String()
}
