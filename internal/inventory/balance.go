package inventory

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// maxIDBytes bounds the IDs of receipts, adjustments and counts. They come from clients and other teams' events, and may be any
	// text.
	maxIDBytes = 256
	// maxNoteBytes bounds the note of an adjustment.
	maxNoteBytes = 1024
	// defaultPage and maxPage are the default and maximum limit of List.
	defaultPage, maxPage = 100, 500
	// listPart is the number of SKUs that List reads in one round trip; after listTime it returns a shorter page.
	listPart = 100
	listTime = time.Second
)

// Balance is the stock of a SKU.
type Balance struct {
	SKU string `json:"sku"`
	// OnHand includes Reserved.
	OnHand   int64 `json:"onHand"`
	Reserved int64 `json:"reserved"`
	// Available is OnHand minus Reserved, at least 0.
	Available int64 `json:"available"`
	// Version is the version of the SKU's stream with this balance.
	Version int64 `json:"version"`
	// Shortfall is Reserved minus OnHand if positive: a count found less than was reserved.
	Shortfall int64 `json:"shortfall,omitempty"`
}

// Balance returns the current stock of the SKU. Errors: NotFound if nothing was ever received or adjusted, Invalid, Unavailable, Corrupt.
func (l *Ledger) Balance(ctx context.Context, sku string) (Balance, error) {
	if !event.ValidID(sku) {
		return Balance{}, fault.NewInvalid("sku", []fault.Field{fault.Fieldf("/sku", "%s", event.IDRule)})
	}
	at, err := l.head(ctx, sku)
	if err != nil {
		return Balance{}, fmt.Errorf("balance of SKU %s: %w", sku, err)
	}
	if !at.known {
		return Balance{}, fault.New(fault.NotFound, "SKU %s does not exist", sku)
	}
	return at.public(sku, at.head.Version), nil
}

// List returns the balances of the SKUs after the given one, in byte order, and the SKU to continue after; next is empty after the last page.
// limit is from 1 to 500, 0 means 100; a page may be shorter although others follow. Errors: Invalid, Unavailable, Corrupt.
func (l *Ledger) List(ctx context.Context, after string, limit int) ([]Balance, string, error) {
	if limit < 0 || limit > maxPage {
		return nil, "", fault.NewInvalid("page", []fault.Field{fault.Fieldf("/limit", "must be from 1 to %d", maxPage)})
	}
	limit = cmp.Or(limit, defaultPage)
	skus, err := l.cfg.Registry.List(ctx, after, limit)
	if err != nil {
		return nil, "", fmt.Errorf("list SKUs after %q: %w", after, err)
	}
	next := ""
	if len(skus) == limit {
		next = skus[limit-1]
	}
	balances := make([]Balance, 0, len(skus))
	for began := time.Now(); len(skus) > 0; {
		part := skus[:min(len(skus), listPart)]
		skus = skus[len(part):]
		of, err := l.balances(ctx, part)
		if err != nil {
			return nil, "", fmt.Errorf("list balances after %q: %w", after, err)
		}
		balances = append(balances, of...)
		if len(skus) > 0 && time.Since(began) > listTime {
			// The server is slow: the rest is on the next page.
			return balances, part[len(part)-1], nil
		}
	}
	return balances, next, nil
}

// balances returns the balances of SKUs, except those of which nothing was ever received or adjusted.
func (l *Ledger) balances(ctx context.Context, skus []string) ([]Balance, error) {
	streams := make([]string, len(skus))
	for i, sku := range skus {
		streams[i] = event.StockStream(sku)
	}
	heads, err := eventlog.Heads(ctx, l.cfg.Log, streams)
	if err != nil {
		return nil, err
	}
	balances := make([]Balance, 0, len(skus))
	for i, sku := range skus {
		r, there := heads[streams[i]]
		if !there {
			continue
		}
		s, err := readSlot(r)
		if err != nil {
			return nil, err
		}
		if at := s.balance(); at.known {
			balances = append(balances, at.public(sku, r.Version))
		}
	}
	return balances, nil
}

// head reads the current end of the SKU's stream.
func (l *Ledger) head(ctx context.Context, sku string) (position, error) {
	at := position{valid: true, readAt: l.cfg.Clock()}
	r, ok, err := l.cfg.Log.Head(ctx, event.StockStream(sku))
	if err != nil || !ok {
		return at, err
	}
	s, err := readSlot(r)
	if err != nil {
		return at, err
	}
	at.head, at.balance = r.HeadOf(), s.balance()
	return at, nil
}

// validate checks the arguments of a call for an order. The error is Invalid.
func validate(sku, orderID string, quantity, least int64) error {
	var wrong []fault.Field
	if !event.ValidID(sku) {
		wrong = append(wrong, fault.Fieldf("/sku", "%s", event.IDRule))
	}
	if !event.ValidID(orderID) {
		wrong = append(wrong, fault.Fieldf("/orderId", "%s", event.IDRule))
	}
	return fault.NewInvalid("stock change", append(wrong, wrongQuantity(quantity, least)...))
}

// validateCount checks a receipt, an adjustment or a count. The error is Invalid.
func validateCount(sku string, c change, least int64) error {
	var wrong []fault.Field
	if !event.ValidID(sku) {
		wrong = append(wrong, fault.Fieldf("/sku", "%s", event.IDRule))
	}
	if c.id == "" || len(c.id) > maxIDBytes || !printable(c.id) {
		wrong = append(wrong, fault.Fieldf("/id", "must be 1 to %d bytes of printable text", maxIDBytes))
	}
	if len(c.why.Note) > maxNoteBytes || !printable(strings.ReplaceAll(c.why.Note, "\n", "")) {
		wrong = append(wrong, fault.Fieldf("/note", "must be at most %d bytes of printable text", maxNoteBytes))
	}
	if c.counted != nil {
		if *c.counted < 0 || *c.counted > MaxOnHand {
			wrong = append(wrong, fault.Fieldf("/counted", "must be from 0 to %d", int64(MaxOnHand)))
		}
		return fault.NewInvalid("stock change", wrong)
	}
	return fault.NewInvalid("stock change", append(wrong, wrongQuantity(c.quantity, least)...))
}

func wrongQuantity(quantity, least int64) []fault.Field {
	rule := fault.RuleRange(least, MaxQuantity)
	if least < 0 {
		rule += " and not 0"
	}
	if quantity < least || quantity > MaxQuantity || quantity == 0 {
		return []fault.Field{fault.Fieldf("/quantity", "%s", rule)}
	}
	return nil
}

func printable(text string) bool {
	for _, r := range text {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
