package inventory_test

import (
	"testing"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory/inventorytest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestLedgerInMemory(t *testing.T) {
	inventorytest.Run(t, inventorytest.Subject{Log: func(*testing.T) eventlog.Log { return memlog.New() }})
}
