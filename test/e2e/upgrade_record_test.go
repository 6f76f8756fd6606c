package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/notify/notifytest"
	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// recorder has the variable that names the binary whose log is recorded.
const recorder = "ORDERSAGA_RECORD_UPGRADE"

// neverLate sets deadlines that do not expire: events contain the ends of waits, and the log is read years later. SHIPMENT_DEADLINE must be
// shorter than the lifetime of the simulator's authorizations, so a binary that records is built with a longer authorizationLifetime in the
// simulator, and no other change.
var neverLate = []string{
	"PAYMENT_PENDING_DEADLINE=14000d", "SHIPMENT_DEADLINE=14000d", "DELIVERY_DEADLINE=14000d", "NOTIFICATION_WINDOW=14000d",
	"RESERVE_DEADLINE=1h", earlyAttention, "LOG_LEVEL=warn",
}

// TestRecordUpgrade records a log for TestUpgrade: sagas in every state in which they may wait, and timelines that are cut after every event, each
// with and without the effect of the next step. It is run by hand, with the binary of a version that is in use:
//
//	ORDERSAGA_RECORD_UPGRADE=/path/to/ordersaga bin/devstack exec -- go test -count=1 -v -run TestRecordUpgrade ./test/e2e
//
// See neverLate about that binary.
func TestRecordUpgrade(t *testing.T) {
	useOldBinary(t)
	s := newStack(t)
	mail := notifytest.Start(t, nil)
	mail.Answer(notifytest.Script{"mail": "451 4.3.0 later"})
	r := &upgradeRecorder{mailed: &mailed{stack: s, server: mail}}
	r.env = append(r.mailEnv(mail.Addr()), neverLate...)

	r.env = append(r.env, "TEMPORAL_NAMESPACE="+s.registerNamespace(), "SIGNAL_PARK_MAX=1s")
	overdue := map[string]bool{}
	for _, p := range upgradePaths {
		if p.overdue != "" && !overdue[p.overdue] {
			overdue[p.overdue] = true
			s.start(append(slices.Clone(r.env), strings.Fields(p.overdue)...)...)
			r.walk(p.overdue)
			require.NoError(t, s.service.Stop(patience))
		}
	}
	s.start(r.env...)
	r.walk("")
	r.shortage()
	r.early()
	r.customers()
	r.malformed()
	r.settled()
	s.service.Kill()

	all := s.readDatabase()
	for _, c := range r.cuts {
		r.cut(all, c)
	}
	r.describe(all)
	s.write(all, r.recording)
}

// useOldBinary selects the binary whose log is recorded, and skips the test if none is set.
func useOldBinary(t *testing.T) {
	t.Helper()
	old := os.Getenv(recorder)
	if old == "" {
		t.Skipf("%s is not set: this is how a log is recorded, and no test", recorder)
	}
	contract.suspend(t)
	ours := binary
	binary = old
	t.Cleanup(func() { binary = ours })
}

// upgradeRecorder runs the sagas of a recording.
type upgradeRecorder struct {
	*mailed
	recording

	actors []*actor
	cuts   []cut
}

// cut is a saga whose timeline ends after so many events. Effects are the effects that the log has nevertheless: those of the next event, in all
// of its streams or only in the first one.
type cut struct {
	*actor

	events  int
	effects string
}

// The effects that a cut has.
const (
	effectsKnown = "known"
	effectsAhead = "ahead"
	effectsHalf  = "half"
)

// walk runs the paths: first to every state in which an order waits and to the end, then once for each cut of their timelines.
func (r *upgradeRecorder) walk(overdue string) {
	var actors []*actor
	ends := map[string]*actor{}
	for _, p := range upgradePaths {
		if p.overdue != overdue {
			continue
		}
		for stop := p.stopFrom; stop <= len(p.script); stop++ {
			for _, first := range []bool{false, true} {
				if first && stop == len(p.script) {
					continue
				}
				a := r.cast(p, fmt.Sprintf("%d-%t", stop, first), stop)
				a.First, a.Then = first, slices.Clone(a.Then)
				actors = append(actors, a)
				if stop == len(p.script) {
					ends[p.name] = a
				}
			}
		}
	}
	r.act(actors)
	r.actors = append(r.actors, actors...)

	actors = nil
	for _, p := range upgradePaths {
		if p.overdue != overdue || p.cutFrom == 0 {
			continue
		}
		timeline, err := r.client.Timeline(r.ctx, ends[p.name].ID)
		require.NoError(r.t, err)
		for events := p.cutFrom; events < len(timeline); events++ {
			for _, effects := range []string{effectsKnown, effectsAhead, effectsHalf} {
				needs := causes[timeline[events].Type] // of the next event
				if effects != effectsKnown && (p.resumes || len(needs) == 0) || effects == effectsHalf && p.lines < 2 {
					continue
				}
				a := r.cast(p, fmt.Sprintf("cut-%d-%s", events, effects), len(p.script))
				r.cuts = append(r.cuts, cut{a, events, effects})
				actors = append(actors, a)
			}
		}
	}
	r.act(actors)
	r.actors = append(r.actors, actors...)
}

// cast places an order of a path that continues until so many reactions have happened.
func (r *upgradeRecorder) cast(p upgradePath, name string, limit int) *actor {
	id := strings.NewReplacer(" ", "-", ",", "").Replace(p.name) + "-" + name
	o := harness.NewOrder("sku-"+id, 2, p.method)
	for line := range max(p.lines, 1) {
		sku := "sku-" + id
		if line > 0 {
			sku += fmt.Sprintf("-%d", line)
			o.Lines = append(o.Lines, harness.Line{SKU: sku, Quantity: 2, UnitAmount: 500})
		}
		if p.stock == 0 {
			p.stock = 10
		}
		if p.stock > 0 {
			require.NoError(r.t, r.client.Receive(r.ctx, sku, p.stock))
		}
	}
	a := &actor{limit: limit, recordedSaga: &recordedSaga{ID: id, Path: p.name, Status: p.status, Reason: p.reason, Late: p.late}}
	for _, do := range p.script {
		if do.Count != nil {
			do.SKU = "sku-" + id
		}
		a.Then = append(a.Then, do)
	}
	o.ID = id
	if p.shipment {
		o.Fulfillment = "shipment"
	}
	r.placeByEvent(o)
	return a
}

func (s *stack) placeByEvent(o harness.Order) {
	s.t.Helper()
	_, err := s.bus.Publish(s.ctx, "order.created", o.ID, o)
	require.NoError(s.t, err)
}

// shortage opens an order that waits for stock of another order whose void is stuck.
func (r *upgradeRecorder) shortage() {
	i := slices.IndexFunc(upgradePaths, func(p upgradePath) bool { return p.name == "stuck void" })
	p := upgradePaths[i]
	p.stock = 2
	holder := r.cast(p, "holder", 1)
	r.act([]*actor{holder})
	o := harness.NewOrder("sku-"+holder.ID, 2, "tok_visa")
	o.ID = "waits-for-stock"
	r.placeByEvent(o)
	_, err := r.client.AwaitStatus(r.ctx, o.ID, "accepted")
	require.NoError(r.t, err)
	waiter := &actor{recordedSaga: &recordedSaga{ID: o.ID, Path: "waits for stock", Status: "completed"}}
	r.actors = append(r.actors, holder, waiter)
}

// early publishes a cancellation before its order.
func (r *upgradeRecorder) early() {
	const id = "cancelled-before-it-came"
	eventID, err := r.bus.Publish(r.ctx, "order.cancellation_requested", id, map[string]any{"orderId": id, "reason": "ordered twice"})
	require.NoError(r.t, err)
	_, err = r.client.AwaitDead(r.ctx, func(l harness.DeadLetter) bool { return l.EventID == eventID })
	require.NoError(r.t, err)
	require.NoError(r.t, r.client.Receive(r.ctx, "sku-"+id, 10))
	r.Sagas = append(r.Sagas, recordedSaga{ID: id, Path: "cancelled before it came", State: "unknown", Status: "cancelled", Reason: "requested"})
}

// customers registers customers while the mail server accepts nothing. Afterwards their streams are cut.
func (r *upgradeRecorder) customers() {
	r.Streams = map[string][]string{}
	var streams []string
	for n := range 5 {
		who := fmt.Sprintf("c-upgrade-%d", n)
		r.registers(who, who+"-1", who+"@example.com", time.Now())
		streams = append(streams, "notice-welcome-"+who)
		r.Streams["customer-"+who], r.Streams["notice-welcome-"+who] = []string{"customer.onboarded"}, []string{"notice.sent"}
	}
	r.Streams["notice-welcome-c-upgrade-3"] = []string{"notice.unknown"}
	r.awaitEnds(streams, "notice.not_accepted")
	o := harness.NewOrder("sku-of-a-customer", 1, "tok_visa")
	require.NoError(r.t, r.client.Receive(r.ctx, "sku-of-a-customer", 10))
	o.ID, o.CustomerID = "of-a-customer", "c-upgrade-4"
	r.placeByEvent(o)
	r.awaitEnds([]string{"notice-completed-" + o.ID}, "notice.not_accepted")
	r.Streams["notice-completed-"+o.ID] = []string{"notice.sent"}
	r.actors = append(r.actors, &actor{recordedSaga: &recordedSaga{ID: o.ID, Path: "of a customer", Status: "completed"}})
}

// malformed leaves an open dead letter.
func (r *upgradeRecorder) malformed() {
	require.NoError(r.t, r.bus.PublishJSON(r.ctx, harness.Exchange, "shipment.lost", "application/json", map[string]any{"id": "malformed"}))
	l, err := r.client.AwaitDead(r.ctx, func(l harness.DeadLetter) bool { return l.Type == "shipment.lost" })
	require.NoError(r.t, err)
	r.DeadLetter = l.ID
}

// settled waits until the late events are handled, except for missing interventions, and checks the invariants.
func (r *upgradeRecorder) settled() {
	require.Eventually(r.t, func() bool {
		report, err := audit.Run(r.ctx, r.db)
		require.NoError(r.t, err)
		require.Empty(r.t, report.Violations)
		for _, a := range r.actors {
			if a.used == len(a.Then) && len(a.Late) > 0 && !slices.Equal(a.Late, lateTypes(report.Streams["late-"+a.ID])) {
				return false
			}
		}
		return true
	}, patience, 10*tick)
}

// drop deletes documents of a collection.
func (all dump) drop(collection string, which func(bson.D) bool) {
	all[collection] = slices.DeleteFunc(all[collection], which)
}

// versionOf is the version of an event's document in its stream.
func versionOf(d bson.D) int {
	var version int
	_, _ = fmt.Sscanf(text(d, "_id")[strings.LastIndex(text(d, "_id"), "@")+1:], "%d", &version)
	return version
}

// shorten cuts a stream after an event.
func (all dump) shorten(stream string, version int) {
	all.drop("events", func(d bson.D) bool { return text(d, "stream") == stream && versionOf(d) > version })
}

// cut cuts the timeline of an order, and keeps the effects that it records, or one more.
func (r *upgradeRecorder) cut(all dump, c cut) {
	recorded := map[string]bool{}
	next := map[string]bool{}
	for _, d := range all["events"] {
		if text(d, "stream") != "order-"+c.ID {
			continue
		}
		for _, effect := range causes[text(d, "type")] {
			recorded[effect] = recorded[effect] || versionOf(d) <= c.events
			next[effect] = next[effect] || versionOf(d) <= c.events+1
		}
	}
	all.shorten("order-"+c.ID, c.events)
	for _, stream := range []string{"payment-" + c.ID, "refunds-" + c.ID, "sku-sku-" + c.ID, "sku-sku-" + c.ID + "-1"} {
		effects := recorded
		if c.effects == effectsAhead || c.effects == effectsHalf && !strings.HasSuffix(stream, "-1") {
			effects = next
		}
		keep := 0
		for _, d := range all["events"] {
			if text(d, "stream") == stream && (effects[text(d, "type")] || text(d, "type") == "stock.added") {
				keep = max(keep, versionOf(d))
			}
		}
		all.shorten(stream, keep)
	}
	all.drop("orders", func(d bson.D) bool { return text(d, "_id") == c.ID })
	for i, version := range slices.Backward(c.versions) {
		if version < int64(c.events) {
			c.Then = slices.Clone(c.Then[i+1:])
			break
		}
	}
	c.State = fmt.Sprintf("after %d events, effects %s", c.events, c.effects)
}

// describe returns the description of the recording.
func (r *upgradeRecorder) describe(all dump) {
	// A customer after the registration only, a customer whose message was not begun, and messages before and during their sending.
	all.shorten("customer-c-upgrade-0", 1)
	all.shorten("notice-welcome-c-upgrade-0", 0)
	all.shorten("customer-c-upgrade-1", 1)
	all.shorten("notice-welcome-c-upgrade-1", 1)
	all.shorten("notice-welcome-c-upgrade-2", 1)
	all.shorten("notice-welcome-c-upgrade-3", 2)
	statuses := map[string]string{}
	for _, d := range all["orders"] {
		statuses[text(d, "_id")] = text(d, "status")
	}
	heads := map[string]string{}
	for _, d := range all["events"] {
		heads[text(d, "stream")] = text(d, "type")
	}
	for _, a := range r.actors {
		if a.State == "" {
			a.State = statuses[a.ID]
			a.Then = a.Then[a.used:]
		}
		a.Open = !isEnd(strings.TrimPrefix(heads["order-"+a.ID], "order."))
		r.Sagas = append(r.Sagas, *a.recordedSaga)
	}
	slices.SortFunc(r.Sagas, func(a, b recordedSaga) int { return strings.Compare(a.ID, b.ID) })
	size := 0
	for _, documents := range all {
		size += len(documents)
	}
	r.t.Logf("%d sagas, %d documents", len(r.Sagas), size)
}
