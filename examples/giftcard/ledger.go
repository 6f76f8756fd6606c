package giftcard

import (
	"context"
	"errors"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Types of the ledger's events.
const (
	cardLocked   = "giftcard.card_locked"
	cardRefused  = "giftcard.card_lock_refused"
	cardUnlocked = "giftcard.card_unlocked"
	cardCredited = "giftcard.card_credited"
)

// Lock is what the ledger says about a lock.
type Lock struct {
	// Held, Undone and Refused are final answers: the card is locked for the top-up, never will be, or was refused, and why. Busy reports that
	// another top-up has the card now.
	Held, Undone, Busy bool
	Refused            string
}

func (l Lock) outcome() saga.Outcome {
	switch {
	case l.Undone:
		return saga.Fenced()
	case l.Refused != "":
		return saga.Refused(refusal{l.Refused})
	}
	return saga.Done(nil)
}

// Ledger keeps the cards in the event log: a stream a card, whose slots hold each top-up's lock and how that ended. A slot is written once, so
// that every call may be repeated, and come late.
type Ledger struct {
	Log   event.StreamAppender
	Clock func() time.Time
}

// card is a card, and what its stream says about one top-up.
type card struct {
	topUp string

	balance  int64
	currency string
	// lockedBy is the top-up that has the card.
	lockedBy string
	lock     Lock
	amount   int64
	credited bool
}

// movement is the data of the ledger's events.
type movement struct {
	CardID   string `json:"cardId"`
	TopUpID  string `json:"topUpId"`
	Amount   int64  `json:"amount,omitempty"`
	Currency string `json:"currency,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Balance  int64  `json:"balance,omitempty"`
}

func fold(c card, records []event.Record) (card, error) {
	for _, r := range records {
		m, err := event.Decode[movement](r.Event)
		if err != nil {
			return c, err
		}
		mine := m.TopUpID == c.topUp
		switch r.Type {
		case cardLocked:
			c.lockedBy = m.TopUpID
			if mine {
				c.lock, c.amount = Lock{Held: true}, m.Amount
			}
			c.currency = m.Currency
		case cardRefused:
			if mine {
				c.lock = Lock{Refused: m.Reason}
			}
		case cardUnlocked:
			if c.lockedBy == m.TopUpID {
				c.lockedBy = ""
			}
			if mine {
				c.lock = Lock{Undone: true}
			}
		case cardCredited:
			c.balance, c.lockedBy = m.Balance, ""
			c.credited = c.credited || mine
		}
	}
	return c, nil
}

// change appends what decide makes of a card, until it is stored.
func (l Ledger) change(ctx context.Context, cardID, topUpID string, decide func(c card) (slot, eventType string, m movement, err error)) (card, error) {
	name := stream + ".card-" + cardID
	return event.AppendUntil(ctx, l.Log, name, card{topUp: topUpID}, fold, func(c card) ([]event.Entry, error) {
		slot, eventType, m, err := decide(c)
		if err != nil || slot == "" {
			return nil, err
		}
		m.CardID, m.TopUpID = cardID, topUpID
		return []event.Entry{event.New(name, slot, eventType, cardID, l.Clock(), m)}, nil
	})
}

// Lock implements Cards.
func (l Ledger) Lock(ctx context.Context, cardID, topUpID string, amount int64, currency string) (Lock, error) {
	busy := false
	c, err := l.change(ctx, cardID, topUpID, func(c card) (string, string, movement, error) {
		busy = false
		switch refused := ""; {
		case c.lock != Lock{} || c.credited:
			return "", "", movement{}, nil
		case c.currency != "" && c.currency != currency:
			refused = "other_currency"
			fallthrough
		case c.balance+amount > maxBalance:
			if refused == "" {
				refused = "over_limit"
			}
			return "lock/" + topUpID, cardRefused, movement{Reason: refused}, nil
		case c.lockedBy != "":
			busy = true
			return "", "", movement{}, nil
		}
		return "lock/" + topUpID, cardLocked, movement{Amount: amount, Currency: currency}, nil
	})
	if busy {
		return Lock{Busy: true}, err
	}
	return c.lock, err
}

// Find implements Cards.
func (l Ledger) Find(ctx context.Context, cardID, topUpID string) (Lock, error) {
	c, err := l.change(ctx, cardID, topUpID, func(card) (string, string, movement, error) { return "", "", movement{}, nil })
	return c.lock, err
}

// Unlock implements Cards.
func (l Ledger) Unlock(ctx context.Context, cardID, topUpID string) error {
	_, err := l.change(ctx, cardID, topUpID, func(c card) (string, string, movement, error) {
		switch {
		case c.credited:
			return "", "", movement{}, errors.New("the top-up is credited: its lock cannot be undone")
		case c.lock.Undone || c.lock.Refused != "":
			return "", "", movement{}, nil
		}
		return "settle/" + topUpID, cardUnlocked, movement{}, nil
	})
	return err
}

// Credit implements Cards.
func (l Ledger) Credit(ctx context.Context, cardID, topUpID string) (int64, error) {
	c, err := l.change(ctx, cardID, topUpID, func(c card) (string, string, movement, error) {
		switch {
		case c.credited:
			return "", "", movement{}, nil
		case !c.lock.Held:
			return "", "", movement{}, errors.New("the card is not locked for the top-up")
		}
		return "settle/" + topUpID, cardCredited, movement{Balance: c.balance + c.amount}, nil
	})
	return c.balance, err
}
