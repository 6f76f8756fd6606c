package matrix

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// stage is one effect of a step with its record: a target for faults.
type stage struct {
	// name is the step's name, with a suffix for the part of the step.
	name string
	// slot is where the outcome is recorded.
	slot string
	// effect is the call that does it; empty if the record is the effect.
	effect op
	// open reports whether the step can still be undone at this stage.
	open bool
	// along reports whether an attempt inside the workflow task records it together with the previous outcome. A regular
	// activity leaves it to the run, which may have received more facts.
	along bool
	// once reports whether an attempt that finds it in the log does not repeat it.
	once bool
}

// effects are the calls that the sagas' activities make. Recording has no other effect. An activity that is missing
// here has no cells, which TestEveryStepHasCells reports.
var effects = map[string]op{
	"inventory.Reserve": opReserve, "inventory.Release": opRelease, "inventory.Commit": opCommit,
	"payment.Authorize": opAuthorize, "payment.Capture": opCapture, "payment.Void": opVoid,
	order.Flow.Activity("Record"): "",
}

// sagaStep is a step of an order: its slots, and the activities that attempt and undo it, "" for none.
type sagaStep struct {
	name           string
	kind           saga.Kind
	slot, undoSlot string
	do, undo       string
}

// activities are those that the step names.
func (s sagaStep) activities() []string {
	return slices.DeleteFunc([]string{s.do, s.undo}, func(name string) bool { return name == "" })
}

// sequence is the saga of an order, as the service drives it: the rows of the table that apply to it. A wait before the pivot
// belongs to the row before it; one after the pivot is a step that goes forward.
func sequence(o order.Order) []sagaStep {
	var steps []sagaStep
	past := false
	for row := range order.Flow.Applicable(&order.State{Order: o}) {
		past = past || row.Kind == saga.Pivot
		s := sagaStep{name: row.Name, kind: row.Kind, slot: cmp.Or(row.Slot, row.Name)}
		if row.Kind == saga.Await {
			if !past {
				continue
			}
			s.kind = saga.Forward
		}
		if row.Do != nil {
			s.do = order.Flow.ActivityOf(row, saga.Do)
		}
		if row.Undo != nil {
			s.undo, s.undoSlot = order.Flow.ActivityOf(row, saga.Undo), order.UndoSlot(row.Name)
		}
		steps = append(steps, s)
	}
	return steps
}

// doing are the stages of a step's attempt, undoing that of its undo.
func doing(s sagaStep) []stage {
	did := stage{name: s.name, slot: s.slot, open: s.kind == saga.Compensable, effect: effects[s.do]}
	if s.slot == order.SlotConfirm {
		// The warehouse's answer is recorded in its own slot.
		return []stage{did, {name: s.name + " ship", slot: order.SlotShip}}
	}
	return []stage{did}
}

func undoing(s sagaStep) []stage {
	if s.undo == "" {
		return nil
	}
	return []stage{{name: "undo " + s.name, slot: s.undoSlot, effect: effects[s.undo]}}
}

// gatewayCalls are the effects that are regular activities where the gateway is slow.
var gatewayCalls = []op{opAuthorize, opCapture, opVoid, opLookup, opRefund}

// point is where a fault is injected, relative to a step's effect.
type point string

const (
	// before the effect; if recording is the effect, before the append.
	before point = "before"
	// done: after the effect, before the append of its outcome.
	done point = "done"
	// recorded: right after the append.
	recorded point = "recorded"
	// completed: after the append, when the workflow task or the activity is about to be completed.
	completed point = "completed"
	// taken: after the append and the completion of the regular activity, when the workflow task that handles its answer
	// is about to be completed.
	taken point = "taken"
)

var points = []point{before, done, recorded, completed, taken}

// journey is an order with the events from outside, and the stages that it goes through.
type journey struct {
	name        string
	fulfillment order.Fulfillment
	method      string
	// lines are what is ordered; two pieces at 450 each otherwise.
	lines []order.Line
	// scarce reports whether a second line has too little stock.
	scarce bool
	script []scriptEvent
	stages []stage
	// end is how it ends without cancellations and early events.
	end order.Status
}

var (
	dispatch = publishWhen(event.ShipmentDispatched, func(s order.State) bool { return !s.ConfirmedAt.IsZero() })
	deliver  = publishWhen(event.ShipmentDelivered, settled)
	pay      = publishWhen(event.PaymentSucceeded, func(s order.State) bool { return s.Payment == order.PaymentPending })
	recall   = scriptEvent{
		when: func(s order.State) bool { return !s.ConfirmedAt.IsZero() },
		do:   func(ctx context.Context, l *environment, orderID string) { l.cancel(ctx, orderID) },
	}
	// recallCaptured has the payment captured without the saga before the order is cancelled.
	recallCaptured = scriptEvent{
		when: recall.when,
		do: func(ctx context.Context, l *environment, orderID string) {
			l.capture(ctx, orderID)
			l.cancel(ctx, orderID)
		},
	}
)

// publishWhen is a scriptEvent that publishes an event.
func publishWhen(eventType string, when func(order.State) bool) scriptEvent {
	return scriptEvent{when, func(ctx context.Context, l *environment, orderID string) {
		l.publish(ctx, eventType, l.unique("say"), orderID)
	}}
}

// ordered is an order with two pieces at a price, as a journey has it; what is not stocked takes no stock.
func ordered(f order.Fulfillment, unitAmount int64, stocked bool) order.Order {
	return order.Order{Fulfillment: f, Lines: []order.Line{{SKU: "tea", Quantity: 2, UnitAmount: unitAmount, Stocked: &stocked}}}.Normalize()
}

// goods are the order of most journeys; a gift costs nothing, and a service takes no stock.
func goods(f order.Fulfillment) order.Order   { return ordered(f, 450, true) }
func gift(f order.Fulfillment) order.Order    { return ordered(f, 0, true) }
func service(f order.Fulfillment) order.Order { return ordered(f, 450, false) }

// forward are the stages of an order that completes, backward those of one that is undone, newest first.
func forward(o order.Order) []stage {
	stages := []stage{{name: order.StepAccept, slot: order.SlotAccept}}
	for _, s := range sequence(o) {
		did := doing(s)
		did[0].along = s.do == "" && s.kind != saga.Forward && stages[len(stages)-1].effect != ""
		stages = append(stages, did...)
	}
	return append(stages, stage{name: order.StepComplete, slot: order.SlotEnd})
}

func backward(o order.Order) []stage {
	var stages []stage
	for _, s := range slices.Backward(sequence(o)) {
		stages = append(stages, undoing(s)...)
	}
	return stages
}

// turn are the stages of an order that is compensated: the decision, the undos, the end.
func turn(slot string, o order.Order) []stage {
	stages := append([]stage{{name: "turn", slot: slot}}, backward(o)...)
	return append(stages, stage{name: "end", slot: order.SlotEnd})
}

// only are the stages that record in these slots.
func only(stages []stage, slots ...string) []stage {
	return slices.DeleteFunc(stages, func(s stage) bool { return !slices.Contains(slots, s.slot) })
}

// journeys are the sagas with every way of compensation that has its own undos.
func journeys() []journey {
	return []journey{
		{name: "immediate", fulfillment: order.Immediate, method: "tok_visa", stages: forward(goods(order.Immediate)), end: order.StatusCompleted},
		{
			name: "shipment", fulfillment: order.Shipment, method: "tok_visa", script: []scriptEvent{dispatch, deliver},
			stages: forward(goods(order.Shipment)), end: order.StatusCompleted,
		},
		{
			name: "capture refused", fulfillment: order.Immediate, method: "tok_capture_refused",
			stages: append([]stage{{name: "capture", slot: order.SlotCapture, effect: opCapture}}, turn(order.SlotTurn, goods(order.Immediate))...),
			end:    order.StatusRejected,
		},
		{
			name: "recalled", fulfillment: order.Shipment, method: "tok_visa", script: []scriptEvent{recall},
			stages: turn(order.SlotDecide, goods(order.Shipment)), end: order.StatusCancelled,
		},
		{
			name: "recalled, captured", fulfillment: order.Shipment, method: "tok_visa", script: []scriptEvent{recallCaptured},
			stages: []stage{{name: "undo authorize", slot: order.UndoSlot(order.StepAuthorize), effect: opRefund, once: true}},
			end:    order.StatusCancelled,
		},
		{
			name: "pending", fulfillment: order.Immediate, method: "tok_pending", script: []scriptEvent{pay},
			stages: []stage{
				{name: "ask the payer", slot: order.SlotPending, effect: opAuthorize, open: true},
				{name: "look up", slot: order.SlotAuthorize, effect: opLookup, open: true},
			},
			end: order.StatusCompleted,
		},
		{
			name: "scarce", fulfillment: order.Immediate, method: "tok_visa", scarce: true,
			stages: []stage{
				{name: "reserve", slot: order.SlotReserve, effect: opReserve, open: true},
				{name: "turn", slot: order.SlotDecide, along: true},
				{name: "undo reserve", slot: "undo/reserve", effect: opRelease},
				{name: "end", slot: order.SlotEnd},
			},
			end: order.StatusRejected,
		},
		// If steps do not apply, faults are injected into their neighbours in the sequence, where other code decides.
		{
			name: "gift", fulfillment: order.Immediate, lines: gift(order.Immediate).Lines,
			stages: only(forward(gift(order.Immediate)), order.SlotDecide, order.SlotCommit), end: order.StatusCompleted,
		},
		{
			name: "service", fulfillment: order.Immediate, method: "tok_visa", lines: service(order.Immediate).Lines,
			stages: only(forward(service(order.Immediate)), order.SlotCapture, order.SlotEnd), end: order.StatusCompleted,
		},
		{
			name: "service recalled", fulfillment: order.Shipment, method: "tok_visa", lines: service(order.Shipment).Lines, script: []scriptEvent{recall},
			stages: only(turn(order.SlotDecide, service(order.Shipment)), order.UndoSlot(order.StepAuthorize), order.SlotEnd), end: order.StatusCancelled,
		},
	}
}

// cell is one fault at one point of one stage of a journey.
type cell struct {
	journey   journey
	stage     stage
	point     point
	faultKind faultKind
	// mode is how its steps succeed; fast reports whether the gateway may be called inside workflow tasks.
	mode mode
	fast bool
}

func (c cell) name() string {
	return fmt.Sprintf("%s/%s/%s/%s", c.world(), c.stage.name, c.point, c.faultKind)
}

// world is the cell's journey, and what differs from the usual on it.
func (c cell) world() string {
	switch {
	case !c.fast:
		return c.journey.name + ", slow gateway"
	case c.mode != inline:
		return c.journey.name + ", " + string(c.mode)
	}
	return c.journey.name
}

// regular reports whether the target of the cell runs as a regular activity.
func (c cell) regular() bool {
	return c.mode != inline || !c.fast && slices.Contains(gatewayCalls, c.stage.effect)
}

// impossible says why a cell cannot be, or "".
func (c cell) impossible() string {
	if c.point == done && c.stage.effect == "" {
		return "the append is the effect: there is no point between the two"
	}
	if c.point == taken && !c.regular() {
		return "the same workflow task does it and handles its answer"
	}
	if c.mode == again && c.stage.along {
		return "the local activity has recorded it, and no regular activity does"
	}
	if c.mode == again && c.stage.once {
		return "the regular activity finds in the log that it was done"
	}
	return ""
}

// detour makes the target of the cell a regular activity.
func (c cell) detour() detour {
	return detour{c.mode, []op{c.stage.effect, record(c.stage.slot)}}
}

// injection is the cell's fault with its point.
func (c cell) injection(orderID string) *injection {
	t := &injection{orderID: orderID, faultKind: c.faultKind, what: record(c.stage.slot)}
	switch {
	case c.point == before && c.stage.effect != "":
		t.what = c.stage.effect
	case c.point == done:
		t.what, t.after = c.stage.effect, true
	case c.point == recorded:
		t.after = true
	case c.point == completed:
		t.after, t.wires = true, []op{wireTask}
		if c.regular() {
			t.wires = []op{wireActivity}
		}
	case c.point == taken:
		t.after, t.wires = true, []op{wireActivity, wireTask}
	}
	return t
}

// cells generates the matrix. With a slow gateway only the stages that call it differ.
func cells() (possible, impossible []cell) {
	for _, j := range journeys() {
		for _, m := range modes {
			for _, s := range j.stages {
				possible, impossible = cell{journey: j, stage: s, mode: m, fast: true}.addCells(possible, impossible)
				if m == inline && slices.Contains(gatewayCalls, s.effect) {
					possible, impossible = cell{journey: j, stage: s, mode: m}.addCells(possible, impossible)
				}
			}
		}
	}
	return possible, impossible
}

// meeting is a fault that meets a stage in a world, at any point; spot is a fault at a point of a stage, in any world.
func (c cell) meeting() string {
	return fmt.Sprintf("%s/%s/%s", c.world(), c.stage.name, c.faultKind)
}

func (c cell) spot() string {
	return fmt.Sprintf("%s/%s/%s", c.stage.name, c.point, c.faultKind)
}

// sample draws cells so that every fault is injected at every point of every stage in some world, and meets every stage in every
// world at some point. Another seed draws other combinations of the two.
func sample(all []cell, seed uint64) []cell {
	meetings, spots, drawn := map[string]bool{}, map[string]bool{}, map[string]bool{}
	draw := func(c cell) {
		meetings[c.meeting()], spots[c.spot()], drawn[c.name()] = true, true, true
	}
	shuffled := slices.Clone(all)
	rand.New(rand.NewPCG(seed, 1)).Shuffle(len(shuffled), func(i, j int) {
		shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
	})
	// Cells that have both come first: fewer cells are needed.
	for _, c := range shuffled {
		if !meetings[c.meeting()] && !spots[c.spot()] {
			draw(c)
		}
	}
	for _, c := range shuffled {
		if !meetings[c.meeting()] || !spots[c.spot()] {
			draw(c)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(c cell) bool { return !drawn[c.name()] })
}

// addCells adds the cells of every point and fault.
func (c cell) addCells(possible, impossible []cell) (more, never []cell) {
	kinds := faultKinds
	if c.stage.open {
		kinds = slices.Concat(faultKinds, cancellingFaults)
	}
	for _, c.point = range points {
		for _, c.faultKind = range kinds {
			if c.impossible() == "" {
				possible = append(possible, c)
			} else {
				impossible = append(impossible, c)
			}
		}
	}
	return possible, impossible
}

// settled reports whether all steps before the delivery are done. An order without stocked lines or without a payment has fewer steps.
func settled(s order.State) bool {
	paid := s.Order.TotalAmount == 0 || s.Capture == order.CaptureDone
	return s.Committed || len(s.Order.Items()) == 0 && paid && !s.ShippedAt.IsZero()
}
