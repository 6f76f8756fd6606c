package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// errNotAll ends the command when a letter was not replayed or discarded: its summary has said which.
var errNotAll = errors.New("not every letter was settled")

// deadLettersCommand is for people who look after dead letters.
func deadLettersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dead-letters", Short: "List, show, replay and discard messages that could not be handled",
		Long: `List, show, replay and discard messages that could not be handled. Works on MongoDB and RabbitMQ directly; the service need
not run, but what is replayed waits for it in its queue.`,
	}
	cmd.AddCommand(deadListCommand(), deadShowCommand(), deadReplayCommand(), deadDiscardCommand())
	return cmd
}

// letterFilter is a filter as flags.
type letterFilter struct {
	reasons, types, statuses []string
	olderThan, newerThan     string
}

func (f *letterFilter) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.reasons, "reason", nil, "letters that died for one of these reasons, such as invalid or order_unknown")
	cmd.Flags().StringSliceVar(&f.types, "type", nil, "letters of one of these event types, such as order.created")
	cmd.Flags().StringSliceVar(&f.statuses, "status", nil, "letters in one of these statuses, or all; by default those that wait for somebody: open, retrying, replaying")
	cmd.Flags().StringVar(&f.olderThan, "older-than", "", "letters that failed longer ago than this, such as 90s, 5m or 2d")
	cmd.Flags().StringVar(&f.newerThan, "newer-than", "", "letters that failed within this time")
}

// chosen reports whether any flag was given.
func (f *letterFilter) chosen() bool {
	return len(f.reasons)+len(f.types)+len(f.statuses)+len(f.olderThan)+len(f.newerThan) > 0
}

// filter reads the flags.
func (f *letterFilter) filter(now time.Time) (deadletter.Filter, error) {
	out := deadletter.Filter{Types: f.types, Statuses: deadletter.Unsettled, Limit: cursor.MaxLimit}
	for _, reason := range f.reasons {
		out.Reasons = append(out.Reasons, fault.Code(reason))
	}
	switch {
	case slices.Contains(f.statuses, "all"):
		out.Statuses = nil
	case len(f.statuses) > 0:
		out.Statuses = nil
		for _, status := range f.statuses {
			out.Statuses = append(out.Statuses, deadletter.Status(status))
		}
	}
	older, err := durationFlag("older-than", f.olderThan)
	if err != nil {
		return out, err
	}
	newer, err := durationFlag("newer-than", f.newerThan)
	if err != nil {
		return out, err
	}
	if older > 0 {
		out.To = now.Add(-older)
	}
	if newer > 0 {
		out.From = now.Add(-newer)
	}
	return out, out.Validate()
}

// collect reads every page.
func collect(ctx context.Context, desk *deadletter.Service, f deadletter.Filter) ([]deadletter.Letter, error) {
	all := []deadletter.Letter{}
	for {
		items, next, err := desk.List(ctx, f)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if f.Cursor = next; next == "" {
			return all, nil
		}
	}
}

// withDesk runs do with a desk.
func withDesk(cmd *cobra.Command, replays bool, do func(ctx context.Context, desk *deadletter.Service) error) error {
	cfg, err := config.Load(os.Environ())
	if err != nil {
		return err
	}
	desk, end, err := openDesk(cmd.Context(), quietLogger(cmd.ErrOrStderr()), cfg, replays)
	if err != nil {
		return err
	}
	defer end()
	return do(cmd.Context(), desk)
}

func deadListCommand() *cobra.Command {
	var f letterFilter
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List dead letters, those that failed last first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(time.Now())
			if err != nil {
				return err
			}
			return withDesk(cmd, false, func(ctx context.Context, desk *deadletter.Service) error {
				letters, err := collect(ctx, desk, filter)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), letters)
				}
				return printLetters(cmd.OutOrStdout(), letters)
			})
		},
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func deadShowCommand() *cobra.Command {
	var asJSON, body bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a dead letter: why it died, what was decided about it, its payload, and what a replay would do", Args: cobra.ExactArgs(1),
		Example: `  ordersaga dead-letters show 6f0c4a1e-… --body > event.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDesk(cmd, false, func(ctx context.Context, desk *deadletter.Service) error {
				d, err := desk.Show(ctx, args[0])
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if body {
					_, err := out.Write(d.Message.Body)
					return err
				}
				run, err := desk.DryRun(ctx, args[0], deadletter.Request{})
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(out, letterDetail{d, d.Content(math.MaxInt), d.History, run})
				}
				return printLetter(out, d, run)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&body, "body", false, "write the payload alone, as it came")
	return cmd
}

// replayFlags are what a replay is asked for with.
type replayFlags struct {
	letterFilter
	all, dryRun, asJSON bool
	bodyFile            string
	request             deadletter.Request
}

func deadReplayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use: "replay [ID...]", Short: "Send dead letters to their queues again, as they came or mended",
		Long: `Send dead letters to their queues again: those that are named, or those that a filter selects, oldest first. What becomes of
them there is up to their handlers; one that dies again is a new letter. The exit code is 1 when one was not replayed.`,
		Example: `  ordersaga dead-letters replay 6f0c4a1e-… --body event.json --note "the quantity was missing"
  ordersaga dead-letters replay --reason unavailable --older-than 10m --dry-run`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			if err := f.check(ids); err != nil {
				return err
			}
			if f.bodyFile != "" {
				var err error
				if f.request.Body, err = readBody(cmd.InOrStdin(), f.bodyFile); err != nil {
					return err
				}
			}
			return withDesk(cmd, !f.dryRun, func(ctx context.Context, desk *deadletter.Service) error {
				if len(ids) == 0 {
					var err error
					if ids, err = f.selected(ctx, desk); err != nil {
						return err
					}
				}
				return f.run(ctx, cmd, desk, ids)
			})
		},
	}
	f.flags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "every letter that waits for somebody")
	flags.BoolVar(&f.dryRun, "dry-run", false, "tell what would happen, and do nothing")
	flags.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	flags.StringVar(&f.bodyFile, "body", "", "a file with what is sent instead of the letter's payload, - for standard input")
	flags.BoolVar(&f.request.Force, "force", false, "also what was replayed, handled or discarded already, or was replayed too often")
	flags.StringVar(&f.request.Note, "note", "", "why")
	flags.StringVar(&f.request.By, "by", operator(os.Getenv("USER")), "who decides")
	return cmd
}

// check finds flags that do not fit together.
func (f *replayFlags) check(ids []string) error {
	filtered := f.all || f.chosen()
	switch {
	case len(ids) > 0 && filtered:
		return errors.New("name letters or select them, not both")
	case len(ids) == 0 && !filtered:
		return errors.New("name letters, or select them with --reason, --type, --status, --older-than, --newer-than or --all")
	case f.bodyFile != "" && len(ids) != 1:
		return errors.New("--body is for one letter")
	}
	return f.request.Validate()
}

// selected returns the letters of the filter, oldest first. They are read before the first one is replayed: what dies
// again meanwhile is not among them.
func (f *replayFlags) selected(ctx context.Context, desk *deadletter.Service) ([]string, error) {
	filter, err := f.filter(time.Now())
	if err != nil {
		return nil, err
	}
	letters, err := collect(ctx, desk, filter)
	ids := make([]string, len(letters))
	for i, l := range letters {
		ids[len(letters)-1-i] = l.ID
	}
	return ids, err
}

// run replays letters one by one.
func (f *replayFlags) run(ctx context.Context, cmd *cobra.Command, desk *deadletter.Service, ids []string) error {
	r := replayReport{DryRun: f.dryRun, Letters: []replayLine{}}
	progress := newProgress(cmd.ErrOrStderr(), len(ids))
	for _, id := range ids {
		line := replayLine{ID: id}
		if f.dryRun {
			line.foresee(desk.DryRun(ctx, id, f.request))
		} else {
			_, err := desk.Replay(ctx, id, f.request)
			line.replayed(err)
		}
		r.add(line)
		progress.step(r)
		if ctx.Err() != nil {
			break
		}
	}
	progress.end()
	r.Untried = len(ids) - len(r.Letters)
	return r.print(cmd.OutOrStdout(), f.asJSON)
}

func readBody(in io.Reader, file string) ([]byte, error) {
	var body []byte
	var err error
	if file == "-" {
		body, err = io.ReadAll(in)
	} else {
		body, err = os.ReadFile(file)
	}
	if err == nil && body == nil {
		body = []byte{}
	}
	return body, err
}

func deadDiscardCommand() *cobra.Command {
	var r deadletter.Request
	cmd := &cobra.Command{
		Use: "discard ID...", Short: "Decide that nothing is to come of dead letters; they stay readable", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			if err := r.ValidateDiscard(); err != nil {
				return err
			}
			return withDesk(cmd, false, func(ctx context.Context, desk *deadletter.Service) error {
				left := 0
				for _, id := range ids {
					if _, err := desk.Discard(ctx, id, r); err != nil {
						left++
						fmt.Fprintf(cmd.OutOrStdout(), "%s  not discarded: %s\n", id, reasonFor(err))
						continue
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s  discarded\n", id)
				}
				if left > 0 {
					return errNotAll
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&r.Note, "note", "", "why; mandatory")
	cmd.Flags().StringVar(&r.By, "by", operator(os.Getenv("USER")), "who decides")
	_ = cmd.MarkFlagRequired("note")
	return cmd
}

// reasonFor says why something was not done, for people.
func reasonFor(err error) string {
	if errors.Is(err, fault.ResolutionRefused) || errors.Is(err, fault.NotFound) {
		return fault.SafeMessage(err)
	}
	return err.Error()
}
