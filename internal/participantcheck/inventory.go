package participantcheck

import (
	"slices"

	"github.com/google/uuid"
)

var inventoryRules = []rule{
	{
		name: "reserve", play: playReserve,
		contract: "A reservation that is done holds all of its lines.",
		fix:      "Lower the available quantity of each SKU by the quantity of its line, and store the lines with the key.",
	},
	{
		name: "duplicate", play: playDuplicateReserve,
		contract: "A service makes each effect at most once, and answers a repeated request with the same result.",
		fix: "Store the key with a unique index, in the same transaction as the stock; if it exists already, answer with the stored result and change " +
			"nothing.",
	},
	{
		name: "concurrent-duplicates", play: playConcurrentReserve,
		contract: "Requests with one key are decided one after another. If one is still being decided, the service waits, or answers 503.",
		fix: "Look for the key and insert it in one atomic step: a unique index and a caught violation, or a lock on the key. First reading and then " +
			"inserting lets two requests through.",
	},
	{
		name: "refusal", play: playRefusal,
		contract: `A refusal is recorded. It has the reason and the SKUs that lack stock, and a repeated request gets the same refusal, even if stock is there meanwhile.`,
		fix:      "Store refusals with their key as results are stored, and answer a repeated request from there. A new order has a new key.",
	},
	{
		name: "all-or-nothing", play: playAllOrNothing,
		contract: "A reservation covers all lines, or none: if one SKU is refused, nothing is reserved.",
		fix:      "Check and reserve all lines in one transaction, and roll it back if one of them lacks stock.",
	},
	{
		name: "undo-before-do", play: playUndoBeforeDo,
		contract: "A release of something that never happened is recorded and answers undone. The reservation that arrives later answers undone and has no effect.",
		fix:      `Do not answer 404, and do not ignore it: insert a record "undone" with the key. Requests overtake each other, and this record stops the late one.`,
	},
	{
		name: "late-do", play: playLateDo,
		contract: "After a release the reservation answers undone, for good.",
		fix:      "Keep the record of a released reservation, with its key and state undone. Deleting it has a late duplicate reserve again.",
	},
	{
		name: "commit", play: playCommit,
		contract: "A commit is done, also when repeated. After it a release answers 409 settled, and the reservation answers done.",
		fix:      "Store that it was committed, and look at that before a release. The goods leave the stock once.",
	},
	{
		name: "commit-after-release", play: playCommitAfterRelease,
		contract: "After a release, or when the reservation was refused, a commit answers 409 settled. Without a reservation it answers 422 invalid.",
		fix:      "Commit only a reservation in state reserved. Do not reserve again in a commit.",
	},
	{
		name: "commit-against-release", play: playCommitAgainstRelease,
		contract: "A commit and a release exclude each other: one of them happens, and the other one answers 409 settled.",
		fix:      "Change the state in one atomic step, such as UPDATE … SET state = 'committed' WHERE key = ? AND state = 'reserved', and look at the number of changed rows.",
	},
	{
		name: "reserve-against-release", play: playReserveAgainstRelease,
		contract: "A release wins against its reservation in any order: afterwards nothing is reserved.",
		fix: "Have both write one record with the key, which is unique: the second one sees what the first one has written, also if both began at the same " +
			"time.",
	},
	{
		name: "return", play: playReturn,
		contract: "Goods that were committed return to the stock, once for each return key, and not more than were committed.",
		fix:      "Store the lines of each return with its key. A repeated request changes nothing; other lines with the same key answer 409 conflict.",
	},
	{
		name: "conflict", play: playReservationConflict,
		contract: "A request with a known key and different content (order, lines) answers 409 conflict and has no effect.",
		fix:      "Store order ID and lines with the key, and compare them with those of every later request, in release and commit, too.",
	},
	{
		name: "oversell", play: playOversell,
		contract: "Reserved goods are not available to others.",
		fix: "Compare and lower the available quantity in one atomic step, such as UPDATE … SET available = available - ? WHERE sku = ? AND available >= ?, or lock " +
			"the row of the SKU.",
	},
}

func playReserve(p *play) {
	defer p.cleanup()
	before, known := p.available()
	s := p.new(2)
	p.do("reserve", "done", s.do())
	a := p.do("look it up", "reserved", s.find())
	p.expect("look it up", slices.Equal(a.body.Lines, []line{{SKU: p.cfg.SKU, Quantity: 2}}), "lines with 2 of %s", p.cfg.SKU)
	p.took("the goods are not available to others", before, known, 2)
}

func playDuplicateReserve(p *play) {
	defer p.cleanup()
	before, known := p.available()
	s := p.new(2)
	for range 3 {
		p.do("the same reservation, repeated", "done", s.do())
	}
	p.took("it is reserved once", before, known, 2)
	for range 3 {
		p.do("the same release, repeated", "undone", s.undo())
	}
	p.took("it is released once", before, known, 0)
}

// times repeats a request.
func times(n int, r request) []request { return slices.Repeat([]request{r}, n) }

func playConcurrentReserve(p *play) {
	defer p.cleanup()
	for range rounds {
		before, known := p.available()
		s := p.new(1)
		p.each("the same reservation, several times at once", "done", times(callers, s.do())...)
		p.took("it is reserved once", before, known, 1)
		p.each("the same release, several times at once", "undone", times(callers, s.undo())...)
		p.took("it is released once", before, known, 0)
	}
}

func playRefusal(p *play) {
	defer p.cleanup()
	refused := func(step string, s subject, reason string) answer {
		a := p.do(step, "refused", s.do())
		p.expect(step, a.body.Reason == reason, `"reason": %q`, reason)
		return a
	}
	unknownSKU := p.reservation(line{SKU: p.cfg.UnknownSKU, Quantity: 1})
	refused("reserve an unknown SKU", unknownSKU, "unknown_sku")
	s := p.new(tooMany)
	first := refused("reserve more than there is", s, "out_of_stock")
	again := refused("the same request again", s, "out_of_stock")
	p.expect("the same request again", first.Came == again.Came, "the same answer: %s", first.Came)
	p.do("look it up", "refused", s.find())
	p.do("release it", "undone", s.undo())
	refused("the same request after its release", s, "out_of_stock")

	// A refusal stays when stock is there again.
	all, known := p.available()
	if !known || all < 1 {
		return
	}
	holder, late := p.new(all), p.new(1)
	p.do("reserve all that is available", "done", holder.do())
	refused("reserve one more", late, "out_of_stock")
	p.do("release all", "undone", holder.undo())
	refused("the refused reservation again, now that stock is available", late, "out_of_stock")
	p.took("it has no effect", all, known, 0)
}

func playAllOrNothing(p *play) {
	defer p.cleanup()
	before, known := p.available()
	lines := []line{{SKU: p.cfg.SKU, Quantity: 2}, {SKU: p.cfg.UnknownSKU, Quantity: 1}}
	slices.SortFunc(lines, func(a, b line) int {
		if a.SKU < b.SKU {
			return -1
		}
		return 1
	})
	a := p.do("reserve a SKU in stock and an unknown one", "refused", p.reservation(lines...).do())
	p.expect("reserve a SKU in stock and an unknown one", !slices.ContainsFunc(a.body.Lines, func(l line) bool { return l.SKU == p.cfg.SKU }),
		"lines with %s only: the other one is in stock", p.cfg.UnknownSKU)
	p.took("nothing is reserved", before, known, 0)
}

func playUndoBeforeDo(p *play) {
	defer p.cleanup()
	before, known := p.available()
	s := p.new(1)
	p.do("undo what never happened", "undone", s.undo())
	p.do("look it up", "undone", s.find())
	p.do("the request that arrives after its undo", "undone", s.do())
	p.do("undo again", "undone", s.undo())
	p.do("settle it", "settled", s.settle())
	p.do("look it up", "undone", s.find())
	p.took("it has no effect", before, known, 0)
}

func playLateDo(p *play) {
	defer p.cleanup()
	before, known := p.available()
	s := p.new(1)
	p.do("do", "done", s.do())
	p.do("undo", "undone", s.undo())
	p.do("a late duplicate of do", "undone", s.do())
	p.do("look it up", "undone", s.find())
	p.took("it has no effect", before, known, 0)
}

func playCommit(p *play) {
	defer p.cleanup()
	before, known := p.available()
	s := p.new(1)
	p.do("reserve", "done", s.do())
	for range 2 {
		p.do("commit", "done", s.settle())
	}
	p.do("look it up", "committed", s.find())
	p.do("release after the commit", "settled", s.undo())
	p.do("the reservation again", "done", s.do())
	p.do("look it up", "committed", s.find())
	p.took("it left the stock once", before, known, 1)
}

func playReturn(p *play) {
	defer p.cleanup()
	before, known := p.available()
	s, first := p.new(3), uuid.NewString()
	one, two := line{SKU: p.cfg.SKU, Quantity: 1}, line{SKU: p.cfg.SKU, Quantity: 2}
	p.do("return what was not reserved", "invalid", s.back(first, one))
	p.do("look up: the return has no effect", "absent", s.find())
	p.do("reserve", "done", s.do())
	p.do("return before the commit", "invalid", s.back(first, one))
	p.do("commit", "done", s.settle())
	for range 2 {
		p.do("return one", "done", s.back(first, one))
	}
	p.do("the same key with another quantity", "conflict", s.back(first, two))
	p.do("return one of another order", "conflict", s.with("orderId", "check-another").back(uuid.NewString(), one))
	p.do("return more than is left", "invalid", s.back(uuid.NewString(), line{SKU: p.cfg.SKU, Quantity: 3}))
	p.do("look it up", "committed", s.find())
	p.took("one of three is available again", before, known, 2)
	p.do("return the rest", "done", s.back(uuid.NewString(), two))
	p.took("all are available again", before, known, 0)
}

func playCommitAfterRelease(p *play) {
	defer p.cleanup()
	s := p.new(1)
	p.do("commit without a reservation", "invalid", s.settle())
	p.do("look up: the commit has no effect", "absent", s.find())
	p.do("reserve", "done", s.do())
	p.do("release", "undone", s.undo())
	p.do("commit after the release", "settled", s.settle())
	p.do("look it up", "undone", s.find())
	refused := p.new(tooMany)
	p.do("reserve more than there is", "refused", refused.do())
	p.do("commit what was refused", "settled", refused.settle())
}

func playCommitAgainstRelease(p *play) {
	defer p.cleanup()
	for range rounds {
		before, known := p.available()
		s := p.new(1)
		p.do("do", "done", s.do())
		if settled := p.settleAgainstUndo(s); known {
			quantity := int64(0)
			if settled {
				quantity = 1
			}
			p.took("how many are available agrees", before, known, quantity)
		}
	}
}

// settleAgainstUndo sends settle and undo at once, and returns which of them happened.
func (p *play) settleAgainstUndo(s subject) (settled bool) {
	const step = "settle and undo, several times at once"
	answers := p.each(step, "done|undone|settled", append(times(callers/2, s.settle()), times(callers/2, s.undo())...)...)
	var done, undone int
	for _, a := range answers {
		switch a.meaning {
		case "done":
			done++
		case "undone":
			undone++
		}
	}
	p.expect(step, done+undone == callers/2 && done*undone == 0, "%d requests of one kind done or undone, and 409 settled for all of the other kind", callers/2)
	if done > 0 {
		p.do("look it up", s.settled(), s.find())
		p.do("undo it again", "settled", s.undo())
	} else {
		p.do("look it up", "undone", s.find())
		p.do("settle it again", "settled", s.settle())
	}
	return done > 0
}

func playReserveAgainstRelease(p *play) {
	defer p.cleanup()
	for range rounds {
		before, known := p.available()
		s := p.new(1)
		p.each("do and undo, several times at once", "done|undone", append(times(callers/2, s.do()), times(callers/2, s.undo())...)...)
		p.do("look it up", "undone", s.find())
		p.do("do again", "undone", s.do())
		p.took("nothing is reserved", before, known, 0)
	}
}

func playReservationConflict(p *play) {
	defer p.cleanup()
	before, known := p.available()
	s := p.new(1)
	p.do("reserve", "done", s.do())
	for what, other := range map[string]subject{
		"order":    s.with("orderId", "check-another"),
		"quantity": s.with("lines", []line{{SKU: p.cfg.SKU, Quantity: 2}}),
		"SKU":      s.with("lines", []line{{SKU: p.cfg.UnknownSKU, Quantity: 1}}),
	} {
		p.do("reserve with another "+what, "conflict", other.do())
		p.do("commit with another "+what, "conflict", other.settle())
		p.do("release with another "+what, "conflict", other.undo())
	}
	p.do("look up: none has an effect", "reserved", s.find())
	p.took("none has an effect", before, known, 1)
}

func playOversell(p *play) {
	defer p.cleanup()
	for range rounds {
		all, known := p.available()
		if !known || all < 1 {
			return
		}
		const step = "two orders for all that is available, at once"
		answers := p.each(step, "done|refused", p.new(all).do(), p.new(all).do())
		done := 0
		for _, a := range answers {
			if a.meaning == "done" {
				done++
			}
		}
		p.expect(step, done == 1, "one of them done, the other one refused")
		p.cleanup()
	}
}
