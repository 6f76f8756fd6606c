package saga

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// PartsRule is about a wait after the pivot that may be fulfilled in parts, such as the parcels of an order. A flow has one such wait.
//
// Events about parts come in any order, and before the saga waits for them. From the event of WaitRule.Since on, each is read as soon as the
// saga has decided to go forward: Interpret says what it means. Until then there is room for maxParts of them; what has no room, and what says
// something that cannot be used, is kept as a late event.
type PartsRule[S, P any] struct {
	// Slot begins the slots of events about parts: <Slot>/<part>/<what>.
	Slot string
	// On are the types of events about parts, in the order in which what was heard is looked at.
	On []string
	// Expired is the data of the row's Refused, which is recorded when the time of the wait is over: the saga then turns back if the row is
	// reversible, and otherwise goes on with what was received. Its field "reason" is that of a saga that turns back. A row without Refused
	// needs attention then.
	Expired func(s *S) any
	// Interpret says what an event about a part means to a saga. It is called again after each event of the saga, until it returns PartNothing.
	Interpret func(s *S, f *Fact) PartResult
	// Over reports whether nothing is waited for any more, although the log does not have the outcome of the row.
	Over func(s *S) bool
	// Missing is the first part, as the log has it, about which a person must decide, and what is the matter with it; "" if there is none.
	// Settled reports whether that is decided about a part, or is not needed any more.
	Missing func(s *S) (part, text string)
	Settled func(s *S, part string) bool
	// Decisions are the types of the events of what a person may decide besides Skip and Substitute; those that last until the end of a new
	// wait are in Renews. Allowed reports whether one fits a saga.
	Decisions map[ResolutionAction]string
	Renews    []ResolutionAction
	Allowed   func(s *S, action ResolutionAction) bool
	// Data is what the event of a decision says besides, about a part or about everything that is missing: "".
	Data func(s *S, part string, action ResolutionAction) any
	// Follow is a forward step that follows from decisions: it is done for each item of Due, in the slot <Slot of Follow>/<item>.
	Follow *Step[S, P]
	Due    func(s *S) (item string, due bool)
}

// PartMeaning says what an event about a part means to a saga.
type PartMeaning int

// The meanings.
const (
	// PartNothing: it says nothing new.
	PartNothing PartMeaning = iota
	// PartEvent: it is to be recorded, and the wait goes on.
	PartEvent
	// PartLast: with it the wait is over. It is recorded as the outcome of the row, in its turn.
	PartLast
	// PartTrouble: a person must act on everything that is missing; the log has no event of it.
	PartTrouble
	// PartUnusable: what it says cannot be used. It is kept as a late event.
	PartUnusable
)

// PartResult is what an event about a part means to a saga, and the event to record.
type PartResult struct {
	Meaning PartMeaning
	// Part and What make the slot of a PartEvent; Type is its type, and Data its data. Renews reports that the wait begins anew with it.
	Part, What, Type string
	Data             any
	Renews           bool
}

const (
	// maxParts and maxPartsData bound the facts about parts that a run keeps, and their data in bytes together.
	maxParts     = 100
	maxPartsData = 256 << 10
)

// partsRow is the row that is fulfilled in parts; nil if there is none.
func (f *Flow[S, P]) partsRow() *Step[S, P] {
	for i := range f.Steps {
		if f.Steps[i].Parts != nil {
			return &f.Steps[i]
		}
	}
	return nil
}

// hasParts reports whether events of a type are about parts.
func (f *Flow[S, P]) hasParts(eventType string) bool {
	row := f.partsRow()
	return row != nil && slices.Contains(row.Parts.On, eventType)
}

// follows reports whether a step is the one that follows from decisions.
func (p *PartsRule[S, P]) follows(step string) bool { return p.Follow != nil && p.Follow.Name == step }

// due reports whether something follows from a decision.
func (p *PartsRule[S, P]) due(s *S) bool {
	if p.Follow == nil {
		return false
	}
	_, due := p.Due(s)
	return due
}

// ItemOf returns what a step is about at the moment, and whether it is open.
func (f *Flow[S, P]) ItemOf(s *S, step string) (item string, open bool) {
	if row := f.partsRow(); row != nil && row.Parts.follows(step) {
		return row.Parts.Due(s)
	}
	return f.Item(s, step)
}

// isThrough reports whether the outcome of a row is recorded, or nothing is waited for any more.
func (n *next[S, P]) isThrough(row *Step[S, P]) bool {
	return n.k.Has(row.slot(), row.Done) || row.Kind == Await && n.refused(row) && !n.cameToNothing(row) || row.Parts != nil && n.k.Decision == GoForward && row.Parts.Over(n.s)
}

// decisions are what may be decided about a part of a saga; with nil, of any.
func (p *PartsRule[S, P]) decisions(s *S) []ResolutionAction {
	allowed := slices.Clone(findOut)
	for _, action := range ResolutionActions {
		if p.Decisions[action] != "" && (s == nil || p.Allowed == nil || p.Allowed(s, action)) {
			allowed = append(allowed, action)
		}
	}
	return allowed
}

// room reports whether a fact about a part fits what is kept.
func (f *Facts) room(fact Fact) bool {
	count, size := 1, len(fact.Data)
	for _, h := range f.Received {
		if h.Type == fact.Type && h.Part == fact.Part {
			continue
		}
		count++
		size += len(h.Data)
	}
	return count <= maxParts && size <= maxPartsData
}

// slotDecided is the slot of what was decided about a part: one decision about an attention.
func slotDecided(attention int) string {
	return slotAttention + strconv.Itoa(attention) + decidedSuffix
}

const decidedSuffix = "/decided"

// aboutPart reports whether a slot is that of a decision about a part.
func aboutPart(key string) bool {
	return strings.HasPrefix(key, slotAttention) && strings.HasSuffix(key, decidedSuffix)
}

// ofPart reports whether a record is about a part: what was heard of it, or what was decided.
func (f *Flow[S, P]) ofPart(r event.Record) bool {
	row := f.partsRow()
	return row != nil && (strings.HasPrefix(r.Key, row.Parts.Slot+"/") || row.Parts.decides(r))
}

// decides reports whether a record is a decision that the rule has.
func (p *PartsRule[S, P]) decides(r event.Record) bool {
	if !aboutPart(r.Key) {
		return false
	}
	return slices.ContainsFunc(ResolutionActions, func(a ResolutionAction) bool { return p.Decisions[a] == r.Type })
}

// partData is what the kit reads in the data of an event about a part. The names are reserved.
type partData struct {
	ResolutionData
	EventIdentity string `json:"eventIdentity"`
	ExpiresAt     string `json:"expiresAt"`
}

// applyPart folds an event about a part.
func (s *Saga) applyPart(d partData) {
	s.causedBy(d.EventIdentity)
	if until := timeOf(d.ExpiresAt); until.After(s.PartsUntil) {
		s.PartsUntil = until
	}
	if d.RequestID != "" {
		s.Resolutions = AddResolution(s.Resolutions, d.RequestID)
		s.Attention.Decided, s.Attention.By = d.Action, d.By
	}
}

// readParts forgets the facts about parts that say nothing new. Those that cannot be used are kept as late events.
func (r *run[S, P]) readParts() {
	row := r.flow.partsRow()
	if row == nil || r.kit().Ended || !r.flow.readsParts(&r.state, row) {
		return
	}
	r.facts.Received = slices.DeleteFunc(r.facts.Received, func(fact Fact) bool {
		if !slices.Contains(row.Parts.On, fact.Type) {
			return false
		}
		switch row.Parts.Interpret(&r.state, &fact).Meaning {
		case PartNothing:
			return true
		case PartUnusable:
			r.unusable(fact)
			return true
		}
		return false
	})
}

// readsParts reports whether the saga has come so far that events about parts are read.
func (f *Flow[S, P]) readsParts(s *S, row *Step[S, P]) bool {
	k := kitOf(s)
	return k.Decision == GoForward && k.Has(f.slotOf(row.Wait.Since)) && (row.When == nil || row.When(s))
}

// unusable keeps a fact that an open saga cannot use as a late event.
func (r *run[S, P]) unusable(fact Fact) {
	stream := r.flow.StreamOf(r.in.ID)
	late := fact.Late()
	switch {
	case slices.Contains(r.late, late):
	case late.EventID != "" && len(r.late) < maxCarried:
		r.late = append(r.late, late)
		r.log.Warn("an event about a part cannot be used: it is kept as a late one", "stream", stream, "type", fact.Type, "event_id", fact.Cause)
	default:
		r.log.Error("an event about a part cannot be used, and is not kept", "stream", stream, "type", fact.Type, "event_id", fact.Cause)
	}
}

// partFacts yields the facts about parts in the order in which they are looked at.
func (n *next[S, P]) partFacts(row *Step[S, P], yield func(f *Fact, result PartResult) bool) {
	if !n.flow.readsParts(n.s, row) || n.k.Has(row.slot()) {
		return
	}
	for _, t := range row.Parts.On {
		for i := range n.facts.Received {
			if f := &n.facts.Received[i]; f.Type == t && !yield(f, row.Parts.Interpret(n.s, f)) {
				return
			}
		}
	}
}

// partEvent records the first event about a part that says something new.
func (n *next[S, P]) partEvent() (a Action, ok bool) {
	row := n.flow.partsRow()
	if row == nil {
		return a, false
	}
	n.partFacts(row, func(f *Fact, result PartResult) bool {
		if result.Meaning != PartEvent {
			return true
		}
		var extra identified
		if f.Cause != "" {
			extra.EventIdentity = f.Identity
		}
		if result.Renews {
			extra.ExpiresAt = timeText(n.now.Add(n.timing(row.Wait.Deadline)))
		}
		slot := row.Parts.Slot + "/" + result.Part + "/" + result.What
		a, ok = Action{Kind: Record, Entry: n.entry(slot, result.Type, f.Cause, result.Data, extra)}, true
		return false
	})
	return a, ok
}

// lastPart is the fact with which the wait is over; nil if there is none.
func (n *next[S, P]) lastPart(row *Step[S, P]) (last *Fact) {
	n.partFacts(row, func(f *Fact, result PartResult) bool {
		if result.Meaning == PartLast {
			last = f
		}
		return last == nil
	})
	return last
}

// waitParts: a wait that may be fulfilled in parts, and is not over.
func (n *next[S, P]) waitParts(row *Step[S, P], until time.Time) Action {
	if f := n.lastPart(row); f != nil {
		return n.done(row, f)
	}
	if a := n.k.Attention; a.Open && a.Step == row.Name && a.Decided == "" && (a.Item == "" || !row.Parts.Settled(n.s, a.Item)) {
		return n.look(StuckCall{Step: row.Name, Item: a.Item})
	}
	if part, text := row.Parts.Missing(n.s); part != "" {
		return n.look(StuckCall{Step: row.Name, Item: part, Error: text})
	}
	trouble := ""
	n.partFacts(row, func(f *Fact, result PartResult) bool {
		if result.Meaning == PartTrouble {
			for _, t := range row.Wait.Trouble {
				if t.On == f.Type {
					trouble = t.Text
				}
			}
		}
		return trouble == ""
	})
	if until = later(until, n.k.PartsUntil); trouble == "" && n.due(until) {
		if row.Refused != "" {
			return Action{Kind: Record, Entry: n.entry(row.slot(), row.Refused, "", row.Parts.Expired(n.s))}
		}
		trouble = row.Wait.Overdue
	}
	if trouble != "" {
		return n.look(StuckCall{Step: row.Name, Error: trouble})
	}
	return Action{Kind: Wait, Step: row.Name, Until: until, For: row.Wait.For}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// follow does what follows from a decision about a part.
func (n *next[S, P]) follow(row *Step[S, P]) Action {
	item, _ := row.Parts.Due(n.s)
	return Action{Kind: Do, Step: row.Parts.Follow.Name, Item: item}
}

// partSettled reports whether what a person was asked to decide about a part is decided, or has come about.
func (n *next[S, P]) partSettled(row *Step[S, P]) bool {
	a := n.k.Attention
	switch {
	case a.Decided != "", n.k.Has(row.slot()), row.Parts.Over(n.s), n.lastPart(row) != nil:
		return true
	case a.Item == "":
		return false
	}
	return row.Parts.Settled(n.s, a.Item)
}

// resolvePart follows a decision about what is missing.
func (n *next[S, P]) resolvePart(row *Step[S, P], r Resolution) Action {
	a := n.k.Attention
	kind := row.Parts.Decisions[r.Action]
	if kind == "" && a.Item == "" {
		return n.record(row.slot(), resolutionKind[r.Action], "", r.Data(a))
	}
	var extra identified
	if slices.Contains(row.Parts.Renews, r.Action) {
		extra.ExpiresAt = timeText(n.now.Add(n.timing(row.Wait.Deadline)))
	}
	if kind == "" {
		kind = r.EventType(n.flow.prefix())
	} else if a.Item == "" {
		// The log has no other event of what was heard.
		n.partFacts(row, func(f *Fact, result PartResult) bool {
			if result.Meaning == PartTrouble && f.Cause != "" {
				extra.EventIdentity = f.Identity
			}
			return extra.EventIdentity == ""
		})
	}
	var data any
	if row.Parts.Data != nil {
		data = row.Parts.Data(n.s, a.Item, r.Action)
	}
	return Action{Kind: Record, Entry: n.entry(slotDecided(a.Count), kind, "", r.Data(a), data, extra)}
}

// checkParts: a wait that may be fulfilled in parts has what it needs.
func checkParts[S, P any](c *tableChecker, row *Step[S, P]) {
	p := row.Parts
	if p == nil {
		return
	}
	c.parts++
	c.require(c.parts == 1, "one wait of a flow is fulfilled in parts")
	c.require(row.Kind == Await && c.pastPivot, "only a wait after the pivot is fulfilled in parts")
	c.require(p.Slot != "" && !strings.Contains(p.Slot, "/"), "the slot of parts is a name without a slash")
	c.unique("slot", p.Slot)
	c.require(len(p.On) > 0 && p.Interpret != nil && p.Over != nil && p.Missing != nil && p.Settled != nil,
		"parts have On, Interpret, Over, Missing and Settled")
	for action := range p.Decisions {
		c.require(action == Refund || action == Resend, "%q is no decision about a part", action)
	}
	c.require((p.Expired != nil) == (row.Refused != ""), "a wait in parts has Expired and Refused, or neither")
	c.require((p.Follow != nil) == (p.Due != nil), "Follow and Due are both there, or none")
	if f := p.Follow; f != nil {
		c.unique("name", f.Name)
		c.unique("slot", f.slot())
		c.require(f.Kind == Forward && f.Do != nil && f.Do.Run != nil && f.Done != "" && f.Undo == nil && f.Lookup == nil,
			"what follows from a decision is a forward step with Do and Done")
	}
}
