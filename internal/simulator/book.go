package simulator

import (
	"context"
	"errors"
	"sync"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// maxRaces bounds how often one call decides again because others wrote. A payment's stream takes a handful of
// records and one for each refund, so that nobody loses this often.
const maxRaces = 100

// act decides on the newest book, writes what was decided, and decides again when somebody else was faster. Blind
// starts from an empty book instead of reading one: right when it ends in an append, and tried again with what
// the log says otherwise.
func (s *Simulator) act(ctx context.Context, ledger string, blind bool, decide func(book) (move, error)) (payment.Result, error) {
	b, known := s.books.get(ledger)
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
		stands, next, err := s.append(ctx, ledger, b, *m.entry)
		if err != nil {
			return payment.Result{}, err
		}
		if b, fresh = next, true; !stands {
			continue
		}
		if m.err != nil {
			return payment.Result{}, m.err
		}
		// What stands may have been undone since: the book says.
		m.entry = nil
		if m, err = decide(b); err != nil {
			return payment.Result{}, err
		}
		if m.entry == nil {
			return *m.result, nil
		}
	}
	return payment.Result{}, fault.New(fault.Unavailable, "payment ledger %s changes too fast", ledger)
}

// append writes e behind b. It returns the book as it is then, and whether e stands in it; if not, somebody else
// was faster.
func (s *Simulator) append(ctx context.Context, ledger string, b book, e event.Entry) (bool, book, error) {
	stream := ledger
	_, tail, err := s.cfg.Log.Append(ctx, stream, b.head, []event.Entry{e})
	switch {
	case err == nil || eventlog.Lost(err):
	case errors.Is(err, fault.Corrupt), errors.Is(err, fault.Invalid):
		s.books.drop(ledger)
		return false, b, err
	default:
		s.books.drop(ledger)
		return false, b, fault.Wrap(err, fault.OutcomeUnknown, "append to %s", stream)
	}
	next, foldErr := b.fold(tail)
	if foldErr != nil {
		return false, b, foldErr
	}
	s.books.put(ledger, next)
	return err == nil, next, nil
}

// read returns the book as the log has it now. It is what answers are made from that are not written, so it must not miss a
// record: that nothing was captured, or has arrived, is final for the caller.
func (s *Simulator) read(ctx context.Context, ledger string) (book, error) {
	records, err := eventlog.ReadCertain(ctx, s.cfg.Log, ledger, 0, 0)
	if err != nil {
		return book{}, err
	}
	b, err := book{}.fold(records)
	if err == nil {
		s.books.put(ledger, b)
	}
	return b, err
}

// shelf remembers books, at most twice its limit: when the young ones reach it, they become the old ones, and
// the old ones are forgotten.
type shelf struct {
	mu         sync.Mutex
	limit      int
	young, old map[string]book
}

func newShelf(limit int) *shelf { return &shelf{limit: limit, young: make(map[string]book)} }

func (s *shelf) get(ledger string) (book, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.young[ledger]
	if !ok {
		b, ok = s.old[ledger]
	}
	return b, ok
}

func (s *shelf) put(ledger string, b book) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.young[ledger] = b
	if len(s.young) >= s.limit {
		s.young, s.old = make(map[string]book), s.young
	}
}

func (s *shelf) drop(ledger string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.young, ledger)
	delete(s.old, ledger)
}
