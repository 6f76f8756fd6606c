package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/participantcheck"
)

func participantCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "participant-check", Short: "Check your own warehouse or payment service against the contract of HTTP participants",
		Long: `Check your own warehouse or payment service against the contract of HTTP participants, api/participant.yaml.

The check makes real reservations and payments, repeated, late, concurrent and abandoned ones: use a test system, and let nothing else change the
SKU meanwhile. The exit code is 1 if the service breaks a rule.`,
	}
	cmd.AddCommand(checkInventoryCommand(), checkPaymentCommand())
	return cmd
}

// participantFlags are the flags of both checks.
type participantFlags struct {
	secret, caFile string
	timeout        duration
	rules          []string
	asJSON         bool
}

func (f *participantFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.secret, "secret", "", "shared secret, whsec_… (default PARTICIPANT_SECRET, or the content of PARTICIPANT_SECRET_FILE); without it requests are not signed")
	flags.StringVar(&f.caFile, "ca-file", "", "PEM file of the authorities that may sign the service's certificate (default those of the system)")
	f.timeout = duration(5 * time.Second)
	flags.Var(&f.timeout, "timeout", "how long to wait for each answer")
	flags.StringSliceVar(&f.rules, "rule", nil, "check only this rule; may be repeated")
	jsonFlag(cmd, &f.asJSON, "print the report as JSON")
}

func checkInventoryCommand() *cobra.Command {
	var f participantFlags
	cfg := participantcheck.Config{Service: participantcheck.Inventory}
	cmd := &cobra.Command{
		Use: "inventory URL", Short: "Check an inventory service", Args: cobra.ExactArgs(1),
		Example: `  ordersaga participant-check inventory http://127.0.0.1:9000 --sku tea`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg.URL = args[0]
			return checkParticipant(cmd, cfg, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.SKU, "sku", "tea", fmt.Sprintf("a SKU with at least %d in stock; some of it is committed", participantcheck.Stock))
	flags.StringVar(&cfg.UnknownSKU, "unknown-sku", "no-such-sku", "a SKU that the service does not know")
	f.add(cmd)
	return cmd
}

func checkPaymentCommand() *cobra.Command {
	var f participantFlags
	cfg := participantcheck.Config{Service: participantcheck.Payment}
	cmd := &cobra.Command{
		Use: "payment URL", Short: "Check a payment service", Args: cobra.ExactArgs(1),
		Example: `  ordersaga participant-check payment http://127.0.0.1:9000 --method tok_visa --refused-method tok_declined`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg.URL = args[0]
			return checkParticipant(cmd, cfg, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.Method, "method", "tok_visa", "a payment method that is approved")
	flags.StringVar(&cfg.RefusedMethod, "refused-method", "tok_declined", "a payment method that is refused")
	flags.StringVar(&cfg.PendingMethod, "pending-method", "", "a payment method that waits for its payer; without it this is not checked")
	flags.StringVar(&cfg.CaptureRefusedMethod, "capture-refused-method", "", "a payment method that is authorized, and whose capture is refused; without it this is not checked")
	flags.StringVar(&cfg.Currency, "currency", "EUR", fmt.Sprintf("currency of the payments, of %d minor units each", participantcheck.Amount))
	f.add(cmd)
	return cmd
}

// errRulesBroken has no text of its own: the report says everything.
var errRulesBroken = errors.New("the service breaks rules of the contract")

func checkParticipant(cmd *cobra.Command, cfg participantcheck.Config, f participantFlags) error {
	var err error
	if cfg.Secret, err = participantSecret(f.secret); err != nil {
		return err
	}
	cfg.Timeout, cfg.Rules = time.Duration(f.timeout), f.rules
	tlsConfig, err := config.TLSFiles{CA: f.caFile}.Client()
	if err != nil {
		return fmt.Errorf("--ca-file: %w", err)
	}
	if tlsConfig != nil {
		cfg.Transport = http.DefaultTransport.(*http.Transport).Clone()
		cfg.Transport.TLSClientConfig = tlsConfig
	}
	progress := cmd.OutOrStdout()
	if f.asJSON {
		progress = cmd.ErrOrStderr()
	}
	cfg.Progress = func(r participantcheck.Result) { printRule(progress, r, !f.asJSON) }
	report, err := participantcheck.Check(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	if f.asJSON {
		err = printJSON(cmd.OutOrStdout(), report)
	} else {
		err = printChecked(cmd.OutOrStdout(), report)
	}
	if err == nil && !report.Passed {
		err = errRulesBroken
	}
	return err
}

// participantSecret returns the secret of the flag, or that of the service's setting. The other settings are not read: the service may run elsewhere.
func participantSecret(flag string) (string, error) {
	secret := cmp.Or(flag, os.Getenv("PARTICIPANT_SECRET"))
	if file := os.Getenv("PARTICIPANT_SECRET_FILE"); secret == "" && file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("PARTICIPANT_SECRET_FILE: %w", err)
		}
		secret = string(content)
	}
	if all := strings.Fields(secret); len(all) > 0 { // several while a secret is replaced
		return all[0], nil
	}
	return "", nil
}

// printRule prints the result of a rule: one line, and details of a failure.
func printRule(w io.Writer, r participantcheck.Result, details bool) {
	status := map[participantcheck.Status]string{participantcheck.Passed: "ok", participantcheck.Failed: "FAIL", participantcheck.Skipped: "skip"}[r.Status]
	note := r.Contract
	if r.Note != "" {
		note += " (" + r.Note + ")"
	}
	fmt.Fprintf(w, "%-5s %-24s %s\n", status, r.Rule, note)
	if r.Failure == nil || !details {
		return
	}
	f := *r.Failure
	last := len(f.Exchanges) - 1
	for _, e := range f.Exchanges[:last] {
		fmt.Fprintf(w, "        before    %s\n", oneLine(e))
	}
	e := f.Exchanges[last]
	fmt.Fprintf(w, "        step      %s\n", printable(f.Step))
	fmt.Fprintf(w, "        sent      %s\n", request(e))
	fmt.Fprintf(w, "        came      %s\n", came(e))
	if f.Problem != "" {
		fmt.Fprintf(w, "        problem   %s\n", printable(f.Problem))
	}
	fmt.Fprintf(w, "        expected  %s\n", printable(f.Expected))
	fmt.Fprintf(w, "        fix       %s\n\n", r.Fix)
}

// maxShown is how many characters of a body are printed. The JSON report has all.
const maxShown = 400

func request(e participantcheck.Exchange) string {
	text := e.Method + " " + e.Path
	if e.Sent != "" {
		text += " " + e.Sent
	}
	if e.Special != "" {
		text += " (" + e.Special + ")"
	}
	return shorten(printable(text), maxShown)
}

func came(e participantcheck.Exchange) string {
	if e.Error != "" {
		return shorten(printable("no answer: "+e.Error), maxShown)
	}
	return shorten(printable(strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, strings.TrimSpace(e.Came)))), maxShown)
}

func oneLine(e participantcheck.Exchange) string { return request(e) + " -> " + came(e) }

func printChecked(w io.Writer, report participantcheck.Report) error {
	count := make(map[participantcheck.Status]int)
	for _, r := range report.Results {
		count[r.Status]++
	}
	_, err := fmt.Fprintf(w, "%d rules passed, %d failed, %d skipped: %s at %s\n",
		count[participantcheck.Passed], count[participantcheck.Failed], count[participantcheck.Skipped], report.Service, report.URL)
	return err
}
