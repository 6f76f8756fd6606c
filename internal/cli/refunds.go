package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/client"
)

// lineFlags are lines of a refund, a return or a receipt as flags: a position or a SKU, a colon, and a quantity.
type lineFlags []client.RefundLine

func (*lineFlags) Type() string { return "LINE:QUANTITY" }

func (l *lineFlags) String() string {
	var all []string
	for _, line := range *l {
		name := line.SKU
		if name == "" {
			name = strconv.Itoa(line.Line)
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
	line := client.RefundLine{Quantity: quantity}
	if n, err := strconv.Atoi(value[:at]); err == nil {
		line.Line = n
	} else {
		line.SKU = value[:at]
	}
	*l = append(*l, line)
	return nil
}

// maxWait is how long --wait waits.
const maxWait = time.Minute

// orderCall is a command that sends one request about an order to the REST API, and prints the answer.
type orderCall[T any] struct {
	id        func(T) string
	completed func(T) bool
	inWords   func(io.Writer, T) error

	key          keyed
	asJSON, wait bool
	by           string
}

func (r *orderCall[T]) flags(cmd *cobra.Command) {
	cmd.Long = cmd.Short + ".\n\nThe command calls the API at ORDERSAGA_URL, by default " + localURL + ", with the key in ORDERSAGA_API_KEY."
	jsonFlag(cmd, &r.asJSON, "print JSON")
	r.key.flag(cmd)
}

// waitFlags are those of a request to start a saga.
func (r *orderCall[T]) waitFlags(cmd *cobra.Command, what string) {
	r.flags(cmd)
	cmd.Flags().BoolVar(&r.wait, "wait", false, "wait until the "+what+" has ended, a minute at most; exit code 7 if it was not completed")
	cmd.Flags().StringVar(&r.by, "by", "", "the person who requests it, where callers are not authenticated")
}

// run sends the request with one of two methods of the client.
func (r *orderCall[T]) run(cmd *cobra.Command, send, wait func(ctx context.Context, key client.Option) (T, error)) error {
	ask := func(ctx context.Context) (T, error) { return send(ctx, r.key.option()) }
	if r.wait {
		ask = func(ctx context.Context) (T, error) {
			return within(ctx, maxWait, r.id, func(ctx context.Context) (T, error) { return wait(ctx, r.key.option()) })
		}
	}
	answer, err := ask(cmd.Context())
	if err != nil {
		return r.key.failed(err)
	}
	if err = printValue(cmd.OutOrStdout(), r.asJSON, answer, r.inWords); err == nil && r.wait && !r.completed(answer) {
		err = errNotCompleted
	}
	return err
}

// within waits for the end of a saga. What has begun and not ended when the time is over is returned as it is.
func within[T any](ctx context.Context, limit time.Duration, id func(T) string, wait func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	last, err := wait(ctx)
	if errors.Is(err, context.DeadlineExceeded) && id(last) != "" {
		return last, nil
	}
	return last, err
}

func refundCommand() *cobra.Command {
	r := orderCall[client.Refund]{
		id: func(r client.Refund) string { return r.ID }, completed: func(r client.Refund) bool { return r.Status == "refunded" }, inWords: printRefund,
	}
	var body client.RefundRequest
	cmd := &cobra.Command{
		Use: "refund ORDER", Short: "Refund an order, or a part of it", Args: cobra.ExactArgs(1),
		Example: `  ordersaga refund shop-1001 --amount 450 --reason "late delivery"
  ordersaga refund shop-1001 --line 1:2 --line tea:1 --restock --wait`,
		RunE: remoteCommand(func(cmd *cobra.Command, args []string, c *client.Client) error {
			body.By = r.by
			return r.run(cmd, func(ctx context.Context, key client.Option) (client.Refund, error) {
				return c.RefundOrder(ctx, args[0], body, key)
			}, func(ctx context.Context, key client.Option) (client.Refund, error) {
				return c.RefundOrderAndWait(ctx, args[0], body, key)
			})
		}),
	}
	r.waitFlags(cmd, "refund")
	flags := cmd.Flags()
	flags.Int64Var(&body.Amount, "amount", 0, "the amount, in minor units")
	flags.Var((*lineFlags)(&body.Lines), "line", "a line, by its position or SKU, and a quantity; may be repeated")
	flags.StringVar(&body.Reason, "reason", "", "the reason; it is published")
	flags.BoolVar(&body.Restock, "restock", false, "put the lines into stock again")
	cmd.MarkFlagsOneRequired("amount", "line")
	cmd.MarkFlagsMutuallyExclusive("amount", "line")
	return cmd
}

func printRefund(w io.Writer, r client.Refund) error {
	_, err := fmt.Fprintf(w, "refund %s of %d %s: %s\n", printable(r.ID), r.Amount, printable(r.Currency), outcome(r.Status, r.Refusal))
	return err
}

// outcome is a status with its reason.
func outcome(status string, refusal *client.RefundRefusal) string {
	if refusal != nil {
		status += ", " + refusal.Reason
	}
	return printable(status)
}

func returnCommand() *cobra.Command {
	r := orderCall[client.Return]{
		id:        func(r client.Return) string { return r.ID },
		completed: func(r client.Return) bool { return r.Status == client.StatusCompleted }, inWords: printReturn,
	}
	var noRefund, noRestock bool
	var body client.ReturnRequest
	cmd := &cobra.Command{
		Use: "return ORDER", Short: "Announce that goods of an order come back", Args: cobra.ExactArgs(1),
		Example: `  ordersaga return shop-1001 --line 1:1 --reason "does not fit"
  ordersaga return shop-1001 --line tea:2 --no-refund`,
		RunE: remoteCommand(func(cmd *cobra.Command, args []string, c *client.Client) error {
			refunded, restocked := !noRefund, !noRestock
			body.By, body.Refund, body.Restock = r.by, &refunded, &restocked
			return r.run(cmd, func(ctx context.Context, key client.Option) (client.Return, error) {
				return c.AnnounceReturn(ctx, args[0], body, key)
			}, func(ctx context.Context, key client.Option) (client.Return, error) {
				return c.AnnounceReturnAndWait(ctx, args[0], body, key)
			})
		}),
	}
	r.waitFlags(cmd, "return")
	flags := cmd.Flags()
	flags.StringVar(&body.ID, "id", "", "the ID of the return (default: a new one)")
	flags.Var((*lineFlags)(&body.Lines), "line", "a line, by its position or SKU, and a quantity; may be repeated")
	flags.StringVar(&body.Reason, "reason", "", "the reason; it is published")
	flags.BoolVar(&noRefund, "no-refund", false, "do not refund what is received")
	flags.BoolVar(&noRestock, "no-restock", false, "do not put what is received into stock")
	_ = cmd.MarkFlagRequired("line")
	cmd.AddCommand(receiveReturnCommand())
	return cmd
}

func receiveReturnCommand() *cobra.Command {
	r := orderCall[client.Return]{inWords: printReturn}
	var body client.Receipt
	cmd := &cobra.Command{
		Use: "receive ORDER RETURN", Short: "Report that goods of a return arrived at the warehouse", Args: cobra.ExactArgs(2),
		Example: `  ordersaga return receive shop-1001 return-1 --line 1:1`,
		RunE: remoteCommand(func(cmd *cobra.Command, args []string, c *client.Client) error {
			return r.run(cmd, func(ctx context.Context, key client.Option) (client.Return, error) {
				return c.ReceiveReturn(ctx, args[0], args[1], body, key)
			}, nil)
		}),
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&body.ID, "id", "", "the ID of the receipt (default: a new one)")
	cmd.Flags().Var((*lineFlags)(&body.Lines), "line", "a line, by its position or SKU, and a quantity; may be repeated (default: everything that is missing)")
	return cmd
}

func printReturn(w io.Writer, r client.Return) error {
	fmt.Fprintf(w, "return %s: %s\n", printable(r.ID), outcome(r.Status, r.Refusal))
	if r.RefundedAmount > 0 {
		fmt.Fprintf(w, "refunded: %d %s\n", r.RefundedAmount, printable(r.Currency))
	}
	if len(r.Lines) == 0 {
		return nil
	}
	rows := [][]string{{"LINE", "SKU", "ANNOUNCED", "RECEIVED"}}
	for _, l := range r.Lines {
		rows = append(rows, []string{strconv.Itoa(l.Line), printable(l.SKU), strconv.FormatInt(l.Quantity, 10), strconv.FormatInt(l.Received, 10)})
	}
	return printTable(w, rows...)
}
