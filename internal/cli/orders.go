package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/client"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func newKey() string { return rand.Text() }

// placeFlags is an order as flags.
type placeFlags struct {
	file, data string
	lines      []string
	order      client.OrderRequest
	method     string
	wait       duration
	asJSON     bool
	key        keyed
}

func placeCommand() *cobra.Command {
	var f placeFlags
	cmd := &cobra.Command{
		Use: "place", Short: "Place an order, and wait for its end with --wait", Args: cobra.NoArgs,
		Example: `  ordersaga place --customer customer-7 --currency EUR --line tea:1:450 --payment tok_visa --wait 30s
  ordersaga place --file order.json --json`,
		RunE: remoteCommand(func(cmd *cobra.Command, _ []string, c *client.Client) error {
			request, err := f.request(cmd.InOrStdin())
			if err != nil {
				return usageError{err}
			}
			o, err := f.place(cmd.Context(), c, request)
			if err != nil {
				return f.key.failed(err)
			}
			if err = printValue(cmd.OutOrStdout(), f.asJSON, o, printOrder); err == nil && f.wait > 0 && o.Status != client.StatusCompleted {
				err = errNotCompleted
			}
			return err
		}),
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "file", "f", "", "file with the order as JSON; - for standard input")
	flags.StringVarP(&f.data, "data", "d", "", "the order as JSON")
	flags.StringVar(&f.order.ID, "id", "", "ID of the order (default: one is generated)")
	flags.StringVar(&f.order.CustomerID, "customer", "", "ID of the customer")
	flags.StringVar(&f.order.Currency, "currency", "", "currency, such as EUR")
	flags.StringArrayVar(&f.lines, "line", nil, "SKU:QUANTITY:AMOUNT, the amount of one in minor units; repeatable")
	flags.StringVar(&f.method, "payment", "", "payment method")
	flags.StringVar(&f.order.Fulfillment, "fulfillment", "", "immediate (default) or shipment")
	flags.Var(&f.wait, "wait", "wait until the order has ended, at most this long; exit code 7 if it was not completed")
	jsonFlag(cmd, &f.asJSON, "print the order as JSON")
	f.key.flag(cmd)
	cmd.MarkFlagsMutuallyExclusive("file", "data", "line")
	cmd.MarkFlagsOneRequired("file", "data", "line")
	return cmd
}

// request is the order of the flags, or of the JSON.
func (f *placeFlags) request(stdin io.Reader) (client.OrderRequest, error) {
	o := f.order
	if len(f.lines) == 0 {
		raw := []byte(f.data)
		if f.data == "" {
			var err error
			if raw, err = readInput(stdin, f.file); err != nil {
				return o, err
			}
		}
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&o); err != nil {
			return o, fmt.Errorf("the order is not as in POST /v1/orders: %w", err)
		}
		return o, nil
	}
	if f.method != "" {
		o.Payment = &client.Payment{Method: f.method}
	}
	for _, text := range f.lines {
		l, err := lineOf(text)
		if err != nil {
			return o, err
		}
		o.Lines = append(o.Lines, l)
	}
	return o, nil
}

// lineOf reads SKU:QUANTITY:AMOUNT. A SKU may contain colons.
func lineOf(text string) (l client.LineRequest, err error) {
	parts := strings.Split(text, ":")
	if len(parts) >= 3 {
		n := len(parts)
		var amountErr error
		l.SKU = strings.Join(parts[:n-2], ":")
		l.Quantity, err = strconv.ParseInt(parts[n-2], 10, 64)
		l.UnitAmount, amountErr = strconv.ParseInt(parts[n-1], 10, 64)
		err = errors.Join(err, amountErr)
	}
	if len(parts) < 3 || err != nil {
		return l, fmt.Errorf("--line %s: expected SKU:QUANTITY:AMOUNT, such as tea:1:450", text)
	}
	return l, nil
}

func (f *placeFlags) place(ctx context.Context, c *client.Client, o client.OrderRequest) (client.Order, error) {
	option := f.key.option()
	if f.wait == 0 {
		return c.PlaceOrder(ctx, o, option)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(f.wait))
	defer cancel()
	placed, err := c.PlaceOrderAndWait(ctx, o, option)
	if errors.Is(err, context.DeadlineExceeded) && placed.ID != "" {
		return placed, nil // it is printed, as it is
	}
	return placed, err
}

func printOrder(w io.Writer, o client.Order) error {
	rows := [][]string{{"order", printable(o.ID)}, {"status", o.Status}}
	add := func(name, text string) {
		if text != "" {
			rows = append(rows, []string{name, printable(text)})
		}
	}
	add("reason", o.Reason)
	add("customer", o.CustomerID)
	add("total", fmt.Sprintf("%d %s", o.TotalAmount, o.Currency))
	if o.RefundedAmount > 0 {
		add("refunded", fmt.Sprintf("%d %s", o.RefundedAmount, o.Currency))
	}
	for _, l := range o.Lines {
		add(fmt.Sprintf("line %d", l.Line), fmt.Sprintf("%d × %s at %d", l.Quantity, l.SKU, l.UnitAmount))
	}
	for _, p := range o.Parcels {
		add("parcel", strings.Join(strings.Fields(cmp.Or(p.ParcelID, p.TrackingNumber)+" "+p.Carrier+" "+p.Status), " "))
	}
	add("created", o.CreatedAt.Format(time.RFC3339))
	add("updated", o.UpdatedAt.Format(time.RFC3339))
	add("web UI", o.Links.Saga)
	return printTable(w, rows...)
}

func getCommand() *cobra.Command {
	var asJSON bool
	var until moment
	cmd := &cobra.Command{
		Use: "get ID", Short: "Show an order and its events, now or as it was with --until", Args: cobra.ExactArgs(1),
		Example: `  ordersaga get shop-1001
  ordersaga get shop-1001 --until 4 --json
  ordersaga get shop-1001 --until 2026-01-31T12:00:00Z`,
		RunE: remoteCommand(func(cmd *cobra.Command, args []string, c *client.Client) error {
			o, err := until.order(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return printJSON(out, o)
			}
			events, err := client.Collect(c.OrderEvents(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			if err := printOrder(out, o); err != nil {
				return err
			}
			fmt.Fprintln(out)
			return printEvents(out, slices.DeleteFunc(events, func(e client.Event) bool { return e.Version > o.Version }))
		}),
	}
	cmd.Flags().Var(&until, "until", "show the order after the event of this version, or as it was at this RFC 3339 time")
	jsonFlag(cmd, &asJSON, "print the order as JSON")
	return cmd
}

// moment is the version or the time of an order that a command shows; the zero value is now.
type moment struct {
	text    string
	version int64
	at      time.Time
}

func (m *moment) String() string { return m.text }

// Type names the value in the help.
func (m *moment) Type() string { return "version|time" }

func (m *moment) Set(text string) (err error) {
	*m = moment{text: text}
	if m.version, err = strconv.ParseInt(text, 10, 64); err == nil && m.version > 0 {
		return nil
	}
	if m.at, err = event.ParseTime(text); err != nil {
		return errors.New("expected the version of an event, from 1, or a time such as 2026-01-31T12:00:00Z")
	}
	m.version = 0
	return nil
}

func (m *moment) order(ctx context.Context, c *client.Client, id string) (client.Order, error) {
	switch {
	case m.version > 0:
		return c.OrderVersion(ctx, id, m.version)
	case !m.at.IsZero():
		return c.OrderAt(ctx, id, m.at)
	}
	return c.Order(ctx, id)
}

func printEvents(w io.Writer, events []client.Event) error {
	rows := [][]string{{"#", "TIME", "EVENT", "DATA"}}
	for _, e := range events {
		rows = append(rows, []string{strconv.FormatInt(e.Version, 10), e.Time.Format(time.RFC3339), printable(e.Type), dataText(e.Type, e.Data)})
	}
	return printTable(w, rows...)
}

// listFlags are what commands that list orders or sagas have in common.
type listFlags struct {
	client.Filter
	limit  int
	asJSON bool
}

func (f *listFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.Statuses, "status", nil, "only these statuses, such as completed")
	cmd.Flags().StringVar(&f.Reason, "reason", "", "only this reason, such as payment_declined")
	cmd.Flags().StringVar(&f.CustomerID, "customer", "", "only orders of this customer")
	cmd.Flags().IntVar(&f.limit, "limit", 50, "how many; 0 for all")
	jsonFlag(cmd, &f.asJSON, "print JSON")
}

// first collects the first items.
func first[T any](items iter.Seq2[T, error], limit int) ([]T, error) {
	all := []T{}
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		if all = append(all, item); len(all) == limit {
			break
		}
	}
	return all, nil
}

func listCommand() *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List orders, newest first", Args: cobra.NoArgs,
		RunE: remoteCommand(func(cmd *cobra.Command, _ []string, c *client.Client) error {
			orders, err := first(c.Orders(cmd.Context(), f.Filter), f.limit)
			if err != nil {
				return err
			}
			return printValue(cmd.OutOrStdout(), f.asJSON, orders, printOrders)
		}),
	}
	f.flags(cmd)
	return cmd
}

func printOrders(w io.Writer, orders []client.Order) error {
	rows := [][]string{{"ORDER", "STATUS", "CREATED", "CUSTOMER", "TOTAL", "REASON"}}
	for _, o := range orders {
		rows = append(rows, []string{
			printable(o.ID), o.Status, o.CreatedAt.Format(time.RFC3339), printable(o.CustomerID), fmt.Sprintf("%d %s", o.TotalAmount, o.Currency), cmp.Or(o.Reason, "-"),
		})
	}
	return printTable(w, rows...)
}

func cancelCommand() *cobra.Command {
	var flow, reason string
	var key keyed
	cmd := &cobra.Command{
		Use: "cancel ID", Short: "Cancel an order or another saga, and wait for the answer of its saga", Args: cobra.ExactArgs(1),
		RunE: remoteCommand(func(cmd *cobra.Command, args []string, c *client.Client) error {
			s, err := c.CancelSaga(cmd.Context(), flow, args[0], reason, key.option())
			if err != nil {
				return key.failed(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s: cancellation accepted; it is %s\n", s.Flow, printable(s.ID), s.Status)
			return err
		}),
	}
	cmd.Flags().StringVar(&flow, "flow", order.Flow.Name, "the flow of the saga")
	cmd.Flags().StringVar(&reason, "reason", "", "the reason, for people; no personal data")
	key.flag(cmd)
	return cmd
}
