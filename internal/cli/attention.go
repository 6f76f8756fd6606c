package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/client"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/service"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// resolutionTimeout bounds how long a command waits for the saga's answer. A worker has to be running somewhere.
const resolutionTimeout = 30 * time.Second

func attentionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "attention", Short: "List the orders that need attention, and the allowed actions", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if isRemote() {
				return remoteAttention(cmd, asJSON)
			}
			return with(cmd, quietLogger(cmd), service.Parts{}, func(ctx context.Context, s *service.Service) error {
				items, err := everyPage(func(page string) ([]readmodel.Order, string, error) {
					return s.Orders().NeedsAttention(ctx, page, cursor.MaxLimit)
				})
				if err != nil {
					return err
				}
				lines := []api.AttentionItem{}
				for _, item := range items {
					if item.Attention != nil && item.Attention.Open {
						lines = append(lines, api.AttentionItemOf(item, allFlows(ctx)))
					}
				}
				return printValue(cmd.OutOrStdout(), asJSON, lines, printAttention)
			})
		},
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

func remoteAttention(cmd *cobra.Command, asJSON bool) error {
	c, err := openRemote()
	if err != nil {
		return err
	}
	items, err := first(c.Attention(cmd.Context()), 0)
	if err != nil {
		return err
	}
	lines, err := converted[[]api.AttentionItem](items)
	if err != nil {
		return err
	}
	return printValue(cmd.OutOrStdout(), asJSON, lines, printAttention)
}

// remoteResolve sends an intervention to the resource of an order, or of a saga. Only that of orders knows their late events.
func remoteResolve(cmd *cobra.Command, flow, id string, d saga.Resolution) error {
	c, err := openRemote()
	if err != nil {
		return err
	}
	r := client.Resolution{Action: string(d.Action), Attention: d.Attention, By: remoteBy(cmd, d.By), Note: d.Note, Reference: d.Reference}
	var status string
	if flow == order.Flow.Name {
		o, failed := c.ResolveOrder(cmd.Context(), id, r)
		status, err = o.Status, failed
	} else {
		s, failed := c.ResolveSaga(cmd.Context(), flow, id, r)
		status, err = s.Status, failed
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s: %s accepted; it is %s\n", flow, id, d.Action, status)
	return err
}

func printAttention(w io.Writer, lines []api.AttentionItem) error {
	if len(lines) == 0 {
		_, err := fmt.Fprintln(w, "nothing needs attention")
		return err
	}
	rows := [][]string{{"SAGA", "STEP", "SINCE", "ALLOWED ACTIONS", "ERROR"}}
	for _, l := range lines {
		step := l.Step
		if l.Undo {
			step = "undo " + step
		}
		if l.Parcel != "" {
			step += " " + l.Parcel
		}
		var actions []string
		for _, a := range l.Actions {
			actions = append(actions, string(a))
		}
		id := l.ID
		if l.Flow != "" {
			id = l.Flow + " " + id
		}
		rows = append(rows, []string{id, step, l.Since.Format(time.RFC3339), strings.Join(actions, " "), l.Error})
	}
	return printTable(w, rows...)
}

func resolveCommand() *cobra.Command {
	var d saga.Resolution
	var action, flow string
	cmd := &cobra.Command{
		Use: "resolve ID", Short: "Record an intervention for an order or another saga that needs attention, and wait for the result", Args: cobra.ExactArgs(1),
		Example: `  ordersaga resolve shop-1001 --action substitute --reference "transfer 4711" --note "voided in the provider's console"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			d.Action = saga.ResolutionAction(action)
			if !event.ValidID(args[0]) {
				return fault.New(fault.NotFound, "%s %q does not exist", flow, args[0])
			}
			if err := d.Validate(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), resolutionTimeout)
			defer cancel()
			cmd.SetContext(ctx)
			if isRemote() {
				return remoteResolve(cmd, flow, args[0], d)
			}
			return with(cmd, quietLogger(cmd), service.Parts{Temporal: true}, func(ctx context.Context, s *service.Service) error {
				status, err := s.Resolve(ctx, flow, args[0], d)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s: %s accepted; it is %s\n", flow, args[0], d.Action, status)
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&action, "action", "", "retry, skip, substitute, compensate, refund or resend")
	flags.StringVar(&flow, "flow", order.Flow.Name, "the flow of the saga")
	flags.StringVar(&d.Note, "note", "", "the reason; required for skip")
	flags.StringVar(&d.Reference, "reference", "", "what was done instead; required for substitute")
	byFlag(cmd, &d.By)
	flags.IntVar(&d.Attention, "attention", 0, "number of the attention (default: the open one)")
	_ = cmd.MarkFlagRequired("action")
	return cmd
}
