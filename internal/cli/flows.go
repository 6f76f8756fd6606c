package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/service"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

type flowsKey struct{}

// withFlows returns a context of commands of a binary that has more flows.
func withFlows(ctx context.Context, flows []service.Flow) context.Context {
	return context.WithValue(ctx, flowsKey{}, flows)
}

// addedFlows are the flows that a team has added to this binary.
func addedFlows(ctx context.Context) []service.Flow {
	flows, _ := ctx.Value(flowsKey{}).([]service.Flow)
	return flows
}

// allFlows are the flows of this binary that have a table.
func allFlows(ctx context.Context) []saga.Definer {
	all := workflows.Tables()
	for _, f := range addedFlows(ctx) {
		all = append(all, f)
	}
	return all
}

// routesOf lead from the bus to the flows of this binary.
func routesOf(ctx context.Context) inbound.Routes { return inbound.NewRoutes(allFlows(ctx)...) }

func flowsCommand() *cobra.Command {
	var mermaid bool
	cmd := &cobra.Command{
		Use: "flows [FLOW…]", Short: "List the flows of this binary, and draw each from its table",
		RunE: func(cmd *cobra.Command, args []string) error {
			all := allFlows(cmd.Context())
			for _, name := range args {
				if !slices.ContainsFunc(all, func(f saga.Definer) bool { return f.Info().Name == name }) {
					return fmt.Errorf("there is no flow %q", name)
				}
			}
			for _, f := range all {
				info := f.Info()
				if len(args) > 0 && !slices.Contains(args, info.Name) {
					continue
				}
				if mermaid {
					fmt.Fprintf(cmd.OutOrStdout(), "### %s\n\n```mermaid\n%s```\n\n", info.Name, info.Mermaid())
					continue
				}
				if err := printFlow(cmd.OutOrStdout(), info); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&mermaid, "mermaid", false, "print drawings in Mermaid's notation, as Markdown")
	return cmd
}

func printFlow(w io.Writer, info saga.Info) error {
	fmt.Fprintf(w, "%s  (streams and workflow IDs %s-<id>, workflow type %s)\n", info.Name, info.Stream, info.Workflow)
	for _, in := range info.Inbound {
		fmt.Fprintf(w, "  %s: %s\n", in.Role, in.Name)
	}
	rows := [][]string{{"  STEP", "KIND", "DONE", "REFUSED", "UNDONE", "WAITS FOR", "SETTING"}}
	for _, s := range info.Steps {
		name := s.Name
		if s.Conditional {
			name += " (some)"
		}
		rows = append(rows, []string{"  " + name, string(s.Kind), s.Done, s.Refused, strings.Join(s.Undone, " "), s.For, string(s.Deadline)})
	}
	if err := printTable(w, rows...); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
