package inventorytest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/stock"
)

// slowRuns is the number of runs of the model with a slow log.
const slowRuns = 5

// testModel makes random calls to random ledgers, with a log that sometimes loses requests or answers or writes half a batch, and compares every
// result with the specification.
func testModel(t *testing.T, s Subject) {
	b := open(t, s, nil)
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		if runs++; s.Slow && runs > slowRuns && !t.Failed() {
			return
		}
		for _, gate := range b.gates {
			gate.Open()
		}
		m := &model{bench: b}
		for range 2 {
			m.skus = append(m.skus, newSKU())
			m.specs = append(m.specs, newSpec())
		}
		rt.Repeat(m.actions())
		for _, gate := range b.gates {
			gate.Open()
		}
		for i, name := range m.skus {
			sums := Audit(rt, b.log, name)
			require.Equal(rt, m.specs[i].onHand, sums.OnHand)
			require.Equal(rt, m.specs[i].reserved, sums.Reserved())
		}
	})
}

type model struct {
	*bench
	skus  []string
	specs []*sku
}

// call has the arguments of one call.
type call struct {
	ledger, sku int
	id          string
	quantity    int64
}

// modelIDs are the orders of the model, two of them with IDs of shops. One is what is escaped in the name of another.
var modelIDs = []string{"o-0", "o-1", "o-2", "o%2F3", "o/3", "gid://shopify/Order/123 ü"}

// lines draws the lines of an order that have the call's SKU, and their quantity together.
func (c call) lines(rt *rapid.T, sku string) (items []stock.Item, together int64) {
	for range rapid.IntRange(1, 3).Draw(rt, "lines") {
		quantity := rapid.Int64Range(1, 2).Draw(rt, "of the line")
		items, together = append(items, stock.Item{SKU: sku, Quantity: quantity}), together+quantity
	}
	return items, together
}

func draw(rt *rapid.T, least, most int64) call {
	return call{
		ledger:   rapid.IntRange(0, 1).Draw(rt, "ledger"),
		sku:      rapid.IntRange(0, 1).Draw(rt, "sku"),
		id:       rapid.SampledFrom(modelIDs).Draw(rt, "id"),
		quantity: rapid.Int64Range(least, most).Draw(rt, "quantity"),
	}
}

func (m *model) actions() map[string]func(*rapid.T) {
	ctx := context.Background()
	return map[string]func(*rapid.T){
		"reserve": func(rt *rapid.T) {
			c := draw(rt, 1, 4)
			want, code := m.specs[c.sku].reserve(c.id, c.quantity)
			got, err := m.ledgers[c.ledger].Reserve(ctx, c.id, m.skus[c.sku], c.quantity)
			require.Equal(rt, code, fault.CodeOf(err))
			require.Equal(rt, want, got)
		},
		"acquire": func(rt *rapid.T) {
			c := draw(rt, 1, 1)
			items, together := c.lines(rt, m.skus[c.sku])
			want, code := m.specs[c.sku].reserve(c.id, together)
			got, err := m.ledgers[c.ledger].Acquire(ctx, stock.ReserveRequest{OrderID: c.id, Items: items, Last: true})
			require.Equal(rt, code, fault.CodeOf(err))
			if code != "" {
				return
			}
			require.Len(rt, got, len(items))
			for _, answer := range got {
				// What was released after it had been acquired may be answered as Done.
				if answer.Effect != stock.Done || want.Effect != stock.Undone || m.specs[c.sku].of(c.id).settle != event.StockReleased {
					require.Equal(rt, want, answer)
				}
			}
		},
		"release": func(rt *rapid.T) {
			c := draw(rt, 1, 1)
			require.Equal(rt, m.specs[c.sku].release(c.id), fault.CodeOf(m.ledgers[c.ledger].Release(ctx, c.id, m.skus[c.sku])))
		},
		"commit": func(rt *rapid.T) {
			c := draw(rt, 1, 1)
			require.Equal(rt, m.specs[c.sku].commit(c.id), fault.CodeOf(m.ledgers[c.ledger].Commit(ctx, c.id, m.skus[c.sku])))
		},
		"receive": func(rt *rapid.T) {
			c := draw(rt, 1, 5)
			_, err := m.ledgers[c.ledger].Receive(ctx, m.skus[c.sku], c.quantity, c.id)
			require.Equal(rt, m.specs[c.sku].count("receipt "+c.id, c.quantity), fault.CodeOf(err))
		},
		"adjust": func(rt *rapid.T) {
			c := draw(rt, -4, 2)
			if c.quantity == 0 {
				rt.Skip("an adjustment by nothing is invalid")
			}
			_, err := m.ledgers[c.ledger].Adjust(ctx, m.skus[c.sku], c.quantity, c.id, inventory.Remark{})
			require.Equal(rt, m.specs[c.sku].count("adjustment "+c.id, c.quantity), fault.CodeOf(err))
		},
		"count": func(rt *rapid.T) {
			c := draw(rt, 0, 6)
			_, err := m.ledgers[c.ledger].Count(ctx, m.skus[c.sku], c.quantity, c.id, inventory.Remark{})
			require.Equal(rt, m.specs[c.sku].counted(c.id, c.quantity), fault.CodeOf(err))
		},
		"balance": func(rt *rapid.T) {
			c := draw(rt, 1, 1)
			got, err := m.ledgers[c.ledger].Balance(ctx, m.skus[c.sku])
			if spec := m.specs[c.sku]; spec.known {
				require.NoError(rt, err)
				require.Equal(rt, [2]int64{spec.onHand, spec.reserved}, [2]int64{got.OnHand, got.Reserved})
				require.Equal(rt, spec.onHand-spec.reserved, got.Available-got.Shortfall)
				require.Zero(rt, min(got.Available, got.Shortfall))
			} else {
				require.ErrorIs(rt, err, fault.NotFound)
			}
		},
		"disturb": func(rt *rapid.T) {
			gate := m.gates[rapid.IntRange(0, 1).Draw(rt, "gate")]
			gate.Open()
			rapid.SampledFrom([]func(){gate.LoseAnswer, gate.LoseRequest, gate.WriteHalf}).Draw(rt, "how")()
		},
	}
}
