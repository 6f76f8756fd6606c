package giftcard

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// TopUp is what a top-up is started with. Amount is in minor units of the currency.
type TopUp struct {
	CardID   string `json:"cardId" required:"true"`
	Amount   int64  `json:"amount" required:"true"`
	Currency string `json:"currency" required:"true"`
	// Method is the payer's token, such as tok_visa.
	Method string `json:"method" required:"true"`
}

const (
	// maxBalance is how much a card may hold, and needsApproval is the amount from which an approval is needed; in minor units.
	maxBalance    = 100_000
	needsApproval = 20_000
)

var (
	cardPattern     = regexp.MustCompile(`^[A-Z0-9-]{4,32}$`)
	currencyPattern = regexp.MustCompile(`^[A-Z]{3}$`)
)

func (t *TopUp) check(p *saga.Problems) {
	p.Require(cardPattern.MatchString(t.CardID), "/cardId", "must have 4 to 32 capital letters, digits and hyphens")
	p.Require(t.Amount >= 1 && t.Amount <= maxBalance, "/amount", "must be from 1 to %d", maxBalance)
	p.Require(currencyPattern.MatchString(t.Currency), "/currency", "must be an ISO 4217 code")
	p.Require(len(t.Method) >= 1 && len(t.Method) <= 64, "/method", "must have 1 to 64 characters")
}

func (t TopUp) price() string { return fmt.Sprintf("%d %s (minor units)", t.Amount, t.Currency) }

func (t TopUp) taken() any {
	return struct {
		Amount   int64  `json:"amount"`
		Currency string `json:"currency"`
	}{t.Amount, t.Currency}
}

// Approval is what an approval says.
type Approval struct {
	By string `json:"by,omitempty"`
}

func (a *Approval) check(p *saga.Problems) {
	p.Require(len(a.By) <= 64, "/by", "must have at most 64 characters")
}

// The data of events, but for the top-up's ID.
type (
	refusal struct {
		Reason string `json:"reason"`
	}
	paid struct {
		PaymentID string `json:"paymentId,omitempty"`
	}
	credited struct {
		Balance int64 `json:"balance"`
	}
)

var errCapture = errors.New("the gateway has refused the capture")

// types are the flow's own event types. Those of the ledger of the cards are not published.
var types = []event.Type{
	{Name: "giftcard.locked", Meaning: "The card is locked for the top-up."},
	{Name: "giftcard.lock_refused", Meaning: "The card cannot be topped up like this."},
	{Name: "giftcard.unlocked", Meaning: "The card is not locked for the top-up, and never will be."},
	{Name: "giftcard.authorized", Meaning: "The money is set aside."},
	{Name: "giftcard.declined", Meaning: "The payment was refused."},
	{Name: "giftcard.voided", Meaning: "No authorization of the top-up stands, and none ever will."},
	{Name: "giftcard.approved", Meaning: "The top-up is approved."},
	{Name: "giftcard.captured", Meaning: "The money is taken."},
	{Name: "giftcard.credited", Meaning: "The balance of the card is raised."},
	{Name: cardLocked, Direction: event.Ledger, Meaning: "A card is locked for a top-up."},
	{Name: cardRefused, Direction: event.Ledger, Meaning: "A card was not locked for a top-up."},
	{Name: cardUnlocked, Direction: event.Ledger, Meaning: "A card is not locked for a top-up any more, or never was."},
	{Name: cardCredited, Direction: event.Ledger, Meaning: "The balance of a card was raised."},
}
