package simulator

import (
	"context"
	"fmt"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// Config is what a Simulator needs. Log is mandatory.
type Config struct {
	// Log holds the books.
	Log eventlog.Log
	// Clock tells the time of records and of outages. Default: time.Now.
	Clock func() time.Time
	// Outage is how long tok_unavailable is down. Default: 10 s.
	Outage time.Duration
	// Books is how many payments are remembered, about 1 kB each. It changes what is read, never what is
	// answered. Default: 4096.
	Books int
	// Slow has it say that it is too slow to be called inside a workflow task, like a provider far away.
	Slow bool
}

// Validate fills in the defaults. The error is Invalid.
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
	if c.Outage == 0 {
		c.Outage = 10 * time.Second
	}
	if c.Books == 0 {
		c.Books = 4096
	}
	return fault.NewInvalid("simulator configuration", wrong)
}

// Simulator is a payment.Gateway and a payment.Settler. Call New; see the package for its contract.
type Simulator struct {
	cfg   Config
	books *shelf
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
	return &Simulator{cfg: c, books: newShelf(c.Books)}, nil
}

// authorizationLifetime is what card networks usually give.
const authorizationLifetime = 7 * 24 * time.Hour

// Traits implements payment.Gateway.
func (s *Simulator) Traits() payment.Traits {
	return payment.Traits{Name: "simulator", AuthorizationLifetime: authorizationLifetime, Fast: !s.cfg.Slow}
}

// Authorize implements payment.Gateway.
func (s *Simulator) Authorize(ctx context.Context, _ string, p payment.Payment) (payment.Result, error) {
	// The stream of a new order is empty, and if it is not, the log says so: no need to read it first. A method
	// that acts differently the first time must know whether it is.
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
			fault.Fieldf("", "it needs a key of 1 to %d bytes and an amount above zero", maxKeyBytes),
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
		return payment.Result{}, fault.New(fault.Conflict, "the payment of %s has another id", p)
	}
	if b.landing() {
		// The answer is what was so when it was asked; the capture happens right after that.
		if _, err := s.act(ctx, ledgerOf(p), false, func(b book) (move, error) { return s.land(b), nil }); err != nil {
			return payment.Result{}, fmt.Errorf("look up the payment of %s: %w", p, err)
		}
	}
	return b.result(), nil
}

// maxCodeBytes bounds the code of a failed payment, which comes over the bus.
const maxCodeBytes = 256

// Settle implements payment.Settler. Only the order's id, and the payment's if there is one, are looked at: a
// hint does not carry more.
func (s *Simulator) Settle(ctx context.Context, p payment.Payment, succeeded bool, code string) error {
	if !event.ValidID(p.OrderID) || len(code) > maxCodeBytes {
		return fault.NewInvalid("settlement", []fault.Field{
			fault.Fieldf("", "it needs an order id, and a code of at most %d bytes", maxCodeBytes),
		})
	}
	_, err := s.act(ctx, ledgerOf(p), false, func(b book) (move, error) {
		if p.ID != "" && p.ID != paymentID(p) {
			return move{}, fault.New(fault.Conflict, "the payment of %s has another id", p)
		}
		return s.settle(b, succeeded, code), nil
	})
	if err != nil {
		return fmt.Errorf("settle the payment of %s: %w", p, err)
	}
	return nil
}

// move validates p, and acts on its book if that is about the same payment.
func (s *Simulator) move(ctx context.Context, what string, p payment.Payment, blind bool, decide func(book) (move, error)) (payment.Result, error) {
	if err := validate(p); err != nil {
		return payment.Result{}, err
	}
	result, err := s.act(ctx, ledgerOf(p), blind, func(b book) (move, error) {
		if err := b.agree(p); err != nil {
			return move{}, err
		}
		return decide(b)
	})
	if err != nil {
		return payment.Result{}, fmt.Errorf("%s the payment of %s: %w", what, p, err)
	}
	return result, nil
}

// maxAmount is where JSON numbers stop being exact.
const maxAmount = 1<<53 - 1

func validate(p payment.Payment) error {
	var wrong []fault.Field
	if !event.ValidID(p.OrderID) {
		wrong = append(wrong, fault.Fieldf("/orderId", "%s", event.IDRule))
	}
	if p.Amount < 1 || p.Amount > maxAmount {
		wrong = append(wrong, fault.Fieldf("/amount", "must be from 1 to %d, in minor units", int64(maxAmount)))
	}
	if !isCurrency(p.Currency) {
		wrong = append(wrong, fault.Fieldf("/currency", "must be three capital letters"))
	}
	if !event.ValidID(p.Method) {
		wrong = append(wrong, fault.Fieldf("/method", "%s", event.IDRule))
	}
	return fault.NewInvalid("payment", wrong)
}

func isCurrency(code string) bool {
	for _, c := range []byte(code) {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return len(code) == 3
}
