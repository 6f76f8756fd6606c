package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/client"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func sagasCommand() *cobra.Command {
	var f listFlags
	var needsAttention bool
	cmd := &cobra.Command{
		Use: "sagas [FLOW [ID]]", Short: "List sagas of every flow or of one, or show the steps of a saga", Args: cobra.MaximumNArgs(2),
		Example: `  ordersaga sagas --needs-attention
  ordersaga sagas refund --status refused
  ordersaga sagas order shop-1001`,
		RunE: remoteCommand(func(cmd *cobra.Command, args []string, c *client.Client) error {
			if len(args) == 2 {
				s, err := c.Saga(cmd.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				return printValue(cmd.OutOrStdout(), f.asJSON, s, func(w io.Writer, s client.Saga) error {
					return drawSaga(w, s, coloured(w))
				})
			}
			filter := client.SagaFilter{Filter: f.Filter, Flow: strings.Join(args, "")}
			if cmd.Flags().Changed("needs-attention") {
				filter.NeedsAttention = &needsAttention
			}
			sagas, err := first(c.Sagas(cmd.Context(), filter), f.limit)
			if err != nil {
				return err
			}
			return printValue(cmd.OutOrStdout(), f.asJSON, sagas, printSagas)
		}),
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&needsAttention, "needs-attention", false, "only sagas that need attention; =false for the others")
	return cmd
}

func printSagas(w io.Writer, sagas []client.SagaItem) error {
	rows := [][]string{{"FLOW", "SAGA", "STATUS", "CREATED", "REASON"}}
	for _, s := range sagas {
		rows = append(rows, []string{s.Flow, printable(s.ID), s.Status, s.CreatedAt.Format(time.RFC3339), cmp.Or(s.Reason, "-")})
	}
	return printTable(w, rows...)
}

func watchCommand() *cobra.Command {
	var flow string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "watch ID", Short: "Draw the steps of a saga and follow it until it ends", Args: cobra.ExactArgs(1),
		Long: `Draw the steps of a saga and follow it until it ends: on a terminal one picture that changes, elsewhere a line for each
event. The exit code is 7 if the saga was not completed.`,
		RunE: remoteCommand(func(cmd *cobra.Command, args []string, c *client.Client) error {
			return unlessInterrupted(cmd.Context(), watch(cmd, c, flow, args[0], asJSON))
		}),
	}
	cmd.Flags().StringVar(&flow, "flow", order.Flow.Name, "the flow of the saga")
	jsonFlag(cmd, &asJSON, "print one JSON object for each event")
	return cmd
}

func watch(cmd *cobra.Command, c *client.Client, flow, id string, asJSON bool) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	p := picture{to: out, colours: coloured(out)}
	lines := newTailPrinter(out, asJSON)
	for e, err := range c.WatchSaga(ctx, flow, id, 0) {
		if err != nil {
			return err
		}
		if asJSON || !isTerminal(out) {
			if err := lines.write(tailEvent{Time: e.Time, Type: e.Type, Subject: e.Subject, Sequence: strconv.FormatInt(e.Version, 10), ID: e.ID,
				Source: e.Source, CorrelationID: e.CorrelationID, Data: e.Data}); err != nil {
				return err
			}
			continue
		}
		s, err := c.Saga(ctx, flow, id)
		if err != nil {
			return err
		}
		if err := p.draw(s); err != nil {
			return err
		}
	}
	s, err := c.Saga(ctx, flow, id)
	if err == nil && s.Ended() && s.Status != client.StatusCompleted {
		err = errNotCompleted
	}
	return err
}

// picture is a drawing on a terminal that takes the place of the previous one.
type picture struct {
	to      io.Writer
	colours bool
	height  int
}

func (p *picture) draw(s client.Saga) error {
	var text strings.Builder
	if err := drawSaga(&text, s, p.colours); err != nil {
		return err
	}
	if p.height > 0 {
		fmt.Fprintf(p.to, "\x1b[%dA\x1b[J", p.height) // up, and erase what is below
	}
	p.height = strings.Count(text.String(), "\n")
	_, err := io.WriteString(p.to, text.String())
	return err
}

// stateMarks are the sign and the colour of the state of a step.
var stateMarks = map[string]struct{ sign, colour string }{
	"pending": {"·", "\x1b[2m"}, "running": {"●", "\x1b[36m"}, "done": {"✓", "\x1b[32m"}, "substituted": {"✓", "\x1b[32m"}, "refused": {"✗", "\x1b[31m"},
	"unknown": {"!", "\x1b[31m"}, "compensating": {"↶", "\x1b[33m"}, "compensated": {"↶", "\x1b[33m"}, "skipped": {"-", "\x1b[2m"},
}

// drawSaga draws a saga: its status, and a line for each step.
func drawSaga(w io.Writer, s client.Saga, colours bool) error {
	head := fmt.Sprintf("%s %s: %s", s.Flow, printable(s.ID), s.Status)
	if s.Reason != "" {
		head += ", " + s.Reason
	}
	fmt.Fprintln(w, head)
	width := 0
	for _, step := range s.Steps {
		width = max(width, len(step.Name))
	}
	for _, step := range s.Steps {
		mark := stateMarks[step.State]
		line := fmt.Sprintf("  %s %-*s  %-12s", cmp.Or(mark.sign, "?"), width, step.Name, step.State)
		if step.StartedAt != nil && step.EndedAt != nil {
			line += "  " + step.EndedAt.Sub(*step.StartedAt).Round(time.Millisecond).String()
		}
		if step.Error != "" {
			line += "  " + printable(step.Error)
		}
		line = strings.TrimRight(line, " ")
		if colours && mark.colour != "" {
			line = mark.colour + line + "\x1b[0m"
		}
		fmt.Fprintln(w, line)
	}
	if a := s.Attention; a != nil {
		fmt.Fprintf(w, "  needs attention at %s: %s; allowed actions: %s\n", a.Step, printable(a.Error), strings.Join(a.Actions, ", "))
	}
	return nil
}

// coloured reports whether w shows colours (https://no-color.org).
func coloured(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
