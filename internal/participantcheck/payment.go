package participantcheck

import (
	"slices"

	"github.com/google/uuid"
)

var paymentRules = []rule{
	{
		name: "authorize", play: playAuthorize,
		contract: "An authorization that is done has a paymentId, which never changes. The look-up returns it.",
		fix:      "Store the ID of the payment with the key, and return it in every answer.",
	},
	{
		name: "duplicate", play: playDuplicateAuthorize,
		contract: "A service makes each effect at most once, and answers a repeated request with the same result.",
		fix:      "Store the key with a unique index before the provider is called, pass it to the provider as idempotency key, and answer a repeated request with the stored payment.",
	},
	{
		name: "concurrent-duplicates", play: playConcurrentAuthorize,
		contract: "Requests with one key are decided one after another. If one is still being decided, the service waits, or answers 503.",
		fix: "Look for the key and insert it in one atomic step: a unique index and a caught violation, or a lock on the key. First reading and then " +
			"inserting lets two requests through, and the customer pays twice.",
	},
	{
		name: "refusal", play: playRefusedPayment,
		contract: "A refusal is recorded, with the reason of the provider: a repeated request, the look-up and a void get the same refusal. A capture answers 422 invalid.",
		fix:      "Store the refusal and its reason with the key, and answer from there; do not ask the provider again with the same key.",
	},
	{
		name: "undo-before-do", play: playUndoBeforeDo,
		contract: "A void of something that never happened is recorded and answers undone. The authorization that arrives later answers undone and has no effect.",
		fix:      `Do not answer 404, and do not ignore it: insert a record "undone" with the key. Requests overtake each other, and this record stops the late one.`,
	},
	{
		name: "late-do", play: playLateDo,
		contract: "After a void the authorization answers undone, for good.",
		fix:      "Keep the record of a voided payment, with its key and state undone. Deleting it has a late duplicate authorize again.",
	},
	{
		name: "capture", play: playCapture,
		contract: `A capture is done, also when repeated. After it a void answers 409 settled, and the authorization answers done with "captured": true.`,
		fix:      "Store that it was captured, and look at that before a void. A void is not a refund: ordersaga decides about that.",
	},
	{
		name: "capture-after-void", play: playCaptureAfterVoid,
		contract: "After a void a capture answers 409 settled. A capture of a payment that was never authorized answers 422 invalid.",
		fix:      "Capture only a payment in state authorized. Do not authorize again in a capture.",
	},
	{
		name: "capture-against-void", play: playCaptureAgainstVoid,
		contract: "A capture and a void exclude each other: one of them happens, and the other one answers 409 settled.",
		fix: "Change the state in one atomic step, such as UPDATE … SET state = 'captured' WHERE key = ? AND state = 'authorized', and look at the number of changed rows, " +
			"before the provider is called.",
	},
	{
		name: "authorize-against-void", play: playAuthorizeAgainstVoid,
		contract: "A void wins against its authorization in any order: afterwards nothing is authorized.",
		fix: "Have both write one record with the key, which is unique: the second one sees what the first one has written, also if both began at the same " +
			"time.",
	},
	{
		name: "conflict", play: playPaymentConflict,
		contract: "A request with a known key and different content (order, flow, amount, currency, method, paymentId) answers 409 conflict and has no effect.",
		fix: "Store the content with the key, and compare it with that of every later request, in capture, void and refund, too. A capture takes exactly what was " +
			"authorized.",
	},
	{
		name: "refund", play: playRefund,
		contract: "A refund happens once for each refund key: repeated it is done, with another amount it answers 409 conflict.",
		fix:      "Store each refund with the payment's key and its own key, which are unique together, and its amount. Look for it before you compare with what is left.",
	},
	{
		name: "refund-limit", play: playRefundLimit,
		contract: "A refund of more than is left, or of a payment that is not captured, answers 422 invalid.",
		fix:      "Compare the amount with what was captured less all refunds, in the transaction that stores the refund, and lock the payment in it.",
	},
	{
		name: "pending", play: playPending,
		needs: func(cfg Config) string {
			if cfg.PendingMethod == "" {
				return "no pending method is set"
			}
			return ""
		},
		contract: "A pending payment has a paymentId and stays pending until it is decided. A capture answers 422 invalid; a void undoes it, for good.",
		fix:      "Store the pending payment with its key, and answer from there. After a void refuse what the payer does later, or report the money as arrived.",
	},
	{
		name: "capture-refused", play: playCaptureRefused,
		needs: func(cfg Config) string {
			if cfg.CaptureRefusedMethod == "" {
				return "no method whose capture is refused is set"
			}
			return ""
		},
		contract: "A refused capture is recorded, with the reason of the provider, and a repeated request gets the same. The authorization can still be voided.",
		fix:      "Store that the capture was refused, and its reason, and answer from there. Keep the authorization until its void.",
	},
}

func playAuthorize(p *play) {
	defer p.cleanup()
	s := p.new(1)
	a := p.do("authorize", "done", s.do())
	found := p.do("look it up", "authorized", s.find())
	p.expect("look it up", found.body.PaymentID == a.body.PaymentID, `"paymentId": %q`, a.body.PaymentID)
	other := p.do("authorize another payment", "done", p.new(1).do())
	p.expect("authorize another payment", other.body.PaymentID != a.body.PaymentID, "another paymentId")
}

func playDuplicateAuthorize(p *play) {
	defer p.cleanup()
	s := p.new(1)
	first := p.do("authorize", "done", s.do())
	id := first.body.PaymentID
	for _, again := range []subject{s, s.with("paymentId", id)} {
		a := p.do("the same authorization, repeated", "done", again.do())
		p.expect("the same authorization, repeated", a.body.PaymentID == id, `"paymentId": %q`, id)
	}
	for range 2 {
		p.do("the same void, repeated", "undone", s.undo())
	}
}

func playConcurrentAuthorize(p *play) {
	defer p.cleanup()
	for range rounds {
		s := p.new(1)
		const step = "the same authorization, several times at once"
		answers := p.each(step, "done", times(callers, s.do())...)
		for _, a := range answers {
			p.expect(step, a.body.PaymentID == answers[0].body.PaymentID, "the same paymentId in all answers")
		}
		p.each("the same capture, several times at once", "done", times(callers, s.settle())...)
	}
}

func playRefusedPayment(p *play) {
	defer p.cleanup()
	s := p.payment(p.cfg.RefusedMethod)
	reason := p.do("authorize with the refused method", "refused", s.do()).body.Reason
	refused := func(step string, r request) {
		a := p.do(step, "refused", r)
		p.expect(step, a.body.Reason == reason, `"reason": %q`, reason)
	}
	refused("the same request again", s.do())
	refused("look it up", s.find())
	p.do("capture it", "invalid", s.settle())
	refused("void it", s.undo())
	refused("the same request after the void", s.do())
	refused("look it up", s.find())
}

func playCapture(p *play) {
	defer p.cleanup()
	s := p.new(1)
	id := p.do("authorize", "done", s.do()).body.PaymentID
	s = s.with("paymentId", id)
	for range 2 {
		a := p.do("capture", "done", s.settle())
		p.expect("capture", a.body.PaymentID == id, `"paymentId": %q`, id)
	}
	p.do("look it up", "captured", s.find())
	p.do("void after the capture", "settled", s.undo())
	a := p.do("the authorization again", "done", s.do())
	p.expect("the authorization again", a.body.Captured, `"captured": true`)
	p.do("look it up", "captured", s.find())
}

func playCaptureAfterVoid(p *play) {
	defer p.cleanup()
	s := p.new(1)
	p.do("capture what was never authorized", "invalid", s.settle())
	p.do("look up: the capture has no effect", "absent", s.find())
	p.do("authorize", "done", s.do())
	p.do("void", "undone", s.undo())
	p.do("capture after the void", "settled", s.settle())
	p.do("look it up", "undone", s.find())
}

func playCaptureAgainstVoid(p *play) {
	defer p.cleanup()
	for range rounds {
		s := p.new(1)
		p.do("do", "done", s.do())
		p.settleAgainstUndo(s)
	}
}

func playAuthorizeAgainstVoid(p *play) {
	defer p.cleanup()
	for range rounds {
		s := p.new(1)
		p.each("do and undo, several times at once", "done|undone", append(times(callers/2, s.do()), times(callers/2, s.undo())...)...)
		p.do("look it up", "undone", s.find())
		p.do("do again", "undone", s.do())
	}
}

func playPaymentConflict(p *play) {
	defer p.cleanup()
	s := p.new(1)
	p.do("authorize", "done", s.do())
	currency := "USD"
	if p.cfg.Currency == currency {
		currency = "EUR"
	}
	others := map[string]subject{
		"order": s.with("orderId", "check-another"), "flow": s.with("flow", "check"), "amount": s.with("amount", Amount+1),
		"currency": s.with("currency", currency), "method": s.with("method", p.cfg.RefusedMethod), "paymentId": s.with("paymentId", "check-another"),
	}
	for what, other := range others {
		p.do("authorize with another "+what, "conflict", other.do())
		p.do("capture with another "+what, "conflict", other.settle())
		p.do("void with another "+what, "conflict", other.undo())
	}
	p.do("look up: none has an effect", "authorized", s.find())
	p.do("capture", "done", s.settle())
	for what, other := range others {
		p.do("refund with another "+what, "conflict", other.refund(uuid.NewString(), 1))
	}
	p.do("look up: none has an effect", "captured", s.find())
}

// captured returns a captured payment.
func (p *play) captured() subject {
	s := p.new(1)
	p.do("authorize", "done", s.do())
	p.do("capture", "done", s.settle())
	return s
}

func playRefund(p *play) {
	s, first, second := p.captured(), uuid.NewString(), uuid.NewString()
	const part = Amount * 6 / 10
	for range 2 {
		p.do("refund 60 %", "done", s.refund(first, part))
	}
	p.do("the same refund key with another amount", "conflict", s.refund(first, part-1))
	p.do("look it up", "refunded", s.find())
	p.do("refund the other 40 %, with another key", "done", s.refund(second, Amount-part))
	for _, key := range []string{first, second} {
		amount := int64(part)
		if key == second {
			amount = Amount - part
		}
		p.do("repeat a refund when nothing is left", "done", s.refund(key, amount))
	}
	p.do("refund 1 more than there was", "invalid", s.refund(uuid.NewString(), 1))
	p.do("look it up", "refunded", s.find())
	p.do("void after refunds", "settled", s.undo())
	p.do("capture after refunds", "done", s.settle())

	s = p.captured()
	p.each("the same refund, several times at once", "done", times(callers, s.refund(first, part))...)
	p.do("refund the other 40 %", "done", s.refund(second, Amount-part))
}

func playRefundLimit(p *play) {
	s, key := p.new(1), uuid.NewString()
	p.do("refund what was never authorized", "invalid", s.refund(key, 1))
	p.do("authorize", "done", s.do())
	p.do("refund what is not captured", "invalid", s.refund(key, 1))
	p.do("capture", "done", s.settle())
	p.do("refund more than was captured", "invalid", s.refund(key, Amount+1))
	p.do("look up: refused refunds have no effect", "captured", s.find())
	p.do("the refund key of refused refunds", "done", s.refund(key, Amount))
	for range rounds {
		s = p.captured()
		var refunds []request
		for range callers {
			refunds = append(refunds, s.refund(uuid.NewString(), Amount*4/10))
		}
		const step = "several refunds of 40 % with different keys at once"
		answers := p.each(step, "done|invalid", refunds...)
		done := slices.DeleteFunc(slices.Clone(answers), func(a answer) bool { return a.meaning != "done" })
		p.expect(step, len(done) == 2, "2 of them done, the others 422 invalid: more than the payment would be refunded")
	}
}

func playPending(p *play) {
	defer p.cleanup()
	s := p.payment(p.cfg.PendingMethod)
	a := p.do("authorize with the pending method", "pending", s.do())
	again := p.do("the same request again", "pending", s.do())
	p.expect("the same request again", a.body.PaymentID == again.body.PaymentID, `"paymentId": %q`, a.body.PaymentID)
	p.do("look it up", "pending", s.find())
	p.do("capture it", "invalid", s.settle())
	p.do("void it", "undone", s.undo())
	p.do("the authorization again", "undone", s.do())
	p.do("look it up", "undone", s.find())
}

func playCaptureRefused(p *play) {
	defer p.cleanup()
	s := p.payment(p.cfg.CaptureRefusedMethod)
	p.do("authorize", "done", s.do())
	first := p.do("capture", "refused", s.settle())
	again := p.do("the same capture again", "refused", s.settle())
	p.expect("the same capture again", first.body.Reason == again.body.Reason, `"reason": %q`, first.body.Reason)
	p.do("look it up", "capture_refused", s.find())
	p.do("void it", "undone", s.undo())
	p.do("look it up", "undone", s.find())
}
