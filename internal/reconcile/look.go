package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// progressEvery is after how many streams progress is told.
const progressEvery = 1000

// look is one look at everything, or at the streams of some subjects.
type look struct {
	*Reconciler
	o Options
	// streams are the names of what is looked at; nil is everything.
	streams map[string]bool
	// now is when the look began.
	now time.Time
	// payments and listed are walked beside the orders' streams.
	payments shelf[books]
	listed   shelf[Listed]
	// seed is for hashes of slots.
	seed maphash.Seed
	// work bounds how many orders are asked about at once.
	work *errgroup.Group

	mu       sync.Mutex
	findings map[place]Finding
	// broken are the streams of which parts are missing; needs says which stream a finding was read from besides its own.
	// On a server that looks for one version after the other, what stands behind a gap cannot be looked up.
	broken   map[string]bool
	needs    map[place]string
	unlisted int
	counts   Counts
}

// place is what makes two findings the same.
type place struct {
	kind    Kind
	stream  string
	version int64
}

func (f Finding) at() place { return place{f.Kind, f.stream, f.version} }

func newLook(r *Reconciler, o Options, streams map[string]bool) *look {
	return &look{Reconciler: r, o: o, streams: streams, now: r.cfg.Clock().Add(o.ahead), seed: maphash.MakeSeed(), findings: make(map[place]Finding),
		broken: make(map[string]bool), needs: make(map[place]string)}
}

// found notes a finding about a version of a stream.
func (l *look) found(k Kind, subject, stream string, version int64, format string, args ...any) {
	if l.o.Skip[k] {
		return
	}
	f := Finding{
		Kind: k, Subject: subject, Detail: fmt.Sprintf(format, args...), Note: meanings[k].Note,
		stream: stream, version: version,
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, twice := l.findings[f.at()]; !twice && len(l.findings) >= MaxFindings {
		l.unlisted++
		return
	}
	l.findings[f.at()] = f
}

// need says that a finding is none if parts of another stream are missing.
func (l *look) need(k Kind, stream string, version int64, other string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.needs[place{k, stream, version}] = other
}

// breaks notes that parts of a stream are missing.
func (l *look) breaks(stream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken[stream] = true
}

// sorted returns the findings by stream.
func (l *look) sorted() []Finding {
	list := make([]Finding, 0, len(l.findings))
	for at, f := range l.findings {
		if !l.broken[l.needs[at]] {
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.stream, b.stream), cmp.Compare(a.version, b.version), strings.Compare(string(a.Kind), string(b.Kind)))
	})
	return list
}

// count counts what was looked at, and tells progress.
func (l *look) count(add func(*Counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.counts.Streams / progressEvery
	add(&l.counts)
	if l.o.Progress != nil && l.streams == nil && l.counts.Streams/progressEvery > before {
		l.o.Progress(l.counts)
	}
}

// Where the streams of payments begin and end among the names: the orders' come before them, the SKUs' behind.
var (
	paymentsFrom = event.PaymentStream("")
	paymentsTo   = strings.TrimSuffix(paymentsFrom, "-") + "."
)

// run looks.
func (l *look) run(ctx context.Context) error {
	work, within := errgroup.WithContext(ctx)
	work.SetLimit(l.cfg.Workers)
	l.work = work
	err := l.walk(within)
	// A question that failed has ended the walk; its error is the cause.
	if cause := work.Wait(); cause != nil {
		return cause
	}
	return err
}

// walk reads the log on two tapes: the orders, and beside them the payments; behind the payments are the SKUs.
func (l *look) walk(ctx context.Context) error {
	orders, others := l.tape(ctx, "", paymentsFrom), l.tape(ctx, paymentsFrom, "")
	defer orders.stop()
	defer others.stop()
	if err := l.open(ctx, others); err != nil {
		return err
	}
	defer l.payments.close()
	defer l.listed.close()
	if err := streams(ctx, orders.upTo(""), l.visitorOf); err != nil {
		return err
	}
	// What is left on the shelves has no order.
	if err := l.payments.rest(); err != nil {
		return err
	}
	if err := l.listed.rest(); err != nil {
		return err
	}
	if err := streams(ctx, others.upTo(""), l.visitorOf); err != nil {
		return err
	}
	if err := l.unrecorded(ctx); err != nil {
		return err
	}
	return l.signals(ctx)
}

// open takes payments and list entries to hand. In a first look they are read beside the orders, in the same order; a
// second look has them by name.
func (l *look) open(ctx context.Context, others *tape) error {
	strayPayment := func(id string, b books) { l.paymentWithoutOrder(id, b) }
	strayEntry := func(id string, e Listed) { l.orphan(id, e) }
	if l.streams == nil {
		l.payments = newRow(l.books(ctx, others.upTo(paymentsTo)), strayPayment)
		l.listed = newRow(entries(l.cfg.List.All(ctx)), strayEntry)
		return nil
	}
	payments, listed := byName[books]{stray: strayPayment}, byName[Listed]{stray: strayEntry}
	payments.items, listed.items = make(map[string]books), make(map[string]Listed)
	l.payments, l.listed = payments, listed
	for p, err := range l.books(ctx, others.upTo(paymentsTo)) {
		if err != nil {
			return err
		}
		payments.items[p.id] = p.item
	}
	for name := range l.streams {
		id, isOrder := event.OrderIDOf(name)
		if !isOrder {
			continue
		}
		e, there, err := l.cfg.List.Get(ctx, id)
		if err != nil {
			return err
		}
		if there {
			listed.items[id] = e
		}
	}
	return nil
}

// entries gives list entries their ids.
func entries(all iter.Seq2[Listed, error]) iter.Seq2[named[Listed], error] {
	return func(yield func(named[Listed], error) bool) {
		for e, err := range all {
			if !yield(named[Listed]{e.ID, e}, err) || err != nil {
				return
			}
		}
	}
}

// tape walks what is looked at between two names.
func (l *look) tape(ctx context.Context, from, to string) *tape {
	s := eventlog.Selection{From: from, To: to}
	if l.streams == nil {
		return newTape(l.cfg.Log.Walk(ctx, s))
	}
	var names []string
	for name := range l.streams {
		for _, n := range partners(name) {
			if s.Selects(n) {
				names = append(names, n)
			}
		}
	}
	if len(names) == 0 {
		return newTape(func(func(event.Record, error) bool) {})
	}
	slices.Sort(names)
	s.Names = slices.Compact(names)
	return newTape(l.cfg.Log.Walk(ctx, s))
}

// partners are a stream and what must be looked at together with it.
func partners(stream string) []string {
	if id, ok := event.OrderIDOf(stream); ok {
		return []string{stream, event.PaymentStream(id)}
	}
	if id, ok := strings.CutPrefix(stream, paymentsFrom); ok {
		return []string{stream, event.OrderStream(id)}
	}
	return []string{stream}
}

// visitor takes the records of one stream, as they are stored.
type visitor interface {
	// record takes a record; damaged says what is wrong with its document.
	record(r event.Record, damaged error)
	// end is called behind the last one.
	end(ctx context.Context) error
}

// visitorOf returns who takes the records of a stream.
func (l *look) visitorOf(stream string) visitor {
	if id, ok := event.OrderIDOf(stream); ok {
		l.count(func(c *Counts) { c.Streams++; c.Orders++ })
		return &orderVisitor{chain: l.chain(stream), id: id}
	}
	if id, ok := event.RefundsReferenceOf(stream); ok {
		l.count(func(c *Counts) { c.Streams++ })
		return &refundsVisitor{chain: l.chain(stream), reference: id}
	}
	if id, ok := event.LateOrderIDOf(stream); ok {
		l.count(func(c *Counts) { c.Streams++ })
		return l.lateVisitor(id, stream)
	}
	if id, ok := event.EarlyOrderIDOf(stream); ok {
		l.count(func(c *Counts) { c.Streams++ })
		return l.earlyVisitor(id, stream)
	}
	if id, ok := event.DeadLetterIDOf(stream); ok {
		l.count(func(c *Counts) { c.Streams++ })
		return l.deadVisitor(id, stream)
	}
	if id, ok := event.CustomerIDOf(stream); ok {
		l.count(func(c *Counts) { c.Streams++ })
		return l.customerVisitor(id, stream)
	}
	if id, ok := event.NoticeIDOf(stream); ok {
		l.count(func(c *Counts) { c.Streams++ })
		return l.noticeVisitor(id, stream)
	}
	if sku, ok := strings.CutPrefix(stream, event.StockStream("")); ok {
		l.count(func(c *Counts) { c.Streams++; c.SKUs++ })
		return l.stock(sku, stream)
	}
	l.count(func(c *Counts) { c.Streams++ })
	return l.chain(stream)
}

// streams hands the records of a walk to a visitor for each stream.
func streams(ctx context.Context, walk iter.Seq2[event.Record, error], begin func(stream string) visitor) error {
	var v visitor
	stream := ""
	for r, err := range walk {
		if err != nil && !errors.Is(err, fault.Corrupt) {
			return err
		}
		if v == nil || r.Stream != stream {
			if v != nil {
				if err := v.end(ctx); err != nil {
					return err
				}
			}
			v, stream = begin(r.Stream), r.Stream
		}
		v.record(r, err)
	}
	if v == nil {
		return nil
	}
	return v.end(ctx)
}
