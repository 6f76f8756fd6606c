package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/test/audit"
)

// evidence is what was acknowledged to clients and what a subscriber got.
type evidence struct {
	placed         map[string]placement
	added          map[string]int64
	cancelled      map[string]bool
	resolved       map[string]int
	contradictions []string
	bus            map[string][]message
}

// Violations are what does not hold, in sentences.
type Violations struct {
	// Lost are orders, interventions and stock that were acknowledged and are not in the log, and orders that have not ended.
	Lost []string `json:"lost"`
	// Doubled are orders that were not placed, or that are there twice.
	Doubled []string `json:"doubled"`
	// Leaked are stock and money that differ from what was acknowledged.
	Leaked []string `json:"leaked"`
	// Unpublished are events that the bus did not get, or got in another order.
	Unpublished []string `json:"unpublished"`
	// Wrong are ends that an order must not have, answers that contradict the log, and what the audit found.
	Wrong []string `json:"wrong"`
}

func (v Violations) all() []string {
	return slices.Concat(v.Lost, v.Doubled, v.Leaked, v.Unpublished, v.Wrong)
}

// Count is how many there are.
func (v Violations) Count() int { return len(v.all()) }

func (v Violations) String() string {
	var b strings.Builder
	for _, class := range []struct {
		name string
		of   []string
	}{{"lost", v.Lost}, {"doubled", v.Doubled}, {"leaked", v.Leaked}, {"unpublished", v.Unpublished}, {"wrong", v.Wrong}} {
		for i, sentence := range class.of {
			if i == shownViolations {
				fmt.Fprintf(&b, "  %s: and %d more\n", class.name, len(class.of)-i)
				break
			}
			fmt.Fprintf(&b, "  %s: %s\n", class.name, sentence)
		}
	}
	return b.String()
}

const shownViolations = 20

// judge compares the log with the evidence.
func judge(e evidence, r *audit.Report) Violations {
	v := Violations{Wrong: append(slices.Clone(r.Violations), e.contradictions...)}
	for _, id := range slices.Sorted(maps.Keys(e.placed)) {
		judgeOrder(&v, e, r, id)
	}
	for id := range r.Orders {
		if _, known := e.placed[id]; !known {
			v.Doubled = append(v.Doubled, fmt.Sprintf("order %s was not acknowledged to anyone", id))
		}
	}
	for id, open := range r.Late {
		if len(open) > 0 {
			v.Leaked = append(v.Leaked, fmt.Sprintf("what came after the end of order %s is not settled: %v", id, open))
		}
	}
	for _, sku := range slices.Sorted(maps.Keys(e.added)) {
		if there := r.OnHand[sku] + r.Committed[sku]; there != e.added[sku] {
			v.Leaked = append(v.Leaked, fmt.Sprintf("sku %s: %d were received, %d are on hand or have left", sku, e.added[sku], there))
		}
		if r.Reserved[sku] != 0 {
			v.Leaked = append(v.Leaked, fmt.Sprintf("sku %s: %d are still reserved", sku, r.Reserved[sku]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Streams)) {
		// The IDs of this run are plain: their names are the IDs.
		if id, ok := strings.CutPrefix(name, "order-"); ok {
			judgeStream(&v, name, r.Streams[name], e.bus[id])
		}
	}
	return v
}

func judgeOrder(v *Violations, e evidence, r *audit.Report, id string) {
	p := e.placed[id]
	end, there := r.Orders[id]
	switch {
	case !there:
		v.Lost = append(v.Lost, fmt.Sprintf("order %s (%s) was acknowledged and is not in the log", id, p.kind.name))
		return
	case end == "":
		v.Lost = append(v.Lost, fmt.Sprintf("order %s (%s) has not ended: %v", id, p.kind.name, r.Timeline(id)))
		return
	}
	stream := r.Order(id)
	reason := field(stream[len(stream)-1].Data, "reason")
	unavailable := end == failed && strings.HasSuffix(reason, "_unavailable")
	switch {
	case unavailable:
	case !slices.Contains(p.kind.ends, end):
		v.Wrong = append(v.Wrong, fmt.Sprintf("order %s (%s) ended as %s (%s): %v", id, p.kind.name, end, reason, r.Timeline(id)))
	case end == failed && !slices.Contains(p.kind.reasons, reason):
		v.Wrong = append(v.Wrong, fmt.Sprintf("order %s (%s) failed because of %q", id, p.kind.name, reason))
	}
	if e.cancelled[id] && end == completed {
		v.Wrong = append(v.Wrong, fmt.Sprintf("order %s (%s) has completed, and its cancellation was acknowledged", id, p.kind.name))
	}
	if e.resolved[id] > 0 && !intervened(r, id) {
		v.Lost = append(v.Lost, fmt.Sprintf("an intervention for order %s (%s) was acknowledged and is not in the log", id, p.kind.name))
	}
}

// intervened reports whether the log has an intervention for an order.
func intervened(r *audit.Report, id string) bool {
	for _, stream := range [][]audit.Document{r.Order(id), r.Streams["late-"+id]} {
		for _, d := range stream {
			if field(d.Data, "requestId") != "" {
				return true
			}
		}
	}
	return false
}

// judgeStream compares a stream with what a subscriber got of it, duplicates dropped.
func judgeStream(v *Violations, name string, stream []audit.Document, got []message) {
	for i, d := range stream {
		switch {
		case i >= len(got):
			v.Unpublished = append(v.Unpublished, fmt.Sprintf("stream %s: the bus did not get %s", name, d.Type))
			return
		case got[i].ID != d.EventID:
			v.Unpublished = append(v.Unpublished, fmt.Sprintf("stream %s: event %d on the bus is %s, in the log %s", name, i+1, got[i].Type, d.Type))
			return
		}
	}
	if len(got) > len(stream) {
		v.Doubled = append(v.Doubled, fmt.Sprintf("stream %s: the bus got %s, which is not in the log", name, got[len(stream)].Type))
	}
}

func field(data bson.D, name string) string {
	for _, e := range data {
		if e.Key == name {
			text, _ := e.Value.(string)
			return text
		}
	}
	return ""
}

// damage is something that must be found.
type damage struct {
	name string
	// plant returns the documents with the damage, nil if they have nothing to damage.
	plant func([]audit.Document) []audit.Document
}

// damages are planted into a copy of the documents of a run that passed: a check that does not find them proves nothing.
var damages = []damage{
	{"an order is lost", func(documents []audit.Document) []audit.Document {
		return without(documents, func(d audit.Document) bool { return d.Stream == lastStream(documents, completed) })
	}},
	{"the end of an order is lost", func(documents []audit.Document) []audit.Document {
		stream := lastStream(documents, completed)
		return without(documents, func(d audit.Document) bool { return d.Stream == stream && d.Type == completed })
	}},
	{"an order is there twice", func(documents []audit.Document) []audit.Document {
		stream := lastStream(documents, completed)
		return append(slices.Clone(documents), copies(documents, stream, stream+"-again")...)
	}},
	{"a payment is captured twice", func(documents []audit.Document) []audit.Document {
		return again(documents, "charge.captured")
	}},
	{"stock leaves twice", func(documents []audit.Document) []audit.Document { return again(documents, "stock.committed") }},
	{"stock is not released or committed", func(documents []audit.Document) []audit.Document {
		return withoutLast(documents, "stock.committed")
	}},
	{"a capture is missing", func(documents []audit.Document) []audit.Document { return withoutLast(documents, "charge.captured") }},
}

// undetected plants each damage and returns those that judge does not find.
func undetected(e evidence, r *audit.Report) (missed []string, planted int) {
	var documents []audit.Document
	for _, name := range slices.Sorted(maps.Keys(r.Streams)) {
		documents = append(documents, r.Streams[name]...)
	}
	before := judge(e, audit.Examine(documents)).all()
	for _, d := range damages {
		damaged := d.plant(documents)
		if damaged == nil {
			continue
		}
		planted++
		found := judge(e, audit.Examine(damaged)).all()
		if !slices.ContainsFunc(found, func(sentence string) bool { return !slices.Contains(before, sentence) }) {
			missed = append(missed, d.name)
		}
	}
	return missed, planted
}

func without(documents []audit.Document, drop func(audit.Document) bool) []audit.Document {
	kept := slices.DeleteFunc(slices.Clone(documents), drop)
	if len(kept) == len(documents) {
		return nil
	}
	return kept
}

// last is the index of the last document of a type, -1 if there is none.
func last(documents []audit.Document, eventType string) int {
	for i := len(documents) - 1; i >= 0; i-- {
		if documents[i].Type == eventType {
			return i
		}
	}
	return -1
}

func lastStream(documents []audit.Document, eventType string) string {
	if i := last(documents, eventType); i >= 0 {
		return documents[i].Stream
	}
	return ""
}

func withoutLast(documents []audit.Document, eventType string) []audit.Document {
	i := last(documents, eventType)
	if i < 0 {
		return nil
	}
	return slices.Delete(slices.Clone(documents), i, i+1)
}

// again appends the last document of a type once more to its stream.
func again(documents []audit.Document, eventType string) []audit.Document {
	i := last(documents, eventType)
	if i < 0 {
		return nil
	}
	d := documents[i]
	for _, other := range documents {
		if other.Stream == d.Stream {
			d.Version = max(d.Version, other.Version+1)
		}
	}
	return append(slices.Clone(documents), d)
}

func copies(documents []audit.Document, stream, as string) []audit.Document {
	var copied []audit.Document
	for _, d := range documents {
		if d.Stream == stream {
			d.Stream = as
			copied = append(copied, d)
		}
	}
	return copied
}

// ends are when orders were accepted and completed.
type ends struct{ accepted, ended, completed map[string]time.Time }

func endsOf(r *audit.Report) ends {
	e := ends{accepted: map[string]time.Time{}, ended: map[string]time.Time{}, completed: map[string]time.Time{}}
	for id := range r.Orders {
		for _, d := range r.Order(id) {
			switch d.Type {
			case "order.accepted":
				e.accepted[id] = d.Time
			case completed:
				e.completed[id], e.ended[id] = d.Time, d.Time
			case rejected, cancelled, failed:
				e.ended[id] = d.Time
			}
		}
	}
	return e
}

// recovery is how long after a moment the first order completed that was accepted after it; 0 if there was none.
func (e ends) recovery(healed time.Time) time.Duration {
	var first time.Duration
	for id, at := range e.completed {
		if after := at.Sub(healed); !e.accepted[id].Before(healed) && (first == 0 || after < first) {
			first = max(after, time.Millisecond)
		}
	}
	return first
}

// rate is how many orders ended a second.
func (e ends) rate(from, to time.Time) float64 {
	n := 0
	for _, at := range e.ended {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return float64(n) / to.Sub(from).Seconds()
}
