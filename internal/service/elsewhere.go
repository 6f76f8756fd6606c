package service

import (
	"context"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
)

// stockElsewhere is the stock of an inventory service: this service does not know it.
type stockElsewhere struct{}

var errStockElsewhere = fault.New(fault.StockElsewhere, "INVENTORY is http: the stock is kept by the inventory service, which shows and changes it")

func (stockElsewhere) Balance(context.Context, string) (b inventory.Balance, err error) {
	return b, errStockElsewhere
}

func (stockElsewhere) List(context.Context, string, int) ([]inventory.Balance, string, error) {
	return nil, "", errStockElsewhere
}

func (stockElsewhere) Receive(context.Context, string, int64, string) (b inventory.Balance, err error) {
	return b, errStockElsewhere
}

func (stockElsewhere) Adjust(context.Context, string, int64, string, inventory.Remark) (b inventory.Balance, err error) {
	return b, errStockElsewhere
}

func (stockElsewhere) Count(context.Context, string, int64, string, inventory.Remark) (b inventory.Balance, err error) {
	return b, errStockElsewhere
}

// receivesElsewhere is a receiver of goods that this service does not keep.
type receivesElsewhere struct{}

func (receivesElsewhere) Receive(context.Context, string, int64, string) error {
	return errStockElsewhere
}
