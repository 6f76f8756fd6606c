package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
)

// verdictTimeout bounds how long a command waits for the saga's verdict. A worker has to be running somewhere.
const verdictTimeout = 30 * time.Second

// deskLine is an order that needs attention, for programs.
type deskLine struct {
	ID        string                   `json:"id"`
	Status    order.Status             `json:"status"`
	Attention int                      `json:"attention"`
	Step      order.Step               `json:"step"`
	Undo      bool                     `json:"undo"`
	Error     string                   `json:"error"`
	Attempts  int                      `json:"attempts"`
	NextTry   *time.Time               `json:"nextTry"`
	Since     time.Time                `json:"since"`
	Actions   []order.ResolutionAction `json:"actions"`
}

// attentionCommand lists what is on the attention desk.
func attentionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "attention", Short: "List the orders that need somebody, and what may be decided", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(os.Environ())
			if err != nil {
				return err
			}
			s, err := openStores(cmd.Context(), cfg, quietLogger(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			defer s.close(context.WithoutCancel(cmd.Context()))
			lines, err := deskLines(cmd.Context(), listing{s.orders, s.late})
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(lines)
			}
			return printDesk(cmd.OutOrStdout(), lines)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// deskLines reads every page.
func deskLines(ctx context.Context, desk listing) ([]deskLine, error) {
	lines, page := []deskLine{}, ""
	for {
		items, next, err := desk.Desk(ctx, page, cursor.MaxLimit)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			a := item.Attention
			if !a.Open {
				continue
			}
			line := deskLine{
				ID: item.OrderID, Status: item.Status, Attention: a.Count, Step: a.Step, Undo: a.Undo, Error: a.Error,
				Attempts: a.Attempts, Since: a.Since, Actions: item.Actions,
			}
			if !a.NextTry.IsZero() {
				line.NextTry = &a.NextTry
			}
			lines = append(lines, line)
		}
		if page = next; page == "" {
			return lines, nil
		}
	}
}

func printDesk(w io.Writer, lines []deskLine) error {
	if len(lines) == 0 {
		_, err := fmt.Fprintln(w, "nothing needs attention")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ORDER\tSTEP\tSINCE\tMAY BE DECIDED\tERROR")
	for _, l := range lines {
		step := string(l.Step)
		if l.Undo {
			step = "undo " + step
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", l.ID, step, l.Since.Format(time.RFC3339), joined(l.Actions), l.Error)
	}
	return table.Flush()
}

func joined(actions []order.ResolutionAction) string {
	words := make([]string, len(actions))
	for i, a := range actions {
		words[i] = string(a)
	}
	return strings.Join(words, " ")
}

// resolveCommand decides about what is stuck in an order.
func resolveCommand() *cobra.Command {
	var d order.Resolution
	var action string
	cmd := &cobra.Command{
		Use: "resolve ORDER", Short: "Decide about what is stuck in an order, and wait for the verdict", Args: cobra.ExactArgs(1),
		Example: `  ordersaga resolve shop-1001 --action substitute --reference "transfer 4711" --note "voided in the provider's console"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			d.Action = order.ResolutionAction(action)
			if !event.ValidID(args[0]) {
				return fault.New(fault.NotFound, "there is no order %q", args[0])
			}
			if err := d.Validate(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), verdictTimeout)
			defer cancel()
			state, err := decide(ctx, quietLogger(cmd.ErrOrStderr()), args[0], d)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "order %s: %s accepted; it is %s\n", args[0], d.Action, state.Status)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&action, "action", "", "retry, skip, substitute or compensate")
	flags.StringVar(&d.Note, "note", "", "why; mandatory for skip")
	flags.StringVar(&d.Reference, "reference", "", "what was done instead; mandatory for substitute")
	flags.StringVar(&d.By, "by", operator(os.Getenv("USER")), "who decides")
	flags.IntVar(&d.Attention, "attention", 0, "the number of the attention; the one that is open by default")
	_ = cmd.MarkFlagRequired("action")
	return cmd
}

// operator is who runs a command, "" when that is no id.
func operator(user string) string {
	if event.ValidID(user) {
		return user
	}
	return ""
}

// decide brings a decision and returns the order as it stands after it. The error is ResolutionRefused, with the reason,
// when it does not fit.
func decide(ctx context.Context, logger *slog.Logger, orderID string, d order.Resolution) (order.State, error) {
	cfg, err := config.Load(os.Environ())
	if err != nil {
		return order.State{}, err
	}
	s := &service{cfg: cfg, logger: logger}
	if s.stores, err = openStores(ctx, cfg, logger); err != nil {
		return order.State{}, err
	}
	defer s.stores.close(context.WithoutCancel(ctx))
	if err := s.connectTemporal(ctx); err != nil {
		return order.State{}, err
	}
	defer s.temporal.Close()
	sagas := sagaclient.New(sagaclient.Config{Temporal: s.temporal, Log: s.stores.log, Logger: logger})
	state, err := foldOrder(ctx, s.stores, orderID)
	if err != nil {
		return state, err
	}
	_, verdict, err := sagas.Resolve(ctx, orderID, d, "")
	switch {
	case err != nil:
		return state, err
	case !verdict.Accepted:
		return state, fault.New(fault.ResolutionRefused, "refused: %s", verdict.Detail)
	}
	return foldOrder(ctx, s.stores, orderID)
}

// foldOrder reads where an order stands. The error is NotFound when the log does not know it.
func foldOrder(ctx context.Context, s *stores, orderID string) (order.State, error) {
	records, err := s.log.Read(ctx, event.OrderStream(orderID), 0, 0)
	if err != nil {
		return order.State{}, err
	}
	if len(records) == 0 {
		return order.State{}, fault.New(fault.NotFound, "there is no order %s", orderID)
	}
	return order.Fold(records)
}

// quietLogger is for commands whose output people read: it says what is wrong, and what is waited for.
func quietLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
