package naive_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/ordersaga/ordersaga/bench/naive"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// bus notes what is published.
type bus struct {
	mu    sync.Mutex
	types []string
}

func (b *bus) PublishRecords(_ context.Context, records []event.Record) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range records {
		b.types = append(b.types, r.Type)
	}
	return len(records), nil
}

// Both sagas append and publish the events of ordersaga's saga, and leave stock and money as they must be.
func TestNaiveSagaHasTheSameSteps(t *testing.T) {
	paths := map[string]struct {
		method string
		events []string
		onHand int64
	}{
		"paid": {"tok_visa", []string{
			"order.accepted", "inventory.reserved", "payment.authorized", "order.settling", "payment.captured", "inventory.committed",
			"order.completed",
		}, 3},
		"declined": {"tok_declined", []string{
			"order.accepted", "inventory.reserved", "payment.declined", "order.compensating", "inventory.released", "order.rejected",
		}, 5},
	}
	for path, want := range paths {
		for _, flow := range []string{naive.NameSteps, naive.NameCompact} {
			t.Run(path+" "+flow, func(t *testing.T) {
				log := memlog.New()
				ledger, err := inventory.New(inventory.Config{Log: log, Registry: &inventory.MemoryRegistry{}, Temporary: order.Temporary})
				require.NoError(t, err)
				defer ledger.Close()
				_, err = ledger.Receive(t.Context(), "tea", 5, "r-1")
				require.NoError(t, err)
				gateway, err := simulator.New(simulator.Config{Log: log})
				require.NoError(t, err)
				published := &bus{}

				var suite testsuite.WorkflowTestSuite
				suite.SetLogger(tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
				env := suite.NewTestWorkflowEnvironment()
				sagatest.ExtendTimeouts(env)
				naive.Register(env, &naive.Activities{Log: log, Publisher: published, Stock: ledger, Gateway: gateway})
				o := order.Order{
					ID: "o-1", CustomerID: "c-1", Currency: "EUR", Lines: []order.Line{{SKU: "tea", Quantity: 2, UnitAmount: 100}},
					Payment: order.PaymentMethod{Method: want.method},
				}.Normalize()
				env.ExecuteWorkflow(flow, o)
				require.NoError(t, env.GetWorkflowError())
				var id string
				require.NoError(t, env.GetWorkflowResult(&id))
				require.Equal(t, "o-1", id)

				records, err := log.Read(t.Context(), event.OrderStream("o-1"), 0, 0)
				require.NoError(t, err)
				var types []string
				for _, r := range records {
					types = append(types, r.Type)
				}
				require.Equal(t, want.events, types)
				require.Equal(t, want.events, published.types)
				balance, err := ledger.Balance(t.Context(), "tea")
				require.NoError(t, err)
				require.Equal(t, want.onHand, balance.OnHand)
				require.Zero(t, balance.Reserved)
			})
		}
	}
}
