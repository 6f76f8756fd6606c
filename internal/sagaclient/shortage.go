package sagaclient

import (
	"context"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/shortage"
)

// SettleShortage starts the saga that notifies the orders that hold more of a SKU than is on hand. Errors: Unavailable.
func (c *Client) SettleShortage(ctx context.Context, sku string) error {
	err := wake(ctx, c.temporal, shortage.WorkflowID(sku), shortage.Signal, shortage.Summary(sku), nil, shortage.Workflow, shortage.Input{SKU: sku})
	return fault.Wrap(err, fault.Unavailable, "start the shortage saga of sku %s", sku)
}

// InspectShortage describes the newest run of a SKU's shortage saga. Errors: Unavailable.
func (c *Client) InspectShortage(ctx context.Context, sku string) (reconcile.Run, error) {
	return inspect(ctx, c.temporal, shortage.WorkflowID(sku), "sku "+sku)
}

// StockLost notifies the saga of an order that stock which it holds is missing. An open order whose workflow is gone gets a new
// run first. It does nothing for an order that has ended. Errors: OrderUnknown, Unavailable.
func (c *Client) StockLost(ctx context.Context, orderID, sku string) error {
	_, err := c.Signal(ctx, orderID, order.SignalStockLost, order.StockLost{SKU: sku})
	return err
}
