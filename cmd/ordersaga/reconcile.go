package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
)

// errLeft ends the command when violations are left: its table has said which.
var errLeft = errors.New("not everything holds")

// reconcileCommand checks everything that must hold.
func reconcileCommand() *cobra.Command {
	var (
		repair, asJSON bool
		stale, since   string
		skip           []string
	)
	cmd := &cobra.Command{
		Use: "reconcile", Short: "Check everything that must hold over log, stock, payments, list and Temporal", Args: cobra.NoArgs,
		Long: `Check everything that must hold over the event log, the stock ledger, the payments, the list of orders and
Temporal, and print what does not. Without --repair nothing is changed. The exit code is 1 when a violation is left.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := reconcile.Options{Repair: repair}
			var err error
			if o.Stale, err = durationFlag("stale", stale); err != nil {
				return err
			}
			if o.Since, err = durationFlag("since", since); err != nil {
				return err
			}
			if o.Skip, err = skippedKinds(skip); err != nil {
				return err
			}
			o.Progress = func(c reconcile.Counts) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d streams, %d orders\n", c.Streams, c.Orders)
			}
			report, err := reconcileOnce(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			} else {
				err = writeReport(cmd.OutOrStdout(), report)
			}
			if err == nil && report.Left() > 0 {
				err = errLeft
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "start recovery runs and rewrite list entries; record what only people can mend")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.Flags().StringVar(&stale, "stale", config.FormatDuration(reconcile.DefaultStale), "how long nothing may come of a running saga")
	cmd.Flags().StringVar(&since, "since", "", "ask gateway, stock and Temporal only about orders that are open or ended within this time, such as 24h; all of them otherwise")
	cmd.Flags().StringSliceVar(&skip, "skip", nil, "kinds that are neither reported nor repaired, such as order_unrecorded where several databases share a Temporal namespace")
	return cmd
}

// skippedKinds reads names of kinds.
func skippedKinds(names []string) (map[reconcile.Kind]bool, error) {
	skipped := make(map[reconcile.Kind]bool, len(names))
	for _, name := range names {
		kind := reconcile.Kind(name)
		if reconcile.MeaningOf(kind).Kind != kind {
			return nil, fmt.Errorf("--skip=%s: there is no such kind", name)
		}
		skipped[kind] = true
	}
	return skipped, nil
}

// durationFlag reads a duration as the settings do.
func durationFlag(name, value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	d, err := config.ParseDuration(value)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("--%s=%s: expected a duration above zero, such as 90s, 5m or 2d", name, value)
	}
	return d, nil
}

// reconcileOnce connects to what the check reads, and runs it.
func reconcileOnce(ctx context.Context, o reconcile.Options) (reconcile.Report, error) {
	cfg, err := config.Load(os.Environ())
	if err != nil {
		return reconcile.Report{}, err
	}
	s := &service{cfg: cfg, logger: newLogger(cfg), registry: prometheus.NewRegistry()}
	if s.stores, err = openStores(ctx, cfg, s.logger); err != nil {
		return reconcile.Report{}, err
	}
	defer s.stores.close(context.WithoutCancel(ctx))
	if s.gateway, err = newGateway(cfg, s.stores); err != nil {
		return reconcile.Report{}, err
	}
	if err = s.connectTemporal(ctx); err != nil {
		return reconcile.Report{}, err
	}
	defer s.temporal.Close()
	s.sagas = sagaclient.New(sagaclient.Config{Temporal: s.temporal, Log: s.stores.log, Logger: s.logger})
	r, err := s.reconciler()
	if err != nil {
		return reconcile.Report{}, err
	}
	return r.Run(ctx, o)
}

// reconciler wires the check.
func (s *service) reconciler() (*reconcile.Reconciler, error) {
	return reconcile.New(reconcile.Config{
		Log: s.stores.raw, List: entries{s.stores}, Sagas: runs{s.sagas}, Gateway: s.gateway,
		Timing: s.cfg.Timing(), Clock: time.Now, Logger: s.logger,
	})
}

// writeReport prints the findings as a table, and one line of counts.
func writeReport(out io.Writer, r reconcile.Report) error {
	if len(r.Findings) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "KIND\tSUBJECT\tDETAIL\tREPAIR")
		for _, f := range r.Findings {
			kind := string(f.Kind)
			if f.Note {
				kind += " (note)"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", kind, f.Subject, f.Detail, f.Repair)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	if r.Unlisted > 0 {
		fmt.Fprintf(out, "%d more are not listed: mend these first, then check again\n", r.Unlisted)
	}
	_, err := fmt.Fprintf(out, "%d orders, %d streams, %d SKUs, %d payments looked at; %d violations, %d repaired, %d notes; in %s\n",
		r.Orders, r.Streams, r.SKUs, r.Payments, r.Violations+r.Unlisted, r.Repaired, r.Notes, time.Duration(r.TookMillis)*time.Millisecond)
	return err
}

// runs makes the saga client what the check needs.
type runs struct{ sagas *sagaclient.Client }

func (r runs) Look(ctx context.Context, orderID string) (reconcile.Run, error) {
	run, err := r.sagas.Inspect(ctx, orderID)
	return reconcile.Run(run), err
}

func (r runs) Orders(ctx context.Context, since time.Time) iter.Seq2[string, error] {
	return r.sagas.Orders(ctx, since)
}

func (r runs) Rerun(ctx context.Context, orderID string) error { return r.sagas.Rerun(ctx, orderID) }

func (r runs) BrokenOff(ctx context.Context) iter.Seq2[string, error] {
	return r.sagas.BrokenOff(ctx)
}

func (r runs) Lost(ctx context.Context, orderID string) (order.Facts, error) {
	return r.sagas.Lost(ctx, orderID)
}

func (r runs) TellAgain(ctx context.Context, orderID string) error {
	return r.sagas.TellAgain(ctx, orderID)
}

func (r runs) Resume(ctx context.Context, orderID string) error {
	_, err := r.sagas.Resume(ctx, orderID)
	return err
}

func (r runs) Republish(ctx context.Context, orderID string) error {
	return r.sagas.Republish(ctx, orderID)
}

func (r runs) LookLate(ctx context.Context, orderID string) (reconcile.Run, error) {
	run, err := r.sagas.InspectLate(ctx, orderID)
	return reconcile.Run(run), err
}

func (r runs) SettleLate(ctx context.Context, orderID string) error {
	return r.sagas.ResumeLate(ctx, orderID)
}

func (r runs) LookShortage(ctx context.Context, sku string) (reconcile.Run, error) {
	run, err := r.sagas.InspectShortage(ctx, sku)
	return reconcile.Run(run), err
}

func (r runs) SettleShortage(ctx context.Context, sku string) error {
	return r.sagas.SettleShortage(ctx, sku)
}

func (r runs) LookCustomer(ctx context.Context, customerID string) (reconcile.Run, error) {
	run, err := r.sagas.InspectCustomer(ctx, customerID)
	return reconcile.Run(run), err
}

func (r runs) LookNotice(ctx context.Context, noticeID string) (reconcile.Run, error) {
	run, err := r.sagas.InspectNotice(ctx, noticeID)
	return reconcile.Run(run), err
}

func (r runs) Onboard(ctx context.Context, customerID string) error {
	return r.sagas.Onboard(ctx, customerID, true)
}

func (r runs) Notify(ctx context.Context, noticeID string) error {
	return r.sagas.ResumeNotice(ctx, noticeID)
}

// entries makes the read model what the check needs.
type entries struct{ stores *stores }

func (e entries) All(ctx context.Context) iter.Seq2[reconcile.Listed, error] {
	return func(yield func(reconcile.Listed, error) bool) {
		for o, err := range e.stores.orders.All(ctx) {
			if !yield(listed(o), err) {
				return
			}
		}
	}
}

func (e entries) Get(ctx context.Context, orderID string) (reconcile.Listed, bool, error) {
	o, found, err := e.stores.orders.Get(ctx, orderID)
	return listed(o), found, err
}

// listed is an entry without what the attention desk shows of it.
func listed(o readmodel.Order) reconcile.Listed {
	return reconcile.Listed{
		Order: o.Order, Status: o.Status, Reason: o.Reason, Version: o.Version,
		CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt, CorrelationID: o.CorrelationID,
	}
}

func (e entries) Mend(ctx context.Context, orderID string) error {
	return readmodel.Orders.Mend(ctx, e.stores.orders, e.stores.raw, orderID)
}

var (
	_ reconcile.Sagas = runs{}
	_ reconcile.List  = entries{}
)

// shownFindings bounds how many findings a workflow's result carries.
const shownFindings = 50

// scheduled makes the check what its activity needs.
type scheduled struct{ *reconcile.Reconciler }

func (s scheduled) Reconcile(ctx context.Context, in activities.ReconcileInput, progress func(int)) (activities.ReconcileResult, error) {
	report, err := s.Run(ctx, reconcile.Options{
		Repair: in.Repair, Stale: in.Stale, Since: in.Since, Now: in.Now, Progress: func(c reconcile.Counts) { progress(c.Streams) },
	})
	if err != nil {
		return activities.ReconcileResult{}, fault.Wrap(err, fault.CodeOf(err), "reconcile")
	}
	result := activities.ReconcileResult{
		Violations: report.Violations + report.Unlisted, Repaired: report.Repaired, Notes: report.Notes, Orders: report.Orders,
		Streams: report.Streams, SKUs: report.SKUs, Payments: report.Payments, TookMillis: report.TookMillis,
	}
	for _, f := range report.Findings[:min(len(report.Findings), shownFindings)] {
		result.Findings = append(result.Findings, activities.ReconcileFinding{
			Kind: string(f.Kind), Subject: f.Subject, Detail: f.Detail, Repair: f.Repair, Repaired: f.Repaired, Note: f.Note,
		})
	}
	return result, nil
}
