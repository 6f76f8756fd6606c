package simulator

import (
	"cmp"
	"context"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// Config configures a Simulator.
type Config struct {
	// Log has the books. Required.
	Log eventlog.Log
	// Clock is for the times of records and outages. Default: time.Now.
	Clock func() time.Time
	// Outage is how long tok_unavailable is unavailable. Default: 10 s.
	Outage time.Duration
	// Books is the number of cached books, about 1 kB each. It only saves reads; it never changes a result. Default: 4096.
	Books int
	// Slow makes Traits report that calls are too slow for workflow tasks, like those of a remote provider.
	Slow bool
}

// Validate sets defaults and reports errors. The error is Invalid.
func (c *Config) Validate() error {
	var wrong []fault.Field
	if c.Log == nil {
		wrong = append(wrong, fault.Fieldf("/log", "is missing"))
	}
	if c.Outage < 0 || c.Books < 0 {
		wrong = append(wrong, fault.Fieldf("", "limits must not be negative"))
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	c.Outage = cmp.Or(c.Outage, 10*time.Second)
	c.Books = cmp.Or(c.Books, 4096)
	return fault.NewInvalid("simulator configuration", wrong)
}

// Simulator is a payment.Gateway and a payment.Settler. Use New to create it. The package comment has its contract.
type Simulator struct {
	cfg   Config
	books *lru.Cache[string, book]
}

var (
	_ payment.Gateway = (*Simulator)(nil)
	_ payment.Settler = (*Simulator)(nil)
)

// New returns a simulator. It does no I/O. The error is Invalid.
func New(c Config) (*Simulator, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	books, err := lru.New[string, book](c.Books)
	return &Simulator{cfg: c, books: books}, err
}

// authorizationLifetime is the usual lifetime of card authorizations.
const authorizationLifetime = 7 * 24 * time.Hour

// Traits implements payment.Gateway.
func (s *Simulator) Traits() payment.Traits {
	return payment.Traits{Name: "simulator", AuthorizationLifetime: authorizationLifetime, Fast: !s.cfg.Slow}
}

// Authorize implements payment.Gateway.
func (s *Simulator) Authorize(ctx context.Context, _ string, p payment.Payment) (payment.Result, error) {
	// The stream of a new order is empty, and otherwise the append fails: it need not be read first. A method whose first call is special
	// must know whether it is the first.
	first := behaviours[p.Method]
	return s.move(ctx, "authorize", p, !first.timesOut && !first.down, func(b book) (move, error) {
		return s.authorize(p, b)
	})
}

// Capture implements payment.Gateway.
func (s *Simulator) Capture(ctx context.Context, _ string, p payment.Payment) (payment.Result, error) {
	return s.move(ctx, "capture", p, false, func(b book) (move, error) { return s.capture(p, b) })
}

// Void implements payment.Gateway.
func (s *Simulator) Void(ctx context.Context, _ string, p payment.Payment) (payment.Result, error) {
	return s.move(ctx, "void", p, false, func(b book) (move, error) { return s.void(p, b) })
}

// maxKeyBytes bounds the keys of refunds.
const maxKeyBytes = 256

// Refund implements payment.Gateway.
func (s *Simulator) Refund(ctx context.Context, key string, p payment.Payment, amount int64) (payment.Result, error) {
	if amount < 1 || key == "" || len(key) > maxKeyBytes {
		return payment.Result{}, fault.NewInvalid("refund", []fault.Field{
			fault.Fieldf("", "requires a key of 1 to %d bytes and an amount above zero", maxKeyBytes),
		})
	}
	return s.move(ctx, "refund", p, false, func(b book) (move, error) { return s.refund(key, p, amount, b) })
}

// Lookup implements payment.Gateway.
func (s *Simulator) Lookup(ctx context.Context, p payment.Payment) (payment.Result, error) {
	if !event.ValidID(p.OrderID) {
		return payment.Result{}, fault.NewInvalid("payment", []fault.Field{fault.Fieldf("/orderId", "%s", event.IDRule)})
	}
	b, err := s.read(ctx, ledgerOf(p))
	if err != nil {
		return payment.Result{}, fmt.Errorf("look up the payment of %s: %w", p, err)
	}
	if p.ID != "" && p.ID != paymentID(p) {
		return payment.Result{}, fault.New(fault.Conflict, "the payment of %s has a different ID", p)
	}
	if b.captureDue() {
		// The result is the state before the capture, which happens now.
		if _, err := s.act(ctx, ledgerOf(p), false, func(b book) (move, error) { return s.executeCapture(b), nil }); err != nil {
			return payment.Result{}, fmt.Errorf("look up the payment of %s: %w", p, err)
		}
	}
	return b.result(), nil
}

// maxCodeBytes bounds the code of a failed payment, which comes over the bus.
const maxCodeBytes = 256

// Settle implements payment.Settler. It checks only the order ID, and the payment ID if there is one: a payment notification has nothing
// else.
func (s *Simulator) Settle(ctx context.Context, p payment.Payment, succeeded bool, code string) error {
	if !event.ValidID(p.OrderID) || len(code) > maxCodeBytes {
		return fault.NewInvalid("settlement", []fault.Field{
			fault.Fieldf("", "requires an order ID, and a code of at most %d bytes", maxCodeBytes),
		})
	}
	_, err := s.act(ctx, ledgerOf(p), false, func(b book) (move, error) {
		if p.ID != "" && p.ID != paymentID(p) {
			return move{}, fault.New(fault.Conflict, "the payment of %s has a different ID", p)
		}
		return s.settle(b, succeeded, code), nil
	})
	if err != nil {
		return fmt.Errorf("settle the payment of %s: %w", p, err)
	}
	return nil
}

// move validates p, and acts on its book if p is the payment of the book.
func (s *Simulator) move(ctx context.Context, what string, p payment.Payment, blind bool, decide func(book) (move, error)) (payment.Result, error) {
	if err := p.Validate(); err != nil {
		return payment.Result{}, err
	}
	result, err := s.act(ctx, ledgerOf(p), blind, func(b book) (move, error) {
		if err := b.check(p); err != nil {
			return move{}, err
		}
		return decide(b)
	})
	if err != nil {
		return payment.Result{}, fmt.Errorf("%s the payment of %s: %w", what, p, err)
	}
	return result, nil
}
