package inventorytest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
)

// slowRuns is how many runs of the model a slow log gets.
const slowRuns = 5

// testModel runs random calls at random ledgers, over a log that now and then loses requests, answers and halves,
// and compares every answer with the specification.
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

// call is one call: at which ledger, about which SKU and order.
type call struct {
	ledger, sku int
	id          string
	quantity    int64
}

func draw(rt *rapid.T, least, most int64) call {
	return call{
		ledger:   rapid.IntRange(0, 1).Draw(rt, "ledger"),
		sku:      rapid.IntRange(0, 1).Draw(rt, "sku"),
		id:       fmt.Sprintf("o-%d", rapid.IntRange(0, 5).Draw(rt, "id")),
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
