package participantcheck

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// attempts is how often a request without a definite answer is sent, with pauses between them.
	attempts = 3
	pause    = 200 * time.Millisecond
	// callers is how many requests are sent at once by rules about concurrency, and rounds how often they try.
	callers = 8
	rounds  = 5
	// most is how many exchanges a failure has.
	most = 12
)

// play is one run of a rule. After a failure its methods do nothing: a rule reads as if everything were right.
type play struct {
	ctx     context.Context //nolint:containedctx // a play is one call
	client  *client
	cfg     Config
	failure *Failure
	note    string

	history []Exchange
	made    []subject
}

// subject is a reservation or a payment: its key, and the content of every request about it.
type subject struct {
	service Service
	key     string
	body    map[string]any
}

// new returns a subject that the service does not know: a reservation of quantity, or a payment.
func (p *play) new(quantity int64) subject {
	if p.cfg.Service == Payment {
		return p.payment(p.cfg.Method)
	}
	return p.reservation(line{SKU: p.cfg.SKU, Quantity: quantity})
}

func (p *play) reservation(lines ...line) subject {
	return p.remember(map[string]any{"lines": lines})
}

func (p *play) payment(method string) subject {
	return p.remember(map[string]any{"amount": Amount, "currency": p.cfg.Currency, "method": method})
}

func (p *play) remember(content map[string]any) subject {
	content["orderId"] = "check-" + uuid.NewString()
	s := subject{service: p.cfg.Service, key: uuid.NewString(), body: content}
	p.made = append(p.made, s)
	return s
}

// with returns the subject with other content for the same key.
func (s subject) with(name string, value any) subject {
	s.body = maps.Clone(s.body)
	s.body[name] = value
	return s
}

// keyed returns the subject with another key.
func (p *play) keyed(s subject, key string) subject {
	s.key = key
	p.made = append(p.made, s)
	return s
}

func (s subject) pick(inventory, payment operation) operation {
	if s.service == Payment {
		return payment
	}
	return inventory
}

// The requests about a subject.
func (s subject) to(op operation) request {
	return request{op: op, keys: []string{s.key}, body: s.body}
}
func (s subject) do() request     { return s.to(s.pick(reserve, authorize)) }
func (s subject) settle() request { return s.to(s.pick(commit, capture)) }
func (s subject) undo() request   { return s.to(s.pick(release, void)) }
func (s subject) find() request {
	return request{op: s.pick(findReservation, findPayment), keys: []string{s.key}}
}

func (s subject) refund(key string, amount int64) request {
	r := s.with("refundAmount", amount).to(refund)
	r.keys = append(r.keys, key)
	return r
}

// back is a return of the SKU, of which there is one line.
func (s subject) back(key string, lines ...line) request {
	r := s.with("lines", lines).to(returnGoods)
	r.keys = append(r.keys, key)
	return r
}

// held and settled are the states of a subject that is done, and then committed or captured.
func (s subject) held() string {
	if s.service == Payment {
		return "authorized"
	}
	return "reserved"
}

func (s subject) settled() string {
	if s.service == Payment {
		return "captured"
	}
	return "committed"
}

// cleanup undoes what a rule left, as far as the service does so.
func (p *play) cleanup() {
	for _, s := range p.made {
		p.client.send(p.ctx, s.undo())
	}
}

// send sends a request until its answer is definite.
func (p *play) send(r request) (a answer, sent []Exchange) {
	for i := range attempts {
		a = p.client.send(p.ctx, r)
		sent = append(sent, a.Exchange)
		if a.meaning != unknown || i == attempts-1 {
			break
		}
		select {
		case <-time.After(pause):
		case <-p.ctx.Done():
			return a, sent
		}
	}
	return a, sent
}

// do sends a request, again while the answer is unknown, and expects one of the meanings of want, separated by |.
func (p *play) do(step, want string, r request) answer {
	if p.failure != nil {
		return answer{}
	}
	a, sent := p.send(r)
	p.history = append(p.history, sent...)
	if len(sent) > 1 && a.meaning != unknown {
		p.note = fmt.Sprintf("at first no definite answer to %s %s", r.op.method, r.path())
	}
	if !slices.Contains(strings.Split(want, "|"), a.meaning) {
		p.fail(step, expected(r.op, want), a.problem)
	}
	return a
}

// status sends a request once and expects a status.
func (p *play) status(step string, want int, r request) {
	if p.failure != nil {
		return
	}
	a := p.client.send(p.ctx, r)
	p.history = append(p.history, a.Exchange)
	if a.Status != want {
		p.fail(step, fmt.Sprintf("%d %s", want, http.StatusText(want)), "")
	}
}

// broken sends a request whose connection breaks, or which is not valid, and ignores its answer.
func (p *play) broken(r request) answer {
	if p.failure != nil {
		return answer{}
	}
	a := p.client.send(p.ctx, r)
	p.history = append(p.history, a.Exchange)
	return a
}

// each sends requests at once and expects each to be one of the meanings.
func (p *play) each(step, want string, requests ...request) []answer {
	if p.failure != nil {
		return nil
	}
	answers, sent := make([]answer, len(requests)), make([][]Exchange, len(requests))
	if p.cfg.atOnce != nil {
		p.cfg.atOnce(len(requests))
		defer p.cfg.atOnce(1)
	}
	start := make(chan struct{})
	var all sync.WaitGroup
	for i, r := range requests {
		all.Go(func() {
			<-start
			answers[i], sent[i] = p.send(r)
		})
	}
	close(start)
	all.Wait()
	for i, a := range answers {
		p.history = append(p.history, sent[i]...)
		if !slices.Contains(strings.Split(want, "|"), a.meaning) {
			p.fail(step, expected(requests[i].op, want), a.problem)
			break
		}
	}
	return answers
}

// expect fails with the last exchange unless ok.
func (p *play) expect(step string, ok bool, format string, args ...any) {
	if p.failure == nil && !ok {
		p.fail(step, fmt.Sprintf(format, args...), "")
	}
}

func (p *play) fail(step, expected, problem string) {
	if p.ctx.Err() != nil {
		return // the check ends; this is no answer of the service
	}
	history := p.history
	if len(history) > most {
		history = history[len(history)-most:]
	}
	p.failure = &Failure{Step: step, Expected: expected, Problem: problem, Exchanges: slices.Clone(history)}
}

// expected is the answer with one of the meanings, for people.
func expected(op operation, want string) string {
	field := "result"
	if op.method == http.MethodGet {
		field = "state"
	}
	var all []string
	for meaning := range strings.SplitSeq(want, "|") {
		switch meaning {
		case "settled", "conflict", "insufficient":
			all = append(all, fmt.Sprintf(`409, application/problem+json with "code": %q`, meaning))
		case "invalid":
			all = append(all, `422, application/problem+json with "code": "invalid"`)
		case "traits":
			all = append(all, "200 with the traits of the service")
		default:
			all = append(all, fmt.Sprintf("200 with %q: %q", field, meaning))
		}
	}
	return strings.Join(all, ", or ")
}

// tooMany is more than any warehouse has, and fits into 32 bits.
const tooMany = 1_000_000_000

// available returns how many of the SKU are available: a refusal says so. It returns false for a payment service, and for one whose refusals have
// no numbers; effects are then checked by answers only.
func (p *play) available() (int64, bool) {
	if p.cfg.Service == Payment || p.failure != nil {
		return 0, false
	}
	probe := p.reservation(line{SKU: p.cfg.SKU, Quantity: tooMany})
	p.made = p.made[:len(p.made)-1] // it holds nothing
	a := p.do("reserve more than there is, to read how many are available", "refused", probe.do())
	for _, l := range a.body.Lines {
		if l.SKU == p.cfg.SKU && l.Available != nil {
			return *l.Available, true
		}
	}
	if p.failure == nil {
		p.note = "refusals have no lines[].available: only answers were checked, not how many are available"
	}
	return 0, false
}

// took expects that since a call of available that returned before and known, that many were taken.
func (p *play) took(step string, before int64, known bool, quantity int64) {
	if now, ok := p.available(); ok && known {
		p.expect(step, now == before-quantity, "%d available: %d before, less %d", before-quantity, before, quantity)
	}
}
