package workflows

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// handle registers the Updates. They only set a fact and wait for the verdict.
func (r *orderRun) handle(ctx workflow.Context) error {
	if err := r.desk.handle(ctx); err != nil {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateCancel, r.cancel, workflow.UpdateHandlerOptions{
		Validator: func(_ workflow.Context, c order.Cancellation) error {
			switch {
			case !event.ValidID(c.ID):
				return fault.New(fault.Invalid, "the id of a cancellation %s", event.IDRule)
			case r.drain.Closed() || r.state.AnswersCancellation():
				return saga.ErrTryAgain()
			}
			return nil
		},
		Description: "Asks to cancel the order and waits for the verdict.",
	})
}

// cancel asks to cancel and waits for the verdict, which is an event.
func (r *orderRun) cancel(ctx workflow.Context, c order.Cancellation) (CancelVerdict, error) {
	r.drain.Count()
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	if err := saga.AwaitStored(disconnected); err != nil {
		return CancelVerdict{}, err
	}
	decided := func() bool { return r.conflict || r.state.AnswersCancellation() }
	if !r.drain.Released() && !decided() {
		r.addCancellation(UpdateCancel, c)
	}
	err := workflow.Await(disconnected, func() bool { return r.drain.Released() || decided() })
	switch {
	case err != nil:
		return CancelVerdict{}, err
	case !decided():
		return CancelVerdict{}, saga.ErrTryAgain()
	}
	return VerdictOf(r.state), nil
}

// TakeIn takes in every signal that has arrived, and Temporal's own cancellation. The loop calls it before it decides
// and while it waits: a signal that is in view when a task begins is never decided over, and none is left behind when
// the run continues as new. Coroutines that receive would run after the loop has decided.
func (r *orderRun) TakeIn() {
	receive(r, SignalCancel, r.signalled)
	receive(r, SignalPayment, r.addHint)
	receive(r, SignalShipment, r.addShipment)
	receive(r, SignalStockLost, r.addStockLost)
	if r.own.Err() != nil {
		// The Web UI's Cancel button: the workflow's own context has ended.
		r.addCancellation("temporal", CancelledInTemporal(workflow.GetInfo(r.own).WorkflowExecution.RunID))
	}
}

// recover takes over what the runs that were broken off before this one were told, if there are any. A run that is due
// meanwhile hands the rest on.
func (r *orderRun) recover() (handedOn bool, err error) {
	if r.in.Resume == nil {
		return false, nil
	}
	r.takeOver(r.in.Resume.Missed)
	for r.recovering = r.in.Resume.Recover; r.recovering != nil; {
		if r.state.Ended && len(r.late) > maxCarried {
			// They may be many: a run that continues as new hands on only so many.
			if err := r.judgeLate(false); err != nil {
				return false, err
			}
		}
		if r.drain.Due(r.ctx) {
			return true, r.drain.Release(r.ctx)
		}
		in := activities.RecoverInput{OrderID: r.in.Order.ID, Cursor: *r.recovering, Ended: r.state.Ended}
		result, err := saga.UntilDone(r.ctx, callRecover, in, r.show)
		if err != nil {
			return false, err
		}
		r.takeOver(result.Signals)
		r.recovering = result.Next
	}
	return false, nil
}

// takeOver takes in the signals of the run that was broken off before this one.
func (r *orderRun) takeOver(missed []activities.Signal) {
	for _, m := range missed {
		var err error
		switch m.Name {
		case SignalCancel:
			err = again(r, m, r.signalled)
		case SignalPayment:
			err = again(r, m, r.addHint)
		case SignalShipment:
			err = again(r, m, r.addShipment)
		case SignalStockLost:
			err = again(r, m, r.addStockLost)
		}
		if err != nil {
			r.log.Error("a signal cannot be read", "order_id", r.in.Order.ID, "signal", m.Name, "error", err)
		}
	}
}

// again takes in a signal that an earlier run had got.
func again[T any](r *orderRun, m activities.Signal, take func(T)) error {
	var signal T
	if err := json.Unmarshal(m.Payload, &signal); err != nil {
		return err
	}
	if m.Identity == "" || !r.state.Ended {
		take(signal)
		return nil
	}
	// The payload has been cut: its event is known by the identity that it had.
	if r.seen.add(m.Identity) {
		r.changes++
		e := r.lateEvent(signal)
		e.Identity = m.Identity
		r.judge(e)
	}
	return nil
}

// signalled takes in a cancellation that came as a signal.
func (r *orderRun) signalled(c order.Cancellation) { r.addCancellation(SignalCancel, c) }

// addStockLost takes in that stock which the order may hold is not there. It is no event: an order that has been decided, or has
// ended, goes on as it is, and the shortage saga sees that in the log.
func (r *orderRun) addStockLost(l StockLost) {
	if r.facts.StockLost == "" && r.state.Decision == "" {
		r.facts.StockLost = clip(l.SKU)
		r.changes++
	}
}

func (r *orderRun) addHint(h order.PaymentHint) {
	h.ID, h.Cause = tidy(SignalPayment, h.ID, h.Cause)
	h.Code = clip(h.Code)
	if r.firstSight(h) {
		r.hint(h)
	}
}

// hint keeps the newest payment notification that counts.
func (r *orderRun) hint(h order.PaymentHint) { r.facts.Notified(h, r.state.Decision) }

// receive takes in the signals of a name.
func receive[T any](r *orderRun, name string, take func(T)) {
	channel := workflow.GetSignalChannel(r.ctx, name)
	for {
		var signal T
		if !channel.ReceiveAsync(&signal) {
			return
		}
		take(signal)
	}
}

// maxCause is how long the id of an event may be that becomes a cause in the log.
const maxCause = 256

// tidy makes id and cause of a signal fit for the log. What comes over the bus fits; anybody may send a signal with
// Temporal's tools, and no order must be stuck for what cannot be written. The id becomes part of a slot's name.
func tidy(source, id, cause string) (string, string) {
	if !event.ValidID(id) {
		id = event.DerivedID(source, id)
	}
	if len(cause) > maxCause || !utf8.ValidString(cause) || strings.ContainsFunc(cause, func(r rune) bool { return !unicode.IsPrint(r) }) {
		cause = event.DerivedID(source, cause)
	}
	return id, cause
}

func (r *orderRun) addCancellation(source string, c order.Cancellation) {
	c.ID, c.Cause = tidy(source, c.ID, c.Cause)
	c.Reason = clip(c.Reason)
	if r.state.CancelRefused {
		// An earlier refusal is the answer.
		r.log.Info("a cancellation is refused", "order_id", r.in.Order.ID, "request_id", c.ID)
		return
	}
	if r.firstSight(c) && len(r.facts.Cancellations) < order.MaxCancellations {
		r.facts.Cancellations = append(r.facts.Cancellations, c)
	}
}

// maxClip is how many bytes of a text of a signal are kept; what the log takes of it is less.
const maxClip = 4 << 10

// clip bounds a text of a signal. Signals of the bus have short texts; anybody may send others with Temporal's tools.
func clip(s string) string {
	if len(s) > maxClip {
		s = strings.ToValidUTF8(s[:maxClip], "")
	}
	return s
}

func (r *orderRun) addShipment(s ShipmentSignal) {
	s.ID, s.Cause = tidy(SignalShipment, s.ID, s.Cause)
	s.Carrier, s.TrackingNumber, s.Reason = clip(s.Carrier), clip(s.TrackingNumber), clip(s.Reason)
	if !r.firstSight(s) {
		return
	}
	fact := s.ShipmentFact
	switch s.Kind {
	case ShipmentDispatched:
		r.facts.Dispatched = &fact
	case ShipmentDelivered:
		r.facts.Delivered = &fact
	case ShipmentLost:
		r.facts.Lost = &fact
	}
}

// firstSight reports whether a fact is new, and remembers it by the identity of its event. What comes when the order has
// ended is late, and gets a verdict before the run closes.
func (r *orderRun) firstSight(fact any) bool {
	if !r.seen.add(arrivalOf(r.in.Order.ID, fact).identity) {
		return false
	}
	r.changes++
	if !r.state.Ended {
		r.heard.add(r.lateEvent(fact))
		return true
	}
	r.cameLate(fact)
	return false
}

// heard are the signals that came before it was known that the order had ended. Facts merge; these are kept one by one, because
// the order may have ended before they came: a workflow task is discarded when a signal arrives, and its second run learns of
// the end from what the log answers.
type heard struct {
	events []activities.LateEvent
	// asked is how many of them there were when the log was asked last: when it answers that the order is open, these came in time.
	asked int
}

// maxHeard bounds how many of them are kept.
const maxHeard = 2000

func (h *heard) add(e activities.LateEvent) {
	if len(h.events) < maxHeard {
		h.events = append(h.events, e)
	}
}

// ask notes that the log is asked.
func (h *heard) ask() { h.asked = len(h.events) }

// open notes that the order was open when the log was asked.
func (h *heard) open() { h.events, h.asked = slices.Clone(h.events[h.asked:]), 0 }
