package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

// requestLine is a line of a refund, a return or a receipt.
type requestLine struct {
	Line     int64  `json:"line,omitempty"`
	SKU      string `json:"sku,omitempty"`
	Quantity int64  `json:"quantity"`
}

// lineFlags are lines as flags: a position or a SKU, a colon, and a quantity.
type lineFlags []requestLine

func (*lineFlags) Type() string { return "LINE:QUANTITY" }

func (l *lineFlags) String() string {
	var all []string
	for _, line := range *l {
		name := line.SKU
		if name == "" {
			name = strconv.FormatInt(line.Line, 10)
		}
		all = append(all, name+":"+strconv.FormatInt(line.Quantity, 10))
	}
	return strings.Join(all, " ")
}

func (l *lineFlags) Set(value string) error {
	at := strings.LastIndexByte(value, ':')
	if at <= 0 {
		return errors.New("expected a line and a quantity, such as 1:2 or tea:2")
	}
	quantity, err := strconv.ParseInt(value[at+1:], 10, 64)
	if err != nil || quantity < 1 {
		return errors.New("the quantity must be a number from 1")
	}
	line := requestLine{Quantity: quantity}
	if n, err := strconv.ParseInt(value[:at], 10, 64); err == nil {
		line.Line = n
	} else {
		line.SKU = value[:at]
	}
	*l = append(*l, line)
	return nil
}

// restRequest is a command that sends one request.
type restRequest struct {
	key, by string
	json    bool
	wait    bool
}

const restLong = `

The command calls the API at ORDERSAGA_URL, by default ` + defaultURL + `, with the key in ORDERSAGA_API_KEY.`

func (r *restRequest) flags(cmd *cobra.Command, waits string) {
	cmd.Long = cmd.Short + "." + restLong
	jsonFlag(cmd, &r.json, "print the answer of the API as JSON")
	cmd.Flags().StringVar(&r.key, "key", "", "Idempotency-Key, to repeat the command safely (default: a new one)")
	if waits != "" {
		cmd.Flags().BoolVar(&r.wait, "wait", false, waits)
		cmd.Flags().StringVar(&r.by, "by", "", "the person who requests it, where callers are not authenticated")
	}
}

// send sends the request and prints the answer.
func (r *restRequest) send(cmd *cobra.Command, path string, body any, inWords func(w io.Writer, answer json.RawMessage) error) error {
	c, err := newRESTClient()
	if err != nil {
		return err
	}
	headers := map[string]string{"Idempotency-Key": r.key}
	if r.key == "" {
		headers["Idempotency-Key"] = uuid.NewString()
	}
	if r.wait {
		headers["Prefer"] = "wait=60"
	}
	answer, err := c.post(cmd.Context(), path, body, headers)
	if err != nil {
		return err
	}
	return printValue(cmd.OutOrStdout(), r.json, answer, inWords)
}

func ordersPath(id, rest string) string { return "/v1/orders/" + url.PathEscape(id) + "/" + rest }

func refundCommand() *cobra.Command {
	var r restRequest
	var body struct {
		Amount  int64     `json:"amount,omitempty"`
		Lines   lineFlags `json:"lines,omitempty"`
		Reason  string    `json:"reason,omitempty"`
		Restock bool      `json:"restock,omitempty"`
		By      string    `json:"by,omitempty"`
	}
	cmd := &cobra.Command{
		Use: "refund ORDER", Short: "Refund an order, or a part of it", Args: cobra.ExactArgs(1),
		Example: `  ordersaga refund shop-1001 --amount 450 --reason "late delivery"
  ordersaga refund shop-1001 --line 1:2 --line tea:1 --restock --wait`,
		RunE: func(cmd *cobra.Command, args []string) error {
			body.By = r.by
			return r.send(cmd, ordersPath(args[0], "refunds"), body, printRefund)
		},
	}
	r.flags(cmd, "wait until the refund has ended, a minute at most")
	flags := cmd.Flags()
	flags.Int64Var(&body.Amount, "amount", 0, "the amount, in minor units")
	flags.Var(&body.Lines, "line", "a line, by its position or SKU, and a quantity; may be repeated")
	flags.StringVar(&body.Reason, "reason", "", "the reason; it is published")
	flags.BoolVar(&body.Restock, "restock", false, "put the lines into stock again")
	cmd.MarkFlagsOneRequired("amount", "line")
	cmd.MarkFlagsMutuallyExclusive("amount", "line")
	return cmd
}

func printRefund(w io.Writer, answer json.RawMessage) error {
	var d struct {
		ID, Status, Currency string
		Amount               int64
		Refusal              struct{ Reason string }
	}
	if err := json.Unmarshal(answer, &d); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "refund %s of %d %s: %s\n", printable(d.ID), d.Amount, printable(d.Currency), outcome(d.Status, d.Refusal.Reason))
	return err
}

// outcome is a status with its reason.
func outcome(status, reason string) string {
	if reason != "" {
		status += ", " + reason
	}
	return printable(status)
}

func returnCommand() *cobra.Command {
	var r restRequest
	var noRefund, noRestock bool
	var body struct {
		ID      string    `json:"id,omitempty"`
		Lines   lineFlags `json:"lines"`
		Reason  string    `json:"reason,omitempty"`
		Refund  bool      `json:"refund"`
		Restock bool      `json:"restock"`
		By      string    `json:"by,omitempty"`
	}
	cmd := &cobra.Command{
		Use: "return ORDER", Short: "Announce that goods of an order come back", Args: cobra.ExactArgs(1),
		Example: `  ordersaga return shop-1001 --line 1:1 --reason "does not fit"
  ordersaga return shop-1001 --line tea:2 --no-refund`,
		RunE: func(cmd *cobra.Command, args []string) error {
			body.By, body.Refund, body.Restock = r.by, !noRefund, !noRestock
			return r.send(cmd, ordersPath(args[0], "returns"), body, printReturn)
		},
	}
	r.flags(cmd, "wait until the return has ended, a minute at most")
	flags := cmd.Flags()
	flags.StringVar(&body.ID, "id", "", "the ID of the return (default: a new one)")
	flags.Var(&body.Lines, "line", "a line, by its position or SKU, and a quantity; may be repeated")
	flags.StringVar(&body.Reason, "reason", "", "the reason; it is published")
	flags.BoolVar(&noRefund, "no-refund", false, "do not refund what is received")
	flags.BoolVar(&noRestock, "no-restock", false, "do not put what is received into stock")
	_ = cmd.MarkFlagRequired("line")
	cmd.AddCommand(receiveReturnCommand())
	return cmd
}

func receiveReturnCommand() *cobra.Command {
	var r restRequest
	var body struct {
		ID    string    `json:"id,omitempty"`
		Lines lineFlags `json:"lines,omitempty"`
	}
	cmd := &cobra.Command{
		Use: "receive ORDER RETURN", Short: "Report that goods of a return arrived at the warehouse", Args: cobra.ExactArgs(2),
		Example: `  ordersaga return receive shop-1001 return-1 --line 1:1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.send(cmd, ordersPath(args[0], "returns/"+url.PathEscape(args[1])+"/receipts"), body, printReturn)
		},
	}
	r.flags(cmd, "")
	cmd.Flags().StringVar(&body.ID, "id", "", "the ID of the receipt (default: a new one)")
	cmd.Flags().Var(&body.Lines, "line", "a line, by its position or SKU, and a quantity; may be repeated (default: everything that is missing)")
	return cmd
}

func printReturn(w io.Writer, answer json.RawMessage) error {
	var d struct {
		ID, Status, Currency string
		RefundedAmount       int64
		Refusal              struct{ Reason string }
		Lines                []struct {
			Line, Quantity, Received int64
			SKU                      string
		}
	}
	if err := json.Unmarshal(answer, &d); err != nil {
		return err
	}
	fmt.Fprintf(w, "return %s: %s\n", printable(d.ID), outcome(d.Status, d.Refusal.Reason))
	if d.RefundedAmount > 0 {
		fmt.Fprintf(w, "refunded: %d %s\n", d.RefundedAmount, printable(d.Currency))
	}
	if len(d.Lines) == 0 {
		return nil
	}
	rows := [][]string{{"LINE", "SKU", "ANNOUNCED", "RECEIVED"}}
	for _, l := range d.Lines {
		rows = append(rows, []string{strconv.FormatInt(l.Line, 10), printable(l.SKU), strconv.FormatInt(l.Quantity, 10), strconv.FormatInt(l.Received, 10)})
	}
	return printTable(w, rows...)
}
