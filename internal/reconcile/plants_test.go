package reconcile_test

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// plant is a planted violation, with its expected findings.
type plant struct {
	name string
	// kind and subject are the expected finding; also are further kinds that follow from it.
	kind    reconcile.Kind
	subject string
	also    []reconcile.Kind
	// audit is the expected message of the audit of raw documents; it is empty if the audit cannot find it, for the reason why.
	audit, why string
	plant      func(w *world)
}

const (
	temporalAlone = "raw documents do not tell of runs"
	serviceAlone  = "what the data of an event looks like is the service's own"
)

// add appends an event whose data are those of the newest one, changed.
func (s *store) add(stream, key, kind string, change func(data map[string]any)) {
	s.edit(stream, func(r []event.Record) []event.Record {
		next := r[len(r)-1]
		next.Key, next.Type, next.ID = key, kind, event.DerivedID(stream, key)
		next.Data = changed(next.Data, change)
		return append(r, next)
	})
}

// alter changes one record of a stream.
func (s *store) alter(stream string, version int, change func(r *event.Record)) {
	s.edit(stream, func(r []event.Record) []event.Record {
		change(&r[version-1])
		return r
	})
}

// counted makes a count of a SKU of which there are 10.
func (s *store) counted(stream string, n int) {
	s.add(stream, "a/count", event.StockAdjusted, func(data map[string]any) {
		delete(data, "orderId")
		data["id"], data["quantity"], data["onHand"], data["counted"] = "a", n-10, n, n
	})
}

func changed(raw json.RawMessage, change func(data map[string]any)) json.RawMessage {
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	var data map[string]any
	if err := decoder.Decode(&data); err != nil {
		panic(err)
	}
	if change != nil {
		change(data)
	}
	made, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return made
}

func with(values map[string]any) func(map[string]any) {
	return func(data map[string]any) {
		for name, v := range values {
			data[name] = v
		}
	}
}

// cut removes the newest records of a stream.
func (s *store) cut(stream string, n int) {
	s.edit(stream, func(r []event.Record) []event.Record { return r[:len(r)-n] })
}

func (w *world) run(id string, change func(*reconcile.Run)) {
	r := w.runs[id]
	change(&r)
	w.runs[id] = r
}

func (w *world) entry(id string, change func(*readmodel.Order)) {
	e := w.list[id]
	change(&e)
	w.list[id] = e
}

// plants has every kind at least once.
var plants = slices.Concat(temporalPlants, latePlants, customerPlants, moneyPlants, stockPlants, streamPlants, listPlants)

var temporalPlants = []plant{
	{name: "a workflow that was deleted", kind: reconcile.WorkflowGone, subject: "open", why: temporalAlone,
		plant: func(w *world) { delete(w.runs, "open") }},
	{name: "a workflow that was terminated", kind: reconcile.WorkflowClosed, subject: "open", why: temporalAlone,
		plant: func(w *world) { w.runs["open"] = reconcile.Run{Found: true, Status: "terminated"} }},
	{name: "a workflow that completed without its order", kind: reconcile.WorkflowClosed, subject: "desk", why: temporalAlone,
		plant: func(w *world) {
			w.runs["desk"] = reconcile.Run{Found: true, Completed: true, Status: "completed"}
		}},
	{name: "a delivery that a terminated run was told", kind: reconcile.SignalLost, subject: "open", why: temporalAlone,
		plant: func(w *world) {
			w.lost["open"] = order.FactsOf("open", order.ShipmentSignal{
				Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "d", Cause: "d"},
			})
			w.lost["sent"] = w.lost["open"]
		}},
	{name: "a payment that a terminated run of an ended order was told", kind: reconcile.SignalLost, subject: "poor", why: temporalAlone,
		plant: func(w *world) {
			w.lost["poor"] = order.FactsOf("poor", order.PaymentHint{ID: "h", Cause: "h", Succeeded: true})
			w.lost["done"] = w.lost["poor"]
		}},
	{name: "an order that Temporal alone knows", kind: reconcile.OrderUnrecorded, subject: "early", why: temporalAlone,
		plant: func(w *world) { w.runs["early"] = reconcile.Run{Found: true, Status: "timedout"} }},
	{name: "an order whose run completed before the log was restored", kind: reconcile.OrderUnrecorded, subject: "early", why: temporalAlone,
		plant: func(w *world) {
			w.runs["early"] = reconcile.Run{Found: true, Completed: true, Status: "completed"}
		}},
	{name: "an order whose run waits, and the log was restored", kind: reconcile.OrderUnrecorded, subject: "early", why: temporalAlone,
		plant: func(w *world) {
			w.runs["early"] = reconcile.Run{Found: true, Running: true, StartedAt: now.Add(-time.Hour)}
		}},
	{name: "an order whose run works, and the log was restored", kind: reconcile.OrderUnrecorded, subject: "early", why: temporalAlone,
		plant: func(w *world) {
			w.runs["early"] = reconcile.Run{Found: true, Running: true, StartedAt: now.Add(-time.Hour), Activities: 1}
		}},
	{name: "an order without events of which no worker takes the task", kind: reconcile.OrderStalled, subject: "early", why: temporalAlone,
		plant: func(w *world) {
			w.runs["early"] = reconcile.Run{Found: true, Running: true, StartedAt: now.Add(-time.Hour), TaskAttempts: 1, TaskSince: now.Add(-time.Hour)}
		}},
	{name: "a workflow task that fails", kind: reconcile.WorkflowFailing, subject: "open", why: temporalAlone,
		plant: func(w *world) { w.run("open", func(r *reconcile.Run) { r.TaskAttempts = 7 }) }},
	{name: "a workflow task that fails before the first event", kind: reconcile.WorkflowFailing, subject: "early", why: temporalAlone,
		plant: func(w *world) { w.runs["early"] = reconcile.Run{Found: true, Running: true, TaskAttempts: 7} }},
	{name: "a workflow task without a worker", kind: reconcile.OrderStalled, subject: "open", why: temporalAlone,
		plant: func(w *world) {
			w.run("open", func(r *reconcile.Run) { r.TaskAttempts, r.TaskSince = 1, now })
			w.at = now.Add(time.Hour)
		}},
	{name: "a run that does nothing although something is to be done", kind: reconcile.OrderStalled, subject: "desk", why: temporalAlone,
		plant: func(w *world) {
			w.cut("order-desk", 1)
			w.at = now.Add(time.Hour)
		}, also: []reconcile.Kind{reconcile.ListAhead}},
	{name: "a run that waits for what was due", kind: reconcile.OrderStalled, subject: "open", why: temporalAlone,
		plant: func(w *world) { w.at = now.Add(8 * 24 * time.Hour) }, also: []reconcile.Kind{reconcile.AttentionForLong}},
	{name: "a run that does not close", kind: reconcile.OrderStalled, subject: "done", why: temporalAlone,
		plant: func(w *world) {
			w.runs["done"] = reconcile.Run{Found: true, Running: true}
			w.at = now.Add(time.Hour)
		}},
	{name: "an attention without a decision", kind: reconcile.AttentionForLong, subject: "desk", why: temporalAlone,
		plant: func(w *world) { w.at = now.Add(25 * time.Hour) }},
	{name: "a run that was terminated after its end", kind: reconcile.EndUnpublished, subject: "done", why: temporalAlone,
		plant: func(w *world) { w.runs["done"] = reconcile.Run{Found: true, Status: "terminated"} }},
}

var moneyPlants = []plant{
	{name: "a cancelled order that was charged", kind: reconcile.MoneyWrong, subject: "back", audit: "was charged 500 instead of 0",
		plant: func(w *world) {
			w.alter("payment-back", 2, func(r *event.Record) { r.Type = event.ChargeCaptured })
		}},
	{name: "a completed order that was not charged", kind: reconcile.MoneyWrong, subject: "done", audit: "was charged 0 instead of 500",
		plant: func(w *world) { w.cut("payment-done", 1) }, also: []reconcile.Kind{reconcile.AuthorizationLeftOpen}},
	{name: "a completed order that was refunded", kind: reconcile.MoneyWrong, subject: "done", audit: "was charged 300 instead of 500",
		plant: func(w *world) {
			w.add("payment-done", "refund/r", event.ChargeRefunded, with(map[string]any{"amount": 200}))
		}},
	{name: "an authorization that was not voided", kind: reconcile.AuthorizationLeftOpen, subject: "back", audit: "authorization of order back stands",
		plant: func(w *world) { w.cut("payment-back", 1) }},
	{name: "a payer who is still asked", kind: reconcile.AuthorizationLeftOpen, subject: "back", audit: "authorization of order back stands",
		plant: func(w *world) {
			w.edit("payment-back", func(r []event.Record) []event.Record {
				r[0].Type, r[0].Key = event.ChargePending, "authorize/pending"
				return r[:1]
			})
		}},
	{name: "two authorizations", kind: reconcile.AuthorizedTwice, subject: "open", audit: "has 2 authorizations",
		plant: func(w *world) { w.add("payment-open", "authorize/again", event.ChargeAuthorized, nil) }},
	{name: "captured twice", kind: reconcile.PaymentContradiction, subject: "done", audit: "captured again",
		plant: func(w *world) { w.add("payment-done", "settle/again", event.ChargeCaptured, nil) },
		also:  []reconcile.Kind{reconcile.MoneyWrong}},
	{name: "refunded beyond what was taken", kind: reconcile.PaymentContradiction, subject: "done", audit: "gives back 501 of 500",
		plant: func(w *world) {
			w.add("payment-done", "refund/r", event.ChargeRefunded, with(map[string]any{"amount": 501}))
		}, also: []reconcile.Kind{reconcile.MoneyWrong}},
	{name: "voided after it was captured", kind: reconcile.PaymentContradiction, subject: "done", audit: "is voided after it was captured",
		plant: func(w *world) { w.add("payment-done", "void", event.ChargeVoided, nil) }},
	{name: "authorized after it was voided", kind: reconcile.PaymentContradiction, subject: "back", audit: "is authorized after it was voided",
		plant: func(w *world) { w.add("payment-back", "authorize/again", event.ChargeAuthorized, nil) },
		also:  []reconcile.Kind{reconcile.AuthorizedTwice, reconcile.AuthorizationLeftOpen}},
	{name: "paid but no order", kind: reconcile.PaymentWithoutOrder, subject: "ghost", audit: "payment ghost has no order",
		plant: func(w *world) {
			w.streams["payment-ghost"] = w.streams["payment-open"]
			w.edit("payment-ghost", func(r []event.Record) []event.Record { return r })
		}},
	{name: "a late capture that was not given back", kind: reconcile.StreamPivot, subject: "order-slow", audit: "and nothing was given back",
		plant: func(w *world) {
			w.edit("order-slow", func(r []event.Record) []event.Record {
				return slices.DeleteFunc(r, func(r event.Record) bool { return r.Type == event.PaymentRefunded })
			})
			w.cut("payment-slow", 1)
			w.entry("slow", func(e *readmodel.Order) { e.Version-- })
		}, also: []reconcile.Kind{reconcile.MoneyWrong}},
	{name: "a refund of a lost parcel that was not made", kind: reconcile.MoneyWrong, subject: "gone", audit: "was charged 500 instead of 250",
		plant: func(w *world) { w.cut("payment-gone", 1) }},
	{name: "a refund of a lost parcel that nothing was reserved for", kind: reconcile.PaymentContradiction, subject: "gone",
		audit: "the refund ledger reserves 0 for it", plant: func(w *world) { delete(w.streams, "refunds-gone") }},
	{name: "a refund that nothing was reserved for", kind: reconcile.PaymentContradiction, subject: "slow", audit: "the refund ledger reserves 0 for it",
		plant: func(w *world) { delete(w.streams, "refunds-slow") }},
	{name: "refunds reserved beyond what was captured", kind: reconcile.PaymentContradiction, subject: "slow", audit: "refunds of 501 of payment slow are reserved of 500",
		plant: func(w *world) {
			w.add("refunds-slow", "reserve/other", event.RefundsReserved, with(map[string]any{"key": "other", "amount": 1}))
		}},
	{name: "a refund of a good capture", kind: reconcile.StreamPivot, subject: "order-done", audit: "order done: payment.refunded",
		plant: func(w *world) {
			w.edit("order-done", func(r []event.Record) []event.Record {
				for i := range r {
					if r[i].Type == event.InventoryCommitted {
						r[i].Type, r[i].Key = event.PaymentRefunded, "undo/authorize"
						r[i].Data = r[i-1].Data
					}
				}
				return r
			})
		}, also: []reconcile.Kind{reconcile.PaymentContradiction}},
	{name: "money that an operator decided about", kind: reconcile.ExceptionOnRecord, subject: "back", audit: "authorization of order back stands",
		plant: func(w *world) {
			w.cut("payment-back", 1)
			w.skip("order-back", event.PaymentVoided, order.StepAuthorize, true)
		}},
	{name: "stock that an operator decided about", kind: reconcile.ExceptionOnRecord, subject: "back", audit: `order back has ended as "order.cancelled" and holds 2 of back`,
		plant: func(w *world) {
			w.cut("sku-back", 1)
			w.skip("order-back", event.InventoryReleased, order.StepReserve, true)
		}},
}

// skip puts an operator's decision into the slot of a step's own outcome.
func (s *store) skip(stream, outcome string, step order.Step, undo bool) {
	s.edit(stream, func(r []event.Record) []event.Record {
		for i := range r {
			if r[i].Type == outcome {
				r[i].Type = "order.step_skipped"
				r[i].Data = changed(r[i].Data, with(map[string]any{"step": step, "undo": undo, "action": "skip", "note": "by hand"}))
			}
		}
		return r
	})
}

var stockPlants = []plant{
	{name: "a balance that is not true", kind: reconcile.StockBalance, subject: "done", audit: "claims 9 on hand",
		plant: func(w *world) {
			w.alter("sku-done", 3, func(r *event.Record) { r.Data = changed(r.Data, with(map[string]any{"onHand": 9})) })
		}},
	{name: "less than nothing", kind: reconcile.StockNegative, subject: "done", audit: "-12 on hand",
		plant: func(w *world) {
			w.add("sku-done", "a/adjustment", event.StockAdjusted, with(map[string]any{"orderId": "", "quantity": -20, "onHand": -12}))
		}},
	{name: "more reserved than there is", kind: reconcile.StockNegative, subject: "open", audit: "10 on hand, 12 reserved",
		plant: func(w *world) {
			w.alter("sku-open", 2, func(r *event.Record) {
				r.Data = changed(r.Data, with(map[string]any{"quantity": 12, "reserved": 12}))
			})
		}},
	{name: "fewer counted than are reserved, and no saga asks", kind: reconcile.ShortageUnsettled, subject: "open", why: temporalAlone,
		plant: func(w *world) {
			w.counted("sku-open", 1)
			w.others["shortage-open"] = reconcile.Run{Found: true, Status: "terminated"}
		}},
	{name: "committed a second time", kind: reconcile.StockSlots, subject: "done", audit: "order done settles 2 of done",
		plant: func(w *world) {
			w.add("sku-done", "done/settle/again", event.StockCommitted, with(map[string]any{"onHand": 6, "reserved": -2}))
		}, also: []reconcile.Kind{reconcile.StockNegative}},
	{name: "reserved a second time", kind: reconcile.StockSlots, subject: "open", audit: "reserves open a second time",
		plant: func(w *world) {
			w.add("sku-open", "open/reserve/again", event.StockReserved, with(map[string]any{"reserved": 4}))
		}},
	{name: "held after the end", kind: reconcile.StockHeld, subject: "back", audit: `ended as "order.cancelled" and holds 2`,
		plant: func(w *world) { w.cut("sku-back", 1) }},
	{name: "held by an unknown order", kind: reconcile.StockHeld, subject: "done", audit: "order ghost is not known and holds 1",
		plant: func(w *world) {
			w.add("sku-done", "ghost/reserve", event.StockReserved, with(map[string]any{"orderId": "ghost", "quantity": 1, "reserved": 1}))
		}},
	{name: "a completed order whose stock is still there", kind: reconcile.StockOutcome, subject: "done", audit: "order done has completed, and of its 2",
		plant: func(w *world) {
			w.alter("sku-done", 3, func(r *event.Record) {
				r.Type, r.Data = event.StockReleased, changed(r.Data, with(map[string]any{"onHand": 10}))
			})
		}},
	{name: "a cancelled order whose stock has left", kind: reconcile.StockOutcome, subject: "back", audit: "its 2 of back have left",
		plant: func(w *world) {
			w.alter("sku-back", 3, func(r *event.Record) {
				r.Type, r.Data = event.StockCommitted, changed(r.Data, with(map[string]any{"onHand": 8}))
			})
		}},
}

var streamPlants = []plant{
	{name: "a gap", kind: reconcile.StreamGap, subject: "order-done", audit: "has version 4 where 3 should be",
		plant: func(w *world) {
			w.damage("order-done", func(r []event.Record) []event.Record { return slices.Delete(r, 2, 3) })
		}},
	{name: "no beginning", kind: reconcile.StreamGap, subject: "sku-done", audit: "has version 2 where 1 should be",
		plant: func(w *world) {
			w.damage("sku-done", func(r []event.Record) []event.Record { return r[1:] })
		}},
	{name: "a version twice", kind: reconcile.StreamFork, subject: "order-done", audit: "has version 3 twice",
		plant: func(w *world) {
			w.damage("order-done", func(r []event.Record) []event.Record { return slices.Insert(r, 3, r[2]) })
		}, also: []reconcile.Kind{reconcile.StreamDocument}},
	{name: "a fork", kind: reconcile.StreamFork, subject: "payment-done", audit: "does not follow the record before it",
		plant: func(w *world) {
			w.damage("payment-done", func(r []event.Record) []event.Record { r[1].PrevHash = r[1].Hash; return r })
		}, also: []reconcile.Kind{reconcile.StreamHash}},
	{name: "a changed record", kind: reconcile.StreamHash, subject: "order-done", audit: "does not have the hash",
		plant: func(w *world) {
			w.damage("order-done", func(r []event.Record) []event.Record { r[1].Subject = "somebody"; return r })
		}},
	{name: "a slot twice", kind: reconcile.StreamKey, subject: "order-done", audit: `the key "decide" twice`,
		plant: func(w *world) { w.alter("order-done", 5, func(r *event.Record) { r.Key = "decide" }) }},
	{name: "a document elsewhere", kind: reconcile.StreamDocument, subject: "order-done", audit: `has the _id "order-done@7"`,
		plant: func(w *world) { w.ids["order-done@0000000007"] = "order-done@7" }},
	{name: "another beginning", kind: reconcile.StreamBeginning, subject: "order-done", audit: "order done begins with order.confirmed",
		plant: func(w *world) { w.alter("order-done", 1, func(r *event.Record) { r.Type = event.OrderConfirmed }) }},
	{name: "another order's beginning", kind: reconcile.StreamBeginning, subject: "order-done", audit: `of order "sent"`,
		plant: func(w *world) {
			w.alter("order-done", 1, func(r *event.Record) { r.Data = changed(r.Data, with(map[string]any{"orderId": "sent"})) })
		}},
	{name: "an event after the end", kind: reconcile.StreamAfterEnd, subject: "order-done", audit: "order done goes on after order.completed",
		plant: func(w *world) { w.add("order-done", "deliver", event.OrderDelivered, nil) },
		also:  []reconcile.Kind{reconcile.ListBehind}},
	{name: "captured before it was decided", kind: reconcile.StreamPivot, subject: "order-done", audit: `payment.captured after ""`,
		plant: func(w *world) {
			w.edit("order-done", func(r []event.Record) []event.Record { r[3], r[4] = r[4], r[3]; return r })
		}},
	{name: "undone after it was decided forward", kind: reconcile.StreamPivot, subject: "order-done", audit: `inventory.released after "order.settling"`,
		plant: func(w *world) {
			w.alter("order-done", 6, func(r *event.Record) { r.Type = event.InventoryReleased })
		}},
	{name: "turned back for no reason", kind: reconcile.StreamPivot, subject: "order-turn", audit: `order.compensating after "order.settling"`,
		plant: func(w *world) {
			w.edit("order-turn", func(r []event.Record) []event.Record {
				return slices.DeleteFunc(r, func(r event.Record) bool { return r.Type == event.PaymentCaptureRefused })
			})
		}, also: []reconcile.Kind{reconcile.ListAhead}},
	{name: "data that cannot be read", kind: reconcile.StreamFold, subject: "order-done", why: serviceAlone,
		plant: func(w *world) {
			w.alter("order-done", 7, func(r *event.Record) {
				r.Data = changed(r.Data, with(map[string]any{"outcome": map[string]any{"is": 1}}))
			})
		}, also: []reconcile.Kind{reconcile.StockHeld}},
}

var listPlants = []plant{
	{name: "an order that the list does not show", kind: reconcile.ListMissing, subject: "done", audit: "does not show order done",
		plant: func(w *world) { delete(w.list, "done") }},
	{name: "an order that the list shows as it was", kind: reconcile.ListBehind, subject: "done", audit: "the list shows version 1 of order done",
		plant: func(w *world) {
			state, err := order.Fold(w.streams["order-done"][:1])
			if err != nil {
				panic(err)
			}
			w.list["done"] = readmodel.FromState(state)
		}},
	{name: "an order that the list knows more of", kind: reconcile.ListAhead, subject: "done", audit: "the list shows version 99",
		plant: func(w *world) { w.entry("done", func(e *readmodel.Order) { e.Version = 99 }) }},
	{name: "another status", kind: reconcile.ListDifferent, subject: "done", audit: "the list shows order done as",
		plant: func(w *world) { w.entry("done", func(e *readmodel.Order) { e.Status = order.StatusFailed }) }},
	{name: "another amount", kind: reconcile.ListDifferent, subject: "open", audit: "the list shows order open as",
		plant: func(w *world) { w.entry("open", func(e *readmodel.Order) { e.TotalAmount++ }) }},
	{name: "an entry without an order", kind: reconcile.ListOrphan, subject: "ghost", audit: "shows order ghost, which has no stream",
		plant: func(w *world) {
			w.list["ghost"] = w.list["done"]
			w.entry("ghost", func(e *readmodel.Order) { e.ID = "ghost" })
		}},
}
