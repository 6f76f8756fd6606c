package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Registered names of the check of everything that must hold.
const (
	// NameReconcile is its workflow type.
	NameReconcile = "Reconcile"
	// ReconcileID is the id of its schedule, and what the ids of its workflows begin with.
	ReconcileID = "ordersaga-reconcile"
)

const (
	// reconcileTimeout bounds one check. It reads the whole log, which takes what it takes.
	reconcileTimeout = 24 * time.Hour
	// reconcileHeartbeat is how long a check may be silent before another worker takes it over.
	reconcileHeartbeat = time.Minute
	// reconcileAttempts bounds the tries of one check: the next one comes by itself.
	reconcileAttempts = 5
)

// Reconcile checks everything that must always hold, and repairs what can be. What it found stands in its details, for
// the Temporal Web UI, and in its result.
func Reconcile(ctx workflow.Context, in activities.ReconcileInput) (activities.ReconcileResult, error) {
	options := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: saga.QueueOrders, StartToCloseTimeout: reconcileTimeout, HeartbeatTimeout: reconcileHeartbeat,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: reconcileAttempts,
		},
		Summary: "check log, stock, payments, list and Temporal",
	})
	in.Now = workflow.Now(ctx)
	var result activities.ReconcileResult
	if err := workflow.ExecuteActivity(options, activities.NameReconcile, in).Get(ctx, &result); err != nil {
		return result, err
	}
	workflow.SetCurrentDetails(ctx, reconciled(result))
	return result, nil
}

// reconciled is the result as markdown.
func reconciled(r activities.ReconcileResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%d violations**, %d of them repaired, %d notes; %d orders, %d streams, %d SKUs, %d payments in %d ms\n",
		r.Violations, r.Repaired, r.Notes, r.Orders, r.Streams, r.SKUs, r.Payments, r.TookMillis)
	if len(r.Findings) == 0 {
		return b.String()
	}
	b.WriteString("\n| kind | subject | detail | repair |\n|---|---|---|---|\n")
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.Kind, f.Subject, cell(f.Detail), cell(f.Repair))
	}
	if more := r.Violations + r.Notes - len(r.Findings); more > 0 {
		fmt.Fprintf(&b, "\nand %d more: `ordersaga reconcile` lists all of them.\n", more)
	}
	return b.String()
}

// cell makes a text fit for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", "/", "\n", " ").Replace(text)
}
