package simulator

import (
	"context"
	"errors"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// maxRaces bounds how often one call decides again after a lost race. A payment's stream has a few records, and one for each refund, so that
// this is never reached.
const maxRaces = 100

// act decides on the newest book and writes the decision; after a lost race it decides again. If blind is set, it starts with an empty book
// without reading: correct if the decision is an append; otherwise it decides again with the book from the log.
func (s *Simulator) act(ctx context.Context, ledger string, blind bool, decide func(book) (move, error)) (payment.Result, error) {
	b, known := s.books.Get(ledger)
	fresh := false
	if !known && !blind {
		var err error
		if b, err = s.read(ctx, ledger); err != nil {
			return payment.Result{}, err
		}
		fresh = true
	}
	for range maxRaces {
		m, err := decide(b)
		if (err != nil || m.entry == nil) && !fresh {
			if b, err = s.read(ctx, ledger); err != nil {
				return payment.Result{}, err
			}
			fresh = true
			continue
		}
		if err != nil {
			return payment.Result{}, err
		}
		if m.entry == nil {
			return *m.result, nil
		}
		written, next, err := s.append(ctx, ledger, b, *m.entry)
		if err != nil {
			return payment.Result{}, err
		}
		if b, fresh = next, true; !written {
			continue
		}
		if m.err != nil {
			return payment.Result{}, m.err
		}
		// The record may have been undone since: decide again with the newest book.
		m.entry = nil
		if m, err = decide(b); err != nil {
			return payment.Result{}, err
		}
		if m.entry == nil {
			return *m.result, nil
		}
	}
	return payment.Result{}, fault.New(fault.Unavailable, "payment ledger %s has too many concurrent writers", ledger)
}

// append writes e after b. It returns whether e is in the ledger, and the newest book; if not, another writer was first.
func (s *Simulator) append(ctx context.Context, ledger string, b book, e event.Entry) (bool, book, error) {
	stream := ledger
	_, tail, err := s.cfg.Log.Append(ctx, stream, b.head, []event.Entry{e})
	switch {
	case err == nil || eventlog.Lost(err):
	case errors.Is(err, fault.Corrupt), errors.Is(err, fault.Invalid):
		s.books.Remove(ledger)
		return false, b, err
	default:
		s.books.Remove(ledger)
		return false, b, fault.Wrap(err, fault.OutcomeUnknown, "append to %s", stream)
	}
	next, foldErr := b.fold(tail)
	if foldErr != nil {
		return false, b, foldErr
	}
	s.books.Add(ledger, next)
	return err == nil, next, nil
}

// read returns the book from the log. Results without an append are based on it, so the read must not miss a record: that nothing was captured,
// or has arrived, is final for the caller.
func (s *Simulator) read(ctx context.Context, ledger string) (book, error) {
	records, err := eventlog.ReadCertain(ctx, s.cfg.Log, ledger, 0, 0)
	if err != nil {
		return book{}, err
	}
	b, err := book{}.fold(records)
	if err == nil {
		s.books.Add(ledger, b)
	}
	return b, err
}
