package reconcile

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// books are what the simulator's ledger of one order adds up to. Other gateways keep their books themselves.
type books struct {
	stream  string
	version int64
	// authorizations counts those that were ever made; standing reports that one is not settled, pending that the payer
	// is asked.
	authorizations   int
	authorized       bool
	pending, voided  bool
	captured, refund int64
	// arrived is what came although the payment had been voided.
	arrived int64
	// wrong are contradictions.
	wrong []string
}

// errStopWalk ends a walk whose reader has enough.
var errStopWalk = errors.New("enough")

// books reads the ledgers of payments, by order id.
func (l *look) books(ctx context.Context, records iter.Seq2[event.Record, error]) iter.Seq2[named[books], error] {
	return func(yield func(named[books], error) bool) {
		err := streams(ctx, records, func(stream string) *chain {
			l.count(func(c *Counts) { c.Payments++ })
			id, ok := event.PaymentReferenceOf(stream)
			if !ok {
				id = stream
			}
			c, b := l.chain(stream, id), books{stream: stream}
			c.take = func(r event.Record) {
				d, err := event.Decode[struct{ Amount int64 }](r.Event)
				if err != nil {
					c.damage(StreamFold, r.Version, "version %d: %v", r.Version, err)
					return
				}
				b.add(r, d.Amount)
			}
			c.done = func(context.Context) error {
				if !yield(named[books]{c.id, b}, nil) {
					return errStopWalk
				}
				return nil
			}
			return c
		})
		if err != nil && !errors.Is(err, errStopWalk) {
			yield(named[books]{}, err)
		}
	}
}

func (b *books) add(r event.Record, amount int64) {
	b.version = r.Version
	contradict := func(when bool, what string) {
		if when {
			b.wrong = append(b.wrong, what)
		}
	}
	switch r.Type {
	case event.ChargePending:
		b.pending = b.authorizations == 0
	case event.ChargeAuthorized:
		contradict(b.voided, "authorized after it was voided")
		b.authorizations++
		b.authorized, b.pending = true, false
	case event.ChargeRefused, event.ChargeFenced:
		contradict(b.authorized || b.captured > 0, "refused or fenced after it was authorized")
		b.pending, b.voided = false, b.voided || r.Type == event.ChargeFenced
	case event.ChargeCaptured:
		contradict(b.captured > 0, "captured twice")
		contradict(b.voided, "captured after it was voided")
		contradict(b.authorizations == 0, "captured without an authorization")
		b.captured += amount
		b.authorized = false
	case event.ChargeVoided:
		contradict(b.captured > 0, "voided after it was captured")
		b.voided, b.authorized = true, false
	case event.ChargeRefunded:
		b.refund += amount
		contradict(b.refund > b.captured+b.arrived, "more was refunded than was captured or received")
	case event.ChargeArrived:
		contradict(!b.voided || b.arrived > 0, "received twice, or without a void before")
		b.arrived += amount
	}
}

// moved reports whether the payment captured or authorized money, or is pending.
func (b books) moved() bool { return b.authorizations > 0 || b.pending || b.captured > 0 }

func (l *look) paymentWithoutOrder(orderID string, b books) {
	if b.moved() {
		l.found(PaymentWithoutOrder, orderID, b.stream, b.version, "the ledger has %d captured and %d authorizations", b.net(), b.authorizations)
	}
}

// money checks what an order has cost. The simulator's books stand in the log, and were added up on the way; another
// gateway is asked.
func (u *unit) money(ctx context.Context) error {
	if len(u.books.wrong) > 0 {
		u.report(PaymentContradiction, "%s", strings.Join(u.books.wrong, "; "))
	}
	if u.books.authorizations > 1 {
		u.report(AuthorizedTwice, "%d authorizations were made", u.books.authorizations)
	}
	err := u.reserved(ctx)
	if err != nil {
		return err
	}
	if !u.state.Ended || !u.recent(u.state.Ended, u.state.UpdatedAt) {
		return nil
	}
	o := u.state.Order
	net, open := u.books.net(), u.books.openPayment()
	if u.books.stream == "" && o.TotalAmount == 0 {
		return nil // it has no payment
	}
	if u.books.stream == "" && u.state.PaymentID == "" && u.cfg.Gateway.Traits().KeyLifetime > 0 {
		// No authorization is recorded, and the compensation made sure that there is none. The provider could be asked by the ID alone.
		return nil
	}
	if u.books.stream == "" {
		result, err := u.cfg.Gateway.Lookup(ctx, payment.Payment{
			OrderID: o.ID, ID: u.state.PaymentID, Amount: o.TotalAmount, Currency: o.Currency, Method: o.Payment.Method, CreatedAt: u.state.CreatedAt,
		})
		if errors.Is(err, fault.Conflict) || errors.Is(err, fault.Invalid) {
			u.report(PaymentContradiction, "the gateway does not know the order's payment: %s", fault.SafeMessage(err))
			return nil
		}
		if err != nil {
			return err
		}
		net, open = answered(result, o.TotalAmount)
	}
	want := int64(0)
	if u.state.Status == saga.Completed {
		want = o.TotalAmount - u.state.RefundedParcels()
	}
	if net != unknown && net < want {
		var byHand bool
		if want, byHand, err = u.refundedMoney(ctx, want, net); err != nil {
			return err
		}
		if byHand {
			u.report(ExceptionOnRecord, "it ended as %s and cost %d %s instead of %d, as an operator decided about a refund", u.state.Status, net, o.Currency, want)
			return nil
		}
	}
	if open != "" {
		u.moneyFound(AuthorizationLeftOpen, "it ended as %s, and the payment is %s", u.state.Status, open)
	}
	if net != unknown && net > want {
		open, why, err := u.lateMoney(ctx, net-want)
		if err != nil || open {
			return err
		}
		if why != "" {
			u.report(ExceptionOnRecord, "it ended as %s and cost %d %s instead of %d, as an operator decided about %s",
				u.state.Status, net, o.Currency, want, why)
			return nil
		}
	}
	if net != unknown && net != want {
		u.moneyFound(MoneyWrong, "it ended as %s and cost %d %s instead of %d", u.state.Status, net, o.Currency, want)
	}
	return nil
}

// net is what the payer has paid. Money that came after a void has to be refunded like money that was captured.
func (b books) net() int64 { return b.captured + b.arrived - b.refund }

// openPayment names what is not settled; empty when everything is.
func (b books) openPayment() payment.State {
	switch {
	case b.authorized:
		return payment.Authorized
	case b.pending:
		return payment.Pending
	}
	return ""
}

// unknown is what a partly refunded payment has cost whose books are elsewhere.
const unknown = -1

// answered is what a gateway's answer says: what the order has cost, and what is not settled.
func answered(r payment.Result, total int64) (net int64, open payment.State) {
	switch r.State {
	case payment.Captured:
		return total, ""
	case payment.Refunded:
		return unknown, ""
	case payment.Authorized, payment.CaptureRefused, payment.Pending:
		return r.Arrived, r.State
	}
	return r.Arrived, ""
}

// moneyFound is found, unless an operator decided so, on record.
func (u *unit) moneyFound(k Kind, format string, args ...any) {
	u.unlessExcepted(k, moneyExceptions, format, args...)
}

// refunds checks of the refund ledger of a payment that no source has more reserved than there was.
func (c *chain) refunds() {
	folds(c, nil, collect, func(_ context.Context, records []event.Record) error {
		ledger, err := refunds.Fold(records)
		if err != nil {
			c.damage(StreamFold, c.head.Version, "%v", err)
			return nil
		}
		for _, source := range []refunds.Source{refunds.Captured, refunds.Arrived} {
			if reserved, limit := ledger.Reserved[source], ledger.Limits[source]; reserved > limit {
				c.found(PaymentContradiction, c.head.Version, "refunds of %d are reserved, but only %d were %s", reserved, limit, source)
			}
		}
		return nil
	})
}

// collect is the fold of a stream that is judged as a whole.
func collect(all, records []event.Record) ([]event.Record, error) {
	return append(all, records...), nil
}

// reserved checks that every refund during compensation, or for goods that did not arrive, had been reserved.
func (u *unit) reserved(ctx context.Context) error {
	refunded := make(map[string]int64)
	for _, r := range u.records {
		if r.Type != event.PaymentRefunded {
			continue
		}
		// The fold reports what cannot be read.
		if d, err := event.Decode[struct{ Amount int64 }](r.Event); err == nil {
			refunded[r.Key] = d.Amount
		}
	}
	if len(refunded) == 0 {
		return nil
	}
	stream := event.RefundsStream(u.id)
	u.needs(PaymentContradiction, u.head.Version, stream)
	records, ok, err := u.read(ctx, stream)
	if !ok {
		return err
	}
	ledger, err := refunds.Fold(records)
	for key, amount := range refunded {
		if reserved, known := ledger.ByKey[key]; err == nil && (!known || reserved.Amount != amount) {
			u.report(PaymentContradiction, "captured money was refunded, but the refund ledger has no such reservation for %s", key)
		}
	}
	return nil
}
