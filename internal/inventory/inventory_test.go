package inventory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory/inventorytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLedgerInMemory(t *testing.T) {
	inventorytest.Run(t, inventorytest.Subject{Log: func(*testing.T) eventlog.Log { return memlog.New() }})
}
