package soak

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/test/audit"
)

// deadLetters is the collection that dead letters are moved to.
const deadLetters = "dead_letters"

// depths are how many messages are left in the queues of the service, by queue.
type depths map[string]int

func (d depths) total() int {
	n := 0
	for _, depth := range d {
		n += depth
	}
	return n
}

// queues asks for what waits. The dead letters are judged, not waited for.
func (s *soak) queues() (depths, error) {
	return s.depths(".inbox", ".inbox.wait.5s", ".inbox.wait.30s", ".inbox.wait.5m")
}

func (s *soak) depths(queues ...string) (depths, error) {
	conn, err := amqp.Dial(s.witness.url)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	channel, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	found := depths{}
	for _, queue := range queues {
		q, err := channel.QueueDeclarePassive(s.prefix+queue, true, false, false, false, nil)
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", s.prefix+queue, err)
		}
		found[queue] = q.Messages
	}
	return found, nil
}

// verdict collects what does not hold.
type verdict struct{ wrong []string }

func (v *verdict) say(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// shown bounds what an error lists.
const shown = 25

func (v *verdict) err() error {
	if len(v.wrong) == 0 {
		return nil
	}
	more := ""
	if n := len(v.wrong) - shown; n > 0 {
		more = fmt.Sprintf("\n  … and %d more", n)
	}
	return fmt.Errorf("%d things do not hold:\n  %s%s", len(v.wrong), strings.Join(v.wrong[:min(shown, len(v.wrong))], "\n  "), more)
}

// judge holds what happened against what must hold, prints the summary, and returns what does not.
func (s *soak) judge(ctx context.Context) error {
	v := &verdict{}
	for _, lost := range s.crowd.lost {
		v.say("%s", lost)
	}
	for _, wrong := range s.witness.wrong {
		v.say("on the bus: %s", wrong)
	}
	report, err := audit.Run(ctx, s.db)
	if err != nil {
		return errors.Join(v.err(), err)
	}
	for _, violation := range report.Violations {
		v.say("audit: %s", violation)
	}
	s.judgeOrders(v, report)
	s.judgeStreams(v, report)
	dead, kept := s.judgeDead(ctx, v)
	reconciled := s.reconcile(ctx)
	s.summary(report, dead, kept, reconciled)
	return errors.Join(v.err(), reconciled)
}

// judgeOrders: the orders that were accepted are those of the log, each has ended as its kind does, and nothing came late.
func (s *soak) judgeOrders(v *verdict, report *audit.Report) {
	for id, p := range s.crowd.plans {
		end, there := report.Orders[id]
		switch {
		case !there:
			v.say("order %s (%s) was accepted and is not in the log", id, p.name)
		case end != p.end:
			v.say("order %s (%s) ended as %q, not as %s: %v", id, p.name, end, p.end, report.Timeline(id))
		}
		if n := report.Authorizations[id]; n > 1 {
			v.say("order %s was authorized %d times", id, n)
		}
	}
	for id := range report.Orders {
		if _, known := s.crowd.plans[id]; !known {
			v.say("order %s is in the log and nobody sent it", id)
		}
	}
	for id, late := range report.Late {
		v.say("order %s: %v came late", id, late)
	}
	for _, sku := range s.skus {
		if report.Reserved[sku] != 0 {
			v.say("%d of %s are reserved for nobody", report.Reserved[sku], sku)
		}
	}
}

// judgeStreams: what the witness has got is what the log has, event by event.
func (s *soak) judgeStreams(v *verdict, report *audit.Report) {
	for id := range s.crowd.plans {
		var logged []heard
		for _, d := range report.Streams["order-"+id] {
			logged = append(logged, heard{d.EventID, d.Type})
		}
		got := s.witness.stream(id)
		if fmt.Sprint(got) != fmt.Sprint(logged) {
			v.say("order %s: the log has %v, the bus had %v", id, logged, got)
		}
	}
}

// judgeDead: nothing that was sent deserves to be dead, neither in the queue nor where it is kept after that.
func (s *soak) judgeDead(ctx context.Context, v *verdict) (inQueue, kept int64) {
	left, err := s.depths(".dead")
	if err != nil {
		v.say("%v", err)
	}
	inQueue = int64(left[".dead"])
	if kept, err = s.db.Collection(deadLetters).CountDocuments(ctx, bson.D{}); err != nil {
		v.say("count %s: %v", deadLetters, err)
	}
	if inQueue+kept > 0 {
		v.say("%d dead letters in the queue, %d in the collection", inQueue, kept)
	}
	return inQueue, kept
}

// summary prints what happened, as a table.
func (s *soak) summary(report *audit.Report, dead, kept int64, reconciled error) {
	sent, accepted, _ := s.crowd.counts()
	w := s.witness.sight()
	type row struct {
		orders, byEvent, repeated int
		end                       string
	}
	rows := map[string]*row{}
	for _, p := range s.crowd.plans {
		r := rows[p.name]
		if r == nil {
			r = &row{end: p.end}
			rows[p.name] = r
		}
		r.orders++
		if p.byEvent {
			r.byEvent++
		}
		if p.times > 1 {
			r.repeated++
		}
	}
	names := make([]string, 0, len(rows))
	for name := range rows {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintln(s.Out)
	t := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KIND\tORDERS\tBY EVENT\tSENT REPEATEDLY\tEND")
	for _, name := range names {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\n", name, rows[name].orders, rows[name].byEvent, rows[name].repeated, rows[name].end)
	}
	fmt.Fprintln(t)
	events := 0
	for id := range s.crowd.plans {
		events += len(report.Streams["order-"+id])
	}
	audited, checked := "nothing found", "nothing found"
	if len(report.Violations) > 0 {
		audited = fmt.Sprintf("%d violations", len(report.Violations))
	}
	if reconciled != nil {
		checked = "violations, or it could not check"
	}
	for _, line := range [][2]any{
		{"seed", s.Seed}, {"took", time.Since(s.began).Round(time.Second)},
		{"orders sent / accepted / ended in the log", fmt.Sprintf("%d / %d / %d", sent, accepted, len(report.Orders)-len(report.Open()))},
		{"events of orders in the log", events},
		{"messages at the witness, of them again", fmt.Sprintf("%d, %d", w.messages, w.duplicates)},
		{"gaps or contradictions at the witness", len(s.witness.wrong)},
		{"events sent by the neighbours, attempts that failed", fmt.Sprintf("%d, %d", s.crowd.sender.published.Load(), s.crowd.sender.again.Load())},
		{"broker stopped / killed", fmt.Sprintf("%d / %d", s.plague.restarts.Load(), s.plague.kills.Load())},
		{"connections closed by the broker", s.plague.closed.Load()},
		{"consumer processes killed and replaced", s.plague.replaced.Load()},
		{"dead letters in the queue / kept", fmt.Sprintf("%d / %d", dead, kept)},
		{"audit of the raw log", audited}, {"ordersaga reconcile", checked},
	} {
		fmt.Fprintf(t, "%s\t%v\n", line[0], line[1])
	}
	_ = t.Flush()
}
