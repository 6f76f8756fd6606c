package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
)

// progressEvery is the number of streams between two progress reports.
const progressEvery = 1000

// look is one look at everything, or at the streams of some subjects.
type look struct {
	*Reconciler
	o Options
	// streams are the names of what is looked at; nil is everything.
	streams map[string]bool
	// lost are the streams for which a first look found lost signals. A second look asks about no others: each costs a query of Temporal's
	// visibility, of which a namespace has ten per second by default (frontend.namespaceRPS.visibility).
	lost map[string]bool
	// now is when the look began.
	now time.Time
	// payments and listed are walked beside the orders' streams.
	payments row[books]
	listed   row[readmodel.Order]
	// listedSagas is walked beside the streams of the other sagas.
	listedSagas row[readmodel.Order]
	// seed is for hashes of slots.
	seed maphash.Seed
	// work bounds how many orders are asked about at once.
	work *errgroup.Group

	mu       sync.Mutex
	findings map[place]Finding
	// gaps are the streams of which parts are missing; others says which stream a finding was read from besides its own.
	// On a server that looks for one version after the other, what comes after a gap cannot be looked up.
	gaps     map[string]bool
	others   map[place]string
	unlisted int
	counts   Counts
}

// place is what makes two findings the same.
type place struct {
	kind    Kind
	stream  string
	version int64
}

func newLook(r *Reconciler, o Options, streams map[string]bool) *look {
	return &look{Reconciler: r, o: o, streams: streams, now: r.cfg.Clock().Add(o.ahead), seed: maphash.MakeSeed(), findings: make(map[place]Finding),
		gaps: make(map[string]bool), others: make(map[place]string)}
}

// found notes a finding about a version of a stream.
func (l *look) found(k Kind, subject, stream string, version int64, format string, args ...any) {
	if l.o.Skip[k] {
		return
	}
	f := Finding{Kind: k, Subject: subject, Detail: fmt.Sprintf(format, args...), Note: MeaningOf(k).Note, at: place{k, stream, version}}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, twice := l.findings[f.at]; !twice && len(l.findings) >= MaxFindings {
		l.unlisted++
		return
	}
	l.findings[f.at] = f
}

// need says that a finding is none if parts of another stream are missing.
func (l *look) need(k Kind, stream string, version int64, other string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.others[place{k, stream, version}] = other
}

func (l *look) breaks(stream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gaps[stream] = true
}

// sorted returns the findings by stream.
func (l *look) sorted() []Finding {
	list := make([]Finding, 0, len(l.findings))
	for at, f := range l.findings {
		if !l.gaps[l.others[at]] {
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.at.stream, b.at.stream), cmp.Compare(a.at.version, b.at.version), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

// count counts a stream, and what it is about, and reports progress.
func (l *look) count(add func(*Counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Streams++
	add(&l.counts)
	if l.o.Progress != nil && l.streams == nil && l.counts.Streams%progressEvery == 0 {
		l.o.Progress(l.counts)
	}
}

// Where the streams of payments begin and end among the names: the orders' come before them, the SKUs' after them.
var (
	paymentsFrom = event.PaymentStream("")
	paymentsTo   = strings.TrimSuffix(paymentsFrom, "-") + "."
)

func (l *look) run(ctx context.Context) error {
	work, within := errgroup.WithContext(ctx)
	work.SetLimit(orderQuestions)
	l.work = work
	err := l.walk(within)
	// A question that failed has ended the walk; its error is the cause.
	if cause := work.Wait(); cause != nil {
		return cause
	}
	return err
}

// walk reads the log twice at once: the orders, and beside them the payments, after which the SKUs come. On a server that scans, each
// walk more costs as much as all the others.
func (l *look) walk(ctx context.Context) error {
	others := newAhead(l.records(ctx, paymentsFrom, ""), func(r event.Record) string { return r.Stream })
	defer others.stop()
	l.payments, l.listed = newRow(l.books(ctx, others.upTo(paymentsTo)), l.paymentWithoutOrder), newRow(l.entries(ctx, l.cfg.List, l.orderIDs()), l.orphan)
	defer l.payments.stop()
	defer l.listed.stop()
	l.listedSagas = newRow(l.entries(ctx, l.cfg.FlowList, l.sagaStreams()), l.sagaOrphan)
	defer l.listedSagas.stop()
	if err := streams(ctx, l.records(ctx, "", paymentsFrom), l.begin); err != nil {
		return err
	}
	// What is left in the rows has no order.
	if err := cmp.Or(l.payments.passTo(""), l.listed.passTo("")); err != nil {
		return err
	}
	if err := streams(ctx, others.upTo(""), l.begin); err != nil {
		return err
	}
	return cmp.Or(l.listedSagas.passTo(""), l.unrecorded(ctx), l.signals(ctx))
}

// orderIDs are the orders among the subjects of a second look, in the order of their streams.
func (l *look) orderIDs() []string {
	var ids []string
	for _, stream := range slices.Sorted(maps.Keys(l.streams)) {
		if id, ok := event.OrderIDOf(stream); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// entries are the entries of a list; in a second look, those with the IDs.
func (l *look) entries(ctx context.Context, list List, ids []string) iter.Seq2[named[readmodel.Order], error] {
	return func(yield func(named[readmodel.Order], error) bool) {
		if l.streams == nil {
			for e, err := range list.All(ctx) {
				if !yield(named[readmodel.Order]{e.ID, e}, err) || err != nil {
					return
				}
			}
			return
		}
		for _, id := range ids {
			e, there, err := list.Get(ctx, id)
			if (there || err != nil) && (!yield(named[readmodel.Order]{id, e}, err) || err != nil) {
				return
			}
		}
	}
}

// records walks what is looked at between two names.
func (l *look) records(ctx context.Context, from, to string) iter.Seq2[event.Record, error] {
	s := eventlog.Selection{From: from, To: to}
	if l.streams == nil {
		return l.cfg.Log.Walk(ctx, s)
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
		return func(func(event.Record, error) bool) {}
	}
	slices.Sort(names)
	s.Names = slices.Compact(names)
	return l.cfg.Log.Walk(ctx, s)
}

// partners are a stream and what must be looked at together with it.
func partners(stream string) []string {
	if id, ok := event.OrderIDOf(stream); ok {
		return []string{stream, event.PaymentStream(id)}
	}
	if flow, id, ok := event.FlowPaymentOf(stream); ok {
		return []string{stream, flow + "-" + event.Escape(id)}
	}
	if id, ok := event.PaymentReferenceOf(stream); ok {
		return []string{stream, event.OrderStream(id)}
	}
	return []string{stream}
}

// streamKinds say what is checked of a stream besides its chain, by its name.
var streamKinds = []struct {
	id    func(stream string) (string, bool)
	check func(*chain)
	count func(*Counts)
}{
	{event.OrderIDOf, (*chain).order, func(c *Counts) { c.Orders++ }},
	{event.RefundsReferenceOf, (*chain).refunds, countNothing},
	{event.DeadLetterIDOf, (*chain).dead, countNothing},
	{event.SKUOf, (*chain).stock, func(c *Counts) { c.SKUs++ }},
}

// flowStreamKinds say the same of the streams of flows.
var flowStreamKinds = []struct {
	prefix func(f Flow) string
	check  func(c *chain, f Flow)
}{
	{func(f Flow) string { return f.StreamOf("") }, (*chain).saga},
	{func(f Flow) string { return f.EarlyStreamOf("") }, (*chain).earlySaga},
	{func(f Flow) string { return f.LateStreamOf("") }, (*chain).lateSaga},
}

func countNothing(*Counts) {}

// begin returns what takes the records of a stream.
func (l *look) begin(stream string) *chain {
	for _, k := range streamKinds {
		if id, ok := k.id(stream); ok {
			l.count(k.count)
			c := l.chain(stream, id)
			k.check(c)
			return c
		}
	}
	if _, id, ok := event.FlowPaymentOf(stream); ok {
		l.count(func(c *Counts) { c.Payments++ })
		c := l.chain(stream, id)
		c.flowPayment()
		return c
	}
	l.count(countNothing)
	for _, k := range flowStreamKinds {
		if f, id, ok := l.flowBy(stream, k.prefix); ok {
			c := l.chain(stream, id)
			k.check(c, f)
			return c
		}
	}
	return l.chain(stream, stream)
}

// streams hands the records of a walk to a chain for each stream.
func streams(ctx context.Context, walk iter.Seq2[event.Record, error], begin func(stream string) *chain) error {
	var c *chain
	for r, err := range walk {
		if err != nil && !errors.Is(err, fault.Corrupt) {
			return err
		}
		if c != nil && r.Stream != c.stream {
			if err := c.done(ctx); err != nil {
				return err
			}
			c = nil
		}
		if c == nil {
			c = begin(r.Stream)
		}
		c.record(r, err)
	}
	if c == nil {
		return nil
	}
	return c.done(ctx)
}

// read reads a stream that something else is about. ok is false when it is damaged: that is found where it is walked.
func (l *look) read(ctx context.Context, stream string) (records []event.Record, ok bool, err error) {
	records, err = l.cfg.Log.Read(ctx, stream, 0, 0)
	if damaged(err) {
		return nil, false, nil
	}
	return records, err == nil, err
}

// damaged reports whether a stream could not be read because of what is stored in it, or missing from it: that is found where
// the stream is walked.
func damaged(err error) bool {
	return errors.Is(err, fault.Corrupt) || errors.Is(err, fault.ErrMissing)
}
