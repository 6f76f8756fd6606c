package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/internal/service"
)

// errViolationsRemain ends the command when violations are left: its table has said which.
var errViolationsRemain = errors.New("violations remain")

func reconcileCommand() *cobra.Command {
	var (
		repair, asJSON bool
		stale          = duration(reconcile.DefaultStale)
		since          duration
		skip           []string
	)
	cmd := &cobra.Command{
		Use: "reconcile", Short: "Check the invariants over log, stock, payments, list and Temporal", Args: cobra.NoArgs,
		Long: `Check the invariants over the event log, the stock ledger, the payments, the list of orders and Temporal, and print the
violations. Without --repair nothing is changed. The exit code is 1 when a violation remains.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			skipped, err := skippedKinds(skip)
			if err != nil {
				return err
			}
			o := reconcile.Options{Repair: repair, Stale: time.Duration(stale), Since: time.Duration(since), Skip: skipped, Progress: func(c reconcile.Counts) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d streams, %d orders\n", c.Streams, c.Orders)
			}}
			return with(cmd, service.NewLogger, service.Parts{Temporal: true}, func(ctx context.Context, s *service.Service) error {
				report, err := s.Reconcile(ctx, o)
				if err != nil {
					return err
				}
				if asJSON {
					err = json.NewEncoder(cmd.OutOrStdout()).Encode(report)
				} else {
					err = printReport(cmd.OutOrStdout(), report)
				}
				if err == nil && report.Left() > 0 {
					err = errViolationsRemain
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "start recovery runs and write list entries; record the other violations")
	jsonFlag(cmd, &asJSON, "print the report as JSON")
	cmd.Flags().Var(&stale, "stale", "how long a running saga may be without progress")
	cmd.Flags().Var(&since, "since", "check gateway, stock and Temporal only for orders that are open or ended within this time, such as 24h (default: all)")
	cmd.Flags().StringSliceVar(&skip, "skip", nil, "kinds that are neither reported nor repaired, such as order_unrecorded where several databases share a Temporal namespace")
	return cmd
}

func skippedKinds(names []string) (map[reconcile.Kind]bool, error) {
	skipped := make(map[reconcile.Kind]bool, len(names))
	for _, name := range names {
		kind := reconcile.Kind(name)
		if reconcile.MeaningOf(kind).Kind != kind {
			return nil, fmt.Errorf("--skip=%s: unknown kind", name)
		}
		skipped[kind] = true
	}
	return skipped, nil
}

func printReport(out io.Writer, r reconcile.Report) error {
	if len(r.Findings) > 0 {
		rows := [][]string{{"KIND", "SUBJECT", "DETAIL", "REPAIR"}}
		for _, f := range r.Findings {
			kind := string(f.Kind)
			if f.Note {
				kind += " (note)"
			}
			rows = append(rows, []string{kind, f.Subject, f.Detail, f.Repair})
		}
		if err := printTable(out, rows...); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	if r.Unlisted > 0 {
		fmt.Fprintf(out, "%d more are not listed: resolve these first, then check again\n", r.Unlisted)
	}
	_, err := fmt.Fprintf(out, "%d orders, %d streams, %d SKUs, %d payments checked; %d violations, %d repaired, %d notes; in %s\n",
		r.Orders, r.Streams, r.SKUs, r.Payments, r.Violations+r.Unlisted, r.Repaired, r.Notes, time.Duration(r.TookMillis)*time.Millisecond)
	return err
}
