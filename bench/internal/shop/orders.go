// Package shop is the shop of the benchmark: it makes orders, places them with the service over HTTP and RabbitMQ, plays
// the warehouse, and hears on the bus how they end. It knows the service from outside only and imports nothing of it.
package shop

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"github.com/ordersaga/ordersaga/test/harness"
)

// Terminal events, by which the shop knows how an order has ended.
const (
	Completed = "order.completed"
	Rejected  = "order.rejected"
	Cancelled = "order.cancelled"
	Failed    = "order.failed"
)

var terminals = []string{Completed, Rejected, Cancelled, Failed}

// Basket says what orders are made of.
type Basket struct {
	// Lines is how many there are in an order, each of a SKU of its own. 0 is 1.
	Lines int
	// Hot puts one and the same SKU into every order.
	Hot bool
	// Declined is the share of orders whose payment is declined.
	Declined float64
	// Shipment orders wait for the warehouse.
	Shipment bool
}

// spread is how many SKUs the shop sells besides the hot one.
const spread = 100

// hot is the SKU of every order in a hot scenario.
const hot = "bench-hot"

// SKUs are all that the shop sells.
func SKUs() []string {
	skus := []string{hot}
	for i := range spread {
		skus = append(skus, sku(i))
	}
	return skus
}

func sku(i int) string { return fmt.Sprintf("bench-%03d", i) }

// Pieces is how many units of each SKU are received before a round: more than any round sells.
const Pieces = 1_000_000

// Order is an order and the event that it must end with.
type Order struct {
	harness.Order
	End string
}

// Orders makes n orders. The seed and the name decide about every one of them.
func (b Basket) Orders(n int, seed uint64, name string) []Order {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name))
	random := rand.New(rand.NewPCG(seed, hash.Sum64()))
	orders := make([]Order, n)
	for i := range orders {
		orders[i] = b.order(random, fmt.Sprintf("%s-%d", name, i))
	}
	return orders
}

func (b Basket) order(random *rand.Rand, id string) Order {
	o := Order{Order: harness.Order{ID: id, CustomerID: fmt.Sprintf("c-%d", random.IntN(1000)), Currency: "EUR"}, End: Completed}
	o.Payment.Method = "tok_visa"
	if random.Float64() < b.Declined {
		o.Payment.Method, o.End = "tok_declined", Rejected
	}
	if b.Shipment {
		o.Fulfillment = "shipment"
	}
	choice := random.Perm(spread)
	for i := range max(b.Lines, 1) {
		line := harness.Line{SKU: sku(choice[i]), Quantity: 1 + random.Int64N(3), UnitAmount: 100 + random.Int64N(9900)}
		if b.Hot {
			line.SKU = hot
		}
		o.Lines = append(o.Lines, line)
	}
	return o
}
