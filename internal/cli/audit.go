package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/service"
)

// errDamaged ends the command when damage is found: its table has said which.
var errDamaged = errors.New("the log is damaged")

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Sign, export, prove and verify the event log"}
	key := &cobra.Command{Use: "key", Short: "Create keys that sign checkpoints"}
	key.AddCommand(auditKeyCommand())
	cmd.AddCommand(auditCheckpointCommand(), auditVerifyCommand(), auditExportCommand(), auditProveCommand(), key)
	return cmd
}

func auditKeyCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "new NAME", Short: "Write a new private key to a file and print its public key", Args: cobra.ExactArgs(1),
		Example: `  ordersaga audit key new shop.example.com/orders --out audit.key`,
		RunE: func(cmd *cobra.Command, args []string) error {
			private, public, err := audit.NewKey(args[0])
			if err != nil {
				return err
			}
			file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, privateMode)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(file, private)
			if err = errors.Join(err, file.Close()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), public)
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file for the private key, for AUDIT_SIGNING_KEY_FILE; it must not exist")
	_ = cmd.MarkFlagRequired("out")
	return cmd
}

// progressEvery is the least time between two lines about progress.
const progressEvery = time.Second

// brokerWait is how long a checkpoint waits for the broker.
const brokerWait = 10 * time.Second

// privateMode is the mode of files with private keys.
const privateMode = 0o600

func auditCheckpointCommand() *cobra.Command {
	var sweep, asJSON bool
	cmd := &cobra.Command{
		Use: "checkpoint", Short: "Sign a checkpoint if a stream has changed", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, quietLogger(cmd), service.Parts{Broker: true}, func(ctx context.Context, s *service.Service) error {
				// Without the broker, a later checkpoint publishes this one.
				connecting, cancel := context.WithTimeout(ctx, brokerWait)
				_ = s.AwaitBroker(connecting)
				cancel()
				created, err := s.Checkpoints().Create(ctx, sweep)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), created)
				}
				took := time.Duration(created.TookMillis) * time.Millisecond
				if !created.New {
					fmt.Fprintf(cmd.OutOrStdout(), "no stream has changed since checkpoint %d; in %s\n", created.N, took)
					return nil
				}
				fmt.Fprintf(cmd.OutOrStdout(), "checkpoint %d is signed: %d leaves, %d of them new; in %s\n", created.N, created.Size, created.Leaves, took)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&sweep, "sweep", false, "read all streams, not only those that changed recently")
	jsonFlag(cmd, &asJSON, "print JSON")
	return cmd
}

// auditFlags are the flags of audit verify.
type auditFlags struct {
	dir, proof, kept, state string
	keys                    []string
	since                   int64
	asJSON                  bool
}

func auditVerifyCommand() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use: "verify", Short: "Verify the log, an export or a proof against signed checkpoints", Args: cobra.NoArgs,
		Long: `Verify the log against its checkpoints and print the damage: the first damaged event of each stream, and whether it is changed, missing,
inserted, reordered, truncated, forked, or the stream is gone. The exit code is 1 if there is any. With --export or --proof only files and
keys are read, and no settings.`,
		Example: `  ordersaga audit verify
  ordersaga audit verify --export audit-2026 --key shop.pub --checkpoint kept-in-july
  ordersaga audit verify --proof order-1001.json --key shop.pub`,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.verify(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "export", "", "folder of an export to verify instead of the log")
	flags.StringVar(&f.proof, "proof", "", "file of a proof to verify instead of the log")
	flags.StringArrayVar(&f.keys, "key", nil, "public key of the log, or of a witness that must have cosigned the kept checkpoint or else the newest, or a file with such keys (default AUDIT_VERIFIER_KEYS and AUDIT_SIGNING_KEY)")
	flags.StringVar(&f.kept, "checkpoint", "", "file with a signed checkpoint that you have kept: the log must still contain it, a proof must be of it")
	flags.Int64Var(&f.since, "since", 0, "number of a checkpoint: verify only streams that changed after it, and that later checkpoints continue it")
	flags.StringVar(&f.state, "state", "", "file that remembers what is verified, to continue after an interruption")
	jsonFlag(cmd, &f.asJSON, "print the report as JSON")
	cmd.MarkFlagsMutuallyExclusive("export", "proof")
	return cmd
}

// options reads keys and kept checkpoints.
func (f auditFlags) options(cmd *cobra.Command) (audit.Options, error) {
	o := audit.Options{Since: f.since, State: f.state, Progress: progressOf(cmd.ErrOrStderr())}
	if f.kept != "" {
		text, err := os.ReadFile(f.kept)
		if err != nil {
			return o, err
		}
		o.Kept = []string{string(text)}
	}
	if len(f.keys) == 0 {
		return o, nil
	}
	var text strings.Builder
	for _, key := range f.keys {
		if content, err := os.ReadFile(key); err == nil {
			key = string(content)
		}
		text.WriteString(key + "\n")
	}
	var err error
	o.Keys, err = audit.ParseKeys(text.String())
	return o, err
}

// progressOf prints the number of events and the rate, at most once in progressEvery. The result is safe for concurrent use.
func progressOf(w io.Writer) func(events int64) {
	var mu sync.Mutex
	began := time.Now()
	printed := began
	return func(events int64) {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if now.Sub(printed) < progressEvery {
			return
		}
		printed = now
		fmt.Fprintf(w, "%d events, %.0f a second\n", events, float64(events)/now.Sub(began).Seconds())
	}
}

func (f auditFlags) verify(cmd *cobra.Command) error {
	o, err := f.options(cmd)
	if err != nil {
		return err
	}
	if f.dir == "" && f.proof == "" {
		return with(cmd, quietLogger(cmd), service.Parts{}, func(ctx context.Context, s *service.Service) error {
			if len(f.keys) == 0 {
				if o.Keys, err = s.AuditKeys(); err != nil {
					return fmt.Errorf("set AUDIT_VERIFIER_KEYS or AUDIT_SIGNING_KEY, or use --key: %w", err)
				}
			}
			report, err := s.Checkpoints().Verify(ctx, o)
			return f.print(cmd, report, err)
		})
	}
	if len(f.keys) == 0 {
		return errors.New("--key is required with --export and --proof")
	}
	if f.dir != "" {
		report, err := audit.VerifyExport(cmd.Context(), f.dir, o)
		return f.print(cmd, report, err)
	}
	text, err := os.ReadFile(f.proof)
	if err != nil {
		return err
	}
	report, err := audit.VerifyProof(text, o)
	return f.print(cmd, report, err)
}

func (f auditFlags) print(cmd *cobra.Command, report *audit.Report, err error) error {
	if err != nil {
		return err
	}
	if err := printValue(cmd.OutOrStdout(), f.asJSON, report, printAudit); err != nil {
		return err
	}
	if len(report.Findings) > 0 {
		return errDamaged
	}
	return nil
}

func printAudit(w io.Writer, r *audit.Report) error {
	if len(r.Findings) > 0 {
		rows := [][]string{{"DAMAGE", "WHERE", "DETAIL"}}
		for _, f := range r.Findings {
			where := fmt.Sprintf("%s@%d", f.Stream, f.Version)
			if f.Checkpoint > 0 {
				where = fmt.Sprintf("checkpoint %d", f.Checkpoint)
			}
			rows = append(rows, []string{string(f.Kind), printable(where), printable(f.Detail)})
		}
		if err := printTable(w, rows...); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	against := "there is no checkpoint that is valid"
	if r.Checkpoint > 0 {
		against = fmt.Sprintf("against checkpoint %d of %q with %d leaves", r.Checkpoint, r.Origin, r.Leaves)
	}
	_, err := fmt.Fprintf(w, "%d findings; %d events in %d streams verified, %s; %d events are newer", len(r.Findings), r.Events, r.Streams, against, r.Uncovered)
	if took := time.Duration(r.TookMillis) * time.Millisecond; err == nil && took > 0 {
		_, err = fmt.Fprintf(w, "; in %s, %.0f events a second", took, float64(r.Events)/took.Seconds())
	}
	if err == nil {
		_, err = fmt.Fprintln(w)
	}
	return err
}

func auditExportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "export DIR", Short: "Write what the newest checkpoint covers to a folder, for an auditor", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, quietLogger(cmd), service.Parts{}, func(ctx context.Context, s *service.Service) error {
				n, events, err := s.Checkpoints().Export(ctx, args[0], progressOf(cmd.ErrOrStderr()))
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d events up to checkpoint %d are in %s\n", events, n, args[0])
				return err
			})
		},
	}
}

func auditProveCommand() *cobra.Command {
	var since int64
	cmd := &cobra.Command{
		Use: "prove {ORDER | --since N}", Short: "Print a proof of the events of an order, or that the newest checkpoint continues an older one",
		Long: "Print a proof, which anyone verifies with the public key: of the events of an order, or that the newest checkpoint continues checkpoint N.",
		Example: `  ordersaga audit prove shop-1001 > proof.json
  ordersaga audit prove --since 7 > consistency.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("since") {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, quietLogger(cmd), service.Parts{}, func(ctx context.Context, s *service.Service) error {
				var proof any
				var err error
				if len(args) == 0 {
					proof, err = s.Checkpoints().ProveConsistency(ctx, since)
				} else {
					proof, err = s.Checkpoints().Prove(ctx, event.OrderStream(args[0]))
				}
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), proof)
			})
		},
	}
	cmd.Flags().Int64Var(&since, "since", 0, "number of an older checkpoint")
	return cmd
}
