package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ordersaga/ordersaga/test/audit"
)

// shown bounds how many violations are printed.
const shown = 20

// Audit holds the raw documents of a database against what was placed there: each order has ended as it must, once, and
// there is no other. Placed says how, by order id: the type of the terminal event.
func Audit(ctx context.Context, db *mongo.Database, placed map[string]string) error {
	report, err := audit.Run(ctx, db)
	if err != nil {
		return err
	}
	return judge(report, placed)
}

func judge(report *audit.Report, placed map[string]string) error {
	wrong := slices.Clone(report.Violations)
	for id, end := range placed {
		switch got, there := report.Orders[id]; {
		case !there:
			wrong = append(wrong, fmt.Sprintf("order %s is lost", id))
		case got != end:
			wrong = append(wrong, fmt.Sprintf("order %s ended as %q instead of %s", id, got, end))
		}
	}
	for id := range report.Orders {
		if _, known := placed[id]; !known {
			wrong = append(wrong, fmt.Sprintf("order %s was never placed", id))
		}
	}
	for id, late := range report.Late {
		wrong = append(wrong, fmt.Sprintf("order %s has something late: %v", id, late))
	}
	for _, exception := range report.Exceptions {
		wrong = append(wrong, "without an intervention: "+exception)
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	more := ""
	if len(wrong) > shown {
		more = fmt.Sprintf("\n  and %d more", len(wrong)-shown)
	}
	return fmt.Errorf("%d things do not hold over the raw documents:\n  %s%s", len(wrong), strings.Join(wrong[:min(len(wrong), shown)], "\n  "), more)
}

// Reconcile runs the service's own check over a database. The rounds share a namespace, so Temporal knows orders of other
// databases too.
func Reconcile(ctx context.Context, s Stack, binary, database string) error {
	cmd := exec.CommandContext(ctx, binary, "reconcile", "--skip", "order_unrecorded")
	cmd.Env = append(os.Environ(), s.Env(database)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return errors.Join(fmt.Errorf("ordersaga reconcile: %w", err), errors.New(strings.TrimSpace(string(out))))
	}
	return nil
}
