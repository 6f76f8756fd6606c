package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/service"
)

// errNotAll ends the command when a letter was not replayed or discarded: its summary has said which.
var errNotAll = errors.New("some letters were not handled")

func deadLettersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dead-letters", Short: "List, show, replay and discard messages that could not be handled",
		Long: `List, show, replay and discard messages that could not be handled. With ORDERSAGA_URL it uses the REST API. Otherwise it
uses MongoDB and RabbitMQ directly: the service need not run, but replayed messages wait for it in their queues.`,
	}
	cmd.AddCommand(deadListCommand(), deadShowCommand(), deadReplayCommand(), deadDiscardCommand())
	return cmd
}

// letterFilter is a filter as flags.
type letterFilter struct {
	reasons, types, statuses []string
	olderThan, newerThan     duration
}

func (f *letterFilter) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.reasons, "reason", nil, "letters with one of these reasons, such as invalid or order_unknown")
	cmd.Flags().StringSliceVar(&f.types, "type", nil, "letters of one of these event types, such as order.created")
	cmd.Flags().StringSliceVar(&f.statuses, "status", nil, "letters in one of these statuses, or all (default: open, retrying, replaying)")
	cmd.Flags().Var(&f.olderThan, "older-than", "letters that failed more than this time ago, such as 90s, 5m or 2d")
	cmd.Flags().Var(&f.newerThan, "newer-than", "letters that failed within this time")
}

// chosen reports whether any flag was given.
func (f *letterFilter) chosen() bool {
	return len(f.reasons)+len(f.types)+len(f.statuses) > 0 || f.olderThan > 0 || f.newerThan > 0
}

func (f *letterFilter) filter(now time.Time) (deadletter.Filter, error) {
	out := deadletter.Filter{Types: f.types, Limit: cursor.MaxLimit}
	for _, reason := range f.reasons {
		out.Reasons = append(out.Reasons, fault.Code(reason))
	}
	switch {
	case len(f.statuses) == 0:
		out.Statuses = deadletter.Undecided
	case !slices.Contains(f.statuses, "all"):
		for _, status := range f.statuses {
			out.Statuses = append(out.Statuses, deadletter.Status(status))
		}
	}
	if f.olderThan > 0 {
		out.To = now.Add(-time.Duration(f.olderThan))
	}
	if f.newerThan > 0 {
		out.From = now.Add(-time.Duration(f.newerThan))
	}
	return out, out.Validate()
}

// selected reads every letter that the flags select, those that failed last first.
func (f *letterFilter) selected(ctx context.Context, letters api.DeadLetters) ([]deadletter.Letter, error) {
	filter, err := f.filter(time.Now())
	if err != nil {
		return nil, err
	}
	return everyPage(func(cursor string) ([]deadletter.Letter, string, error) {
		filter.Cursor = cursor
		return letters.List(ctx, filter)
	})
}

// withLetters runs do with the dead letters, and for replays with the broker.
func withLetters(cmd *cobra.Command, replays bool, do func(ctx context.Context, letters api.DeadLetters) error) error {
	if isRemote() {
		c, err := openRemote()
		if err != nil {
			return err
		}
		return do(cmd.Context(), remoteLetters{c, func(by string) string { return remoteBy(cmd, by) }})
	}
	return with(cmd, quietLogger(cmd), service.Parts{Broker: replays}, func(ctx context.Context, s *service.Service) error {
		return do(ctx, s.DeadLetters())
	})
}

func deadListCommand() *cobra.Command {
	var f letterFilter
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List dead letters, newest failure first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := f.filter(time.Now()); err != nil {
				return err
			}
			return withLetters(cmd, false, func(ctx context.Context, letters api.DeadLetters) error {
				list, err := f.selected(ctx, letters)
				if err != nil {
					return err
				}
				return printValue(cmd.OutOrStdout(), asJSON, list, printLetters)
			})
		},
	}
	f.flags(cmd)
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

func deadShowCommand() *cobra.Command {
	var asJSON, body bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a dead letter: reason, history, payload, and the expected result of a replay", Args: cobra.ExactArgs(1),
		Example: `  ordersaga dead-letters show 6f0c4a1e-… --body > event.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withLetters(cmd, false, func(ctx context.Context, letters api.DeadLetters) error {
				d, err := letters.Show(ctx, args[0])
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if body {
					_, err := out.Write(d.Message.Body)
					return err
				}
				run, err := letters.DryRun(ctx, args[0], deadletter.Request{})
				if err != nil {
					return err
				}
				return printValue(out, asJSON, letterDetail{d, d.Content(math.MaxInt), d.History, run}, printLetter)
			})
		},
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	cmd.Flags().BoolVar(&body, "body", false, "write only the original payload")
	return cmd
}

type replayFlags struct {
	letterFilter
	all, dryRun, asJSON bool
	bodyFile            string
	request             deadletter.Request
}

func deadReplayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use: "replay [ID...]", Short: "Send dead letters to their queues again, with the original or a repaired payload",
		Long: `Send dead letters to their queues again: the named ones, or those that a filter selects, oldest first. Their handlers
process them; a message that fails again is a new letter. The exit code is 1 when one was not replayed.`,
		Example: `  ordersaga dead-letters replay 6f0c4a1e-… --body event.json --note "the quantity was missing"
  ordersaga dead-letters replay --reason unavailable --older-than 10m --dry-run`,
		RunE: func(cmd *cobra.Command, ids []string) (err error) {
			if err = f.check(ids); err != nil {
				return err
			}
			if f.bodyFile != "" {
				if f.request.Body, err = readInput(cmd.InOrStdin(), f.bodyFile); err != nil {
					return err
				}
			}
			return withLetters(cmd, !f.dryRun, func(ctx context.Context, letters api.DeadLetters) error {
				if len(ids) == 0 {
					// They are read before the first one is replayed: a letter that dies again meanwhile is not among them.
					list, err := f.selected(ctx, letters)
					if err != nil {
						return err
					}
					for _, l := range slices.Backward(list) {
						ids = append(ids, l.ID)
					}
				}
				return f.run(ctx, cmd, letters, ids)
			})
		},
	}
	f.flags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "every letter that waits for a decision")
	flags.BoolVar(&f.dryRun, "dry-run", false, "report what would happen and change nothing")
	jsonFlag(cmd, &f.asJSON, "print the result as JSON")
	flags.StringVar(&f.bodyFile, "body", "", "a file with the payload to send instead of the original one; - for standard input")
	flags.BoolVar(&f.request.Force, "force", false, "also letters that were replayed, handled or discarded, or replayed too often")
	flags.StringVar(&f.request.Note, "note", "", "the reason")
	byFlag(cmd, &f.request.By)
	return cmd
}

// check finds flags that do not fit together.
func (f *replayFlags) check(ids []string) error {
	filtered := f.all || f.chosen()
	switch {
	case len(ids) > 0 && filtered:
		return errors.New("use either IDs or a filter, not both")
	case len(ids) == 0 && !filtered:
		return errors.New("give IDs, or select letters with --reason, --type, --status, --older-than, --newer-than or --all")
	case f.bodyFile != "" && len(ids) != 1:
		return errors.New("--body requires exactly one letter")
	}
	return f.request.Validate()
}

// run replays letters one by one.
func (f *replayFlags) run(ctx context.Context, cmd *cobra.Command, letters api.DeadLetters, ids []string) error {
	r := replayReport{DryRun: f.dryRun, Letters: []replayLine{}}
	for _, id := range ids {
		if f.dryRun {
			run, err := letters.DryRun(ctx, id, f.request)
			r.add(dryRunLine(id, run, err))
		} else {
			_, err := letters.Replay(ctx, id, f.request)
			r.add(replayedLine(id, err))
		}
		r.printProgress(cmd.ErrOrStderr(), len(ids), ctx.Err() != nil)
		if ctx.Err() != nil {
			break
		}
	}
	r.Untried = len(ids) - len(r.Letters)
	return r.print(cmd.OutOrStdout(), f.asJSON)
}

func deadDiscardCommand() *cobra.Command {
	var r deadletter.Request
	cmd := &cobra.Command{
		Use: "discard ID...", Short: "Discard dead letters; they stay readable", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			if err := r.ValidateDiscard(); err != nil {
				return err
			}
			return withLetters(cmd, false, func(ctx context.Context, letters api.DeadLetters) (failed error) {
				for _, id := range ids {
					if _, err := letters.Discard(ctx, id, r); err != nil {
						fmt.Fprintf(cmd.OutOrStdout(), "%s  not discarded: %s\n", id, reasonText(err))
						failed = errNotAll
						continue
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s  discarded\n", id)
				}
				return failed
			})
		},
	}
	cmd.Flags().StringVar(&r.Note, "note", "", "the reason; required")
	byFlag(cmd, &r.By)
	_ = cmd.MarkFlagRequired("note")
	return cmd
}
