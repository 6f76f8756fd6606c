package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/client"
)

func stockCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "stock [SKU]", Short: "Show the stock of every SKU or of one, or change it", Args: cobra.MaximumNArgs(1),
		Example: `  ordersaga stock tea
  ordersaga stock receive tea 100
  ordersaga stock adjust --note broken tea -- -2`,
		RunE: remoteCommand(func(cmd *cobra.Command, args []string, c *client.Client) error {
			if len(args) == 1 {
				s, err := c.Stock(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return printValue(cmd.OutOrStdout(), asJSON, s, printOneStock)
			}
			all, err := first(c.StockList(cmd.Context()), 0)
			if err != nil {
				return err
			}
			return printValue(cmd.OutOrStdout(), asJSON, all, printStock)
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	var note string
	adjust := stockChange("adjust SKU DIFFERENCE", "Correct the stock by a difference", func(ctx context.Context, c *client.Client, sku string, n int64, o client.Option) (client.Stock, error) {
		return c.AdjustStock(ctx, sku, n, note, o)
	})
	adjust.Flags().StringVar(&note, "note", "", "the reason, for people")
	cmd.AddCommand(adjust,
		stockChange("receive SKU QUANTITY", "Add received stock", func(ctx context.Context, c *client.Client, sku string, n int64, o client.Option) (client.Stock, error) {
			return c.ReceiveStock(ctx, sku, n, o)
		}),
		stockChange("count SKU COUNTED", "Set the stock to the counted quantity, reserved goods included", func(ctx context.Context, c *client.Client, sku string, n int64, o client.Option) (client.Stock, error) {
			return c.CountStock(ctx, sku, n, o)
		}))
	return cmd
}

func stockChange(use, short string, change func(context.Context, *client.Client, string, int64, client.Option) (client.Stock, error)) *cobra.Command {
	var asJSON bool
	var key keyed
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(2),
		RunE: remoteCommand(func(cmd *cobra.Command, args []string, c *client.Client) error {
			n, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil {
				return usageError{fmt.Errorf("%q is not a number", args[1])}
			}
			s, err := change(cmd.Context(), c, args[0], n, key.option())
			if err != nil {
				return key.failed(err)
			}
			return printValue(cmd.OutOrStdout(), asJSON, s, printOneStock)
		}),
	}
	jsonFlag(cmd, &asJSON, "print JSON")
	key.flag(cmd)
	return cmd
}

func printOneStock(w io.Writer, s client.Stock) error { return printStock(w, []client.Stock{s}) }

func printStock(w io.Writer, stock []client.Stock) error {
	rows := [][]string{{"SKU", "ON HAND", "RESERVED", "AVAILABLE", "SHORTFALL"}}
	for _, s := range stock {
		row := []string{printable(s.SKU)}
		for _, n := range []int64{s.OnHand, s.Reserved, s.Available, s.Shortfall} {
			row = append(row, strconv.FormatInt(n, 10))
		}
		rows = append(rows, row)
	}
	return printTable(w, rows...)
}
