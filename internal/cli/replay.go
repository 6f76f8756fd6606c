package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/replay"
	"github.com/ordersaga/ordersaga/internal/service"
)

// errBroken ends the command when sagas would break: its table has said which.
var errBroken = errors.New("not every history replays: see the output")

// usageError is an error in the arguments of a command that distinguishes it by the exit code.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func replayCommand() *cobra.Command {
	var fromTemporal, asJSON bool
	cmd := &cobra.Command{
		Use: "replay FILE|FOLDER… | --from-temporal [QUERY]", Short: "Check that open sagas continue on this version, before an upgrade",
		Long: `Replay histories of workflows with the flows of this binary, and name those that differ: their sagas could not continue on this
version. Nothing is changed.

FILE is a history as "temporal workflow show --output json" prints it or as the Temporal Web UI downloads it (not decoded), and - is standard
input. Of a FOLDER, all files *.json are replayed. --from-temporal reads the histories of all open workflows of TEMPORAL_NAMESPACE, or of those that QUERY
selects, a visibility query such as "ExecutionStatus = 'Running' AND OrderStatus = 'awaiting_shipment'".

The exit code is 0 when every history replays, 1 when one does not or could not be read, and 2 when the arguments or settings are invalid.`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case fromTemporal && len(args) > 1:
				return usageError{fmt.Errorf("--from-temporal takes one query, not %d arguments", len(args))}
			case !fromTemporal && len(args) == 0:
				return usageError{errors.New("pass files or folders with histories, or --from-temporal")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r := service.Replay{Files: args, Stdin: cmd.InOrStdin(), Progress: func(checked int) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d histories\n", checked)
			}}
			if fromTemporal {
				r.Files, r.Query = nil, replay.OpenWorkflows
				if len(args) == 1 {
					r.Query = args[0]
				}
			}
			cfg, err := config.Load(os.Environ())
			if err != nil {
				return err
			}
			report, err := r.Run(cmd.Context(), cfg, quietLogger(cmd)(cfg), addedFlows(cmd.Context())...)
			if errors.Is(err, replay.ErrQuery) {
				return usageError{err}
			}
			if err != nil {
				return err
			}
			if err := printValue(cmd.OutOrStdout(), asJSON, report, printReplay); err != nil {
				return err
			}
			if !report.Good() {
				return errBroken
			}
			return nil
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.Flags().BoolVar(&fromTemporal, "from-temporal", false, "replay workflows in Temporal: those that QUERY selects, by default all open ones")
	jsonFlag(cmd, &asJSON, "print the report as JSON")
	return cmd
}

// printReplay prints the findings and the summary.
func printReplay(w io.Writer, r replay.Report) error {
	if len(r.Findings) > 0 {
		rows := [][]string{{"RESULT", "FLOW", "ID", "RUN", "STATE", "EVENT", "STEP", "DETAIL"}}
		for _, f := range r.Findings {
			rows = append(rows, replayCells(f))
		}
		if err := printTable(w, rows...); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	if n := r.Unlisted(); n > 0 {
		fmt.Fprintf(w, "%d more are not listed\n", n)
	}
	if r.Other > 0 {
		fmt.Fprintf(w, "%d workflows of other services are not checked\n", r.Other)
	}
	_, err := fmt.Fprintf(w, "%d checked: %d ok, %d broken, %d unreadable\n", r.Checked, r.OK, r.Broken, r.Unreadable)
	return err
}

func replayCells(f replay.Finding) []string {
	state, at := "ended", "-"
	if f.Open {
		state = "open"
	}
	if f.Event > 0 {
		at = strconv.FormatInt(f.Event, 10) + " " + f.EventType
	}
	id := f.ID
	if id == "" {
		id = f.WorkflowID
	}
	detail := f.Detail
	if f.File != "" {
		detail = f.File + ": " + detail
	}
	if f.WorkflowID == "" {
		state = "-"
	}
	cells := []string{string(f.Kind), f.Flow, id, f.RunID, state, at, f.Step, detail}
	for i, c := range cells {
		if cells[i] = printable(c); c == "" {
			cells[i] = "-"
		}
	}
	return cells
}
