package inventory_test

import (
	"context"
	"fmt"

	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
)

func Example() {
	ctx := context.Background()
	ledger, err := inventory.New(inventory.Config{Log: memlog.New(), Registry: new(inventory.MemoryRegistry)})
	if err != nil {
		panic(err)
	}
	defer ledger.Close()

	if _, err := ledger.Receive(ctx, "LAMP-1", 3, "delivery-7"); err != nil {
		panic(err)
	}
	for _, orderID := range []string{"o-1", "o-2", "o-1"} {
		got, err := ledger.Reserve(ctx, orderID, "LAMP-1", 2)
		fmt.Println(orderID, got.Effect, got.Reason, err)
	}
	fmt.Println(ledger.Release(ctx, "o-1", "LAMP-1"))
	fmt.Println(ledger.Balance(ctx, "LAMP-1"))
	// Output:
	// o-1 done  <nil>
	// o-2 refused out_of_stock <nil>
	// o-1 done  <nil>
	// <nil>
	// {LAMP-1 3 0 3 4 0} <nil>
}
