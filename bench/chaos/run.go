package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	moptions "go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/bench/internal/report"
	"github.com/ordersaga/ordersaga/bench/internal/rig"
	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// Queues of the shop: one for the record of everything, one for the events that it reacts to.
const (
	recordQueue = "chaos.record"
	shopQueue   = "chaos.shop"
)

// settings of the service during a run: what is stuck needs attention soon, and payers are late. Nothing repairs what a fault has
// left but the service itself. The deadline of the shipment is long: a parcel that was reported must not be forgotten.
var settings = []string{
	"API_AUTH=keys", "ATTENTION_AFTER=15s", "PAYMENT_PENDING_DEADLINE=30s", "SHIPMENT_DEADLINE=2h", "DELIVERY_DEADLINE=2h", "SIMULATOR_OUTAGE=5s",
	"RECONCILE_EVERY=0", "LOG_LEVEL=warn", "LOG_FORMAT=json",
}

const (
	// progressEvery is how often a run prints how far it is.
	progressEvery = 5 * time.Second
	// reconcileTimeout bounds how long a finding may need to vanish.
	reconcileTimeout = 3 * time.Minute
)

// run is a run.
type run struct {
	options
	stack    rig.Stack
	database string
	began    time.Time
	shop     *shop
	record   *recorder
	injector *injector
	result   *Result
}

func do(ctx context.Context, o options) (err error) {
	stack, err := rig.FromEnvironment("chaos")
	if err != nil || os.Getenv("DEVSTACK_BIN") == "" {
		return errors.Join(err, errors.New("run `make chaos`, or `devstack exec -- bin/chaos`"))
	}
	r := &run{options: o, stack: stack, database: os.Getenv("MONGODB_DATABASE"), began: time.Now(), record: newRecorder()}
	r.result = &Result{Began: r.began, Command: o.String(), Seed: o.seed, Commit: report.Commit(), Machine: report.Machine(true)}
	faults := plan(o.seed, o.duration, o.faults, len(o.processes))
	fmt.Printf("%s\n\nThe plan, a function of the seed; what the faults meet depends on timing, which a seed cannot repeat:\n%s\n", o, listing(faults))
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	if err := r.open(ctx, &background); err != nil {
		return err
	}
	defer r.shop.bus.close()
	defer r.kill()
	if err := r.load(ctx, faults); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		r.say("%v", err)
		r.result.NotSettled = err.Error()
	}
	if err := r.check(ctx); err != nil {
		return err
	}
	r.result.Took = time.Since(r.began)
	if err := r.result.leave(o.out); err != nil {
		return err
	}
	return r.result.verdict()
}

func (r *run) say(format string, args ...any) {
	fmt.Printf("%7.1f s  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// open starts links, keys, queues, processes and the clients that react.
func (r *run) open(ctx context.Context, background *sync.WaitGroup) error {
	r.injector = &injector{
		links: map[string]link{}, say: r.say,
		addresses: map[string]string{temporal: r.stack.Temporal, mongodb: r.stack.MongoAddress(), rabbitmq: r.stack.AMQPAddress()},
	}
	for component, address := range r.injector.addresses {
		l, err := newLink(component, address)
		if err != nil {
			return fmt.Errorf("proxy before %s: %w", component, err)
		}
		r.injector.links[component] = l
	}
	r.shop = &shop{seed: r.seed, tokens: map[string]string{}, bus: &publisher{url: r.stack.AMQP}, record: r.record, ledger: newLedger(), http: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: r.clients},
	}}
	for caller, scopes := range scopes {
		key, err := r.command(ctx, "keys", "create", "--name", caller, "--scopes", scopes)
		if err != nil {
			return err
		}
		r.shop.tokens[caller] = strings.TrimSpace(key)
	}
	if err := errors.Join(declare(r.stack.AMQP, recordQueue, "#"), declare(r.stack.AMQP, shopQueue, reactions()...)); err != nil {
		return err
	}
	if err := r.startProcesses(ctx); err != nil {
		return err
	}
	for _, p := range r.injector.processes {
		background.Go(func() { p.supervise(ctx) })
	}
	background.Go(func() { consume(ctx, r.stack.AMQP, recordQueue, r.record.record) })
	background.Go(func() { consume(ctx, r.stack.AMQP, shopQueue, r.shop.react) })
	background.Go(func() { r.shop.operate(ctx, 2*time.Second) })
	return r.stockUp(ctx)
}

// reactions are the types of the events that the shop reacts to.
func reactions() []string {
	var types []string
	for _, k := range orderKinds {
		for eventType := range k.on {
			if !slices.Contains(types, eventType) {
				types = append(types, eventType)
			}
		}
	}
	return types
}

func (r *run) stockUp(ctx context.Context) error {
	for sku, quantity := range map[string]int64{
		"chaos-a": 1_000_000, "chaos-b": 1_000_000, "chaos-c": 1_000_000, "chaos-d": 1_000_000, "chaos-scarce-1": 10, "chaos-scarce-2": 10, "chaos-scarce-3": 10,
	} {
		if err := r.shop.receive(ctx, sku, quantity, "stock-"+sku); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) startProcesses(ctx context.Context) error {
	through := func(component, uri string) string {
		return strings.Replace(uri, r.injector.addresses[component], r.injector.links[component].Listen, 1)
	}
	env := append(slices.Clone(settings),
		"TEMPORAL_ADDRESS="+through(temporal, r.stack.Temporal), "MONGODB_URI="+through(mongodb, r.stack.MongoDB), "AMQP_URL="+through(rabbitmq, r.stack.AMQP))
	for i, role := range r.processes {
		p := &process{name: fmt.Sprintf("%s-%d", role, i+1), role: role}
		var err error
		if p.addr, err = harness.FreeAddr(); err != nil {
			return err
		}
		log, err := logFile(r.out, "chaos-"+p.name)
		if err != nil {
			return err
		}
		p.options = harness.Options{Binary: r.binary, Role: role, Addr: p.addr, Env: env, Output: log, NoWait: true}
		if err := p.start(ctx); err != nil {
			return err
		}
		r.injector.processes = append(r.injector.processes, p)
		if role == "serve" || role == "api" {
			r.shop.urls = append(r.shop.urls, "http://"+p.addr)
		}
	}
	if len(r.shop.urls) == 0 {
		return errors.New("no process has the REST API: --processes must have serve or api")
	}
	return r.ready(ctx)
}

// ready waits until every process is ready.
func (r *run) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.heal)
	defer cancel()
	for _, p := range r.injector.processes {
		err := harness.Poll(ctx, 100*time.Millisecond, func() bool {
			s, _ := p.running()
			return s.Ready(ctx) == nil
		})
		if err != nil {
			s, _ := p.running()
			return fmt.Errorf("%s does not become ready: %w\n%s", p.name, err, s.Log())
		}
	}
	return nil
}

func (r *run) kill() {
	for _, p := range r.injector.processes {
		_ = p.end(func(s *harness.Service) error { s.Kill(); return nil })
	}
	for _, l := range r.injector.links {
		l.Stop()
	}
}

// command runs the service's command line, past the proxies.
func (r *run) command(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, r.binary, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("ordersaga %s: %w: %s", args[0], err, exit.Stderr)
	}
	return string(out), err
}

// load places orders while the faults happen.
func (r *run) load(ctx context.Context, faults []Fault) error {
	start := time.Now()
	faultFree, end := window(r.duration)
	r.result.faultFreeFrom, r.result.faultFreeTo = start, start.Add(faultFree)
	r.result.faultsFrom, r.result.faultsTo = start.Add(faultFree), start.Add(end)
	placing, stopPlacing := context.WithTimeout(ctx, r.duration)
	defer stopPlacing()
	var clients sync.WaitGroup
	for n := range r.clients {
		clients.Go(func() { r.shop.client(ctx, placing, n, r.options, start) })
	}
	reporting, stopReporting := context.WithCancel(ctx)
	var reporter sync.WaitGroup
	reporter.Go(func() {
		for sleep(reporting, progressEvery) == nil {
			r.progress()
		}
	})
	err := r.injector.run(ctx, start, r.result.faultsTo, faults)
	clients.Wait()
	stopReporting()
	reporter.Wait()
	r.say("all faults are healed, no more orders are placed")
	return errors.Join(err, ctx.Err())
}

func (r *run) progress() {
	ended, recorded, repeated := r.record.counts()
	placed := len(r.shop.ledger.orders())
	r.say("%d orders acknowledged, %d ended; %d events on the bus, %d repeated; %d requests, %d repeated", placed, ended, recorded, repeated, r.shop.requests.get(), r.shop.retries.get())
}

// settle waits until every order has ended, nothing needs attention, no message waits, and reconcile is content.
func (r *run) settle(ctx context.Context) error {
	if err := r.ready(ctx); err != nil {
		return err
	}
	healing := time.Now()
	defer func() { r.result.Settled = time.Since(healing) }()
	bounded, cancel := context.WithTimeout(ctx, r.heal)
	defer cancel()
	var waits string
	for {
		if waits = r.unsettled(bounded); waits == "" {
			if waits = r.lateEvents(bounded); waits == "" {
				break
			}
		}
		r.say("waiting: %s", waits)
		if sleep(bounded, progressEvery) != nil {
			return fmt.Errorf("after %s: %s", r.heal, waits)
		}
	}
	return r.reconcile(bounded)
}

// lateEvents lists late events that are not handled: a stuck refund needs attention only after a while.
func (r *run) lateEvents(ctx context.Context) string {
	log, err := r.log(ctx)
	if err != nil {
		return err.Error()
	}
	for id, open := range log.Late {
		if len(open) > 0 {
			return fmt.Sprintf("what came after the end of order %s is not settled: %v", id, open)
		}
	}
	return ""
}

// log reads the whole event log and checks it.
func (r *run) log(ctx context.Context) (*audit.Report, error) {
	client, err := mongo.Connect(moptions.Client().ApplyURI(r.stack.MongoDB))
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	return audit.Run(ctx, client.Database(r.database))
}

// unsettled says what is not over.
func (r *run) unsettled(ctx context.Context) string {
	var open []string
	for id, p := range r.shop.ledger.orders() {
		if r.record.end(id) == "" {
			open = append(open, fmt.Sprintf("%s (%s)", id, p.kind.name))
		}
	}
	slices.Sort(open)
	var waits []string
	if len(open) > 0 {
		waits = append(waits, fmt.Sprintf("%d orders have not ended: %s", len(open), strings.Join(open[:min(5, len(open))], ", ")))
	}
	if items, err := r.shop.attention(ctx); err != nil {
		waits = append(waits, err.Error())
	} else if len(items) > 0 {
		waits = append(waits, fmt.Sprintf("%d need attention, such as %s: %s %s", len(items), items[0].ID, items[0].Step, items[0].Error))
	}
	bus, err := harness.Dial(r.stack.AMQP)
	if err != nil {
		return err.Error()
	}
	defer bus.Close()
	for _, queue := range []string{harness.Inbox, harness.Inbox + ".wait.5s", harness.Inbox + ".wait.30s", harness.Inbox + ".wait.5m", recordQueue, shopQueue} {
		if n, err := bus.Depth(queue); err != nil || n > 0 {
			waits = append(waits, fmt.Sprintf("%d messages in %s", n, queue))
		}
	}
	return strings.Join(waits, "; ")
}

// finding is a finding of reconcile.
type finding struct {
	Kind     string `json:"kind"`
	Subject  string `json:"subject"`
	Detail   string `json:"detail"`
	Severity string `json:"severity"`
}

// reconcile runs the service's own check until it is content: what was published last may not be noted yet.
func (r *run) reconcile(ctx context.Context) error {
	var end time.Time
	for {
		// One run may take minutes: the MongoDB server of devstack scans collections.
		out, err := r.command(ctx, "reconcile", "--json")
		if err == nil {
			r.result.Reconcile = "content"
			return nil
		}
		var found struct{ Findings []finding }
		_ = json.Unmarshal([]byte(out), &found)
		text := err.Error()
		for i, f := range found.Findings {
			if i == shownViolations {
				text += fmt.Sprintf("\n  and %d more", len(found.Findings)-i)
				break
			}
			text += fmt.Sprintf("\n  %s %s: %s", f.Kind, f.Subject, f.Detail)
		}
		r.result.Reconcile = text
		if end.IsZero() {
			end = time.Now().Add(reconcileTimeout)
		}
		if time.Now().After(end) || sleep(ctx, progressEvery) != nil {
			return fmt.Errorf("reconcile is not content: %s", text)
		}
	}
}

// check holds the log and the bus against what was acknowledged, and then the check against planted damages.
func (r *run) check(ctx context.Context) error {
	r.say("the audit reads the log")
	log, err := r.log(ctx)
	if err != nil {
		return err
	}
	l := r.shop.ledger
	l.mu.Lock()
	e := evidence{placed: l.accepted, added: l.added, cancelled: l.cancelled, resolved: l.resolved, contradictions: l.contradictions, bus: r.record.all()}
	l.mu.Unlock()
	r.result.Violations = judge(e, log)
	missed, planted := undetected(e, log)
	r.result.Planted, r.result.Missed = planted, missed
	r.summarize(log, e)
	return r.deadLetters(ctx)
}

// deadLetters notes what the service could not handle: there must be none.
func (r *run) deadLetters(ctx context.Context) error {
	response, err := r.shop.send(ctx, operatorKey, http.MethodGet, "/v1/dead-letters?limit=500", nil)
	if err != nil {
		return err
	}
	var list struct{ Items []harness.DeadLetter }
	if err := response.Into(http.StatusOK, &list); err != nil {
		return err
	}
	for _, d := range list.Items {
		r.result.Violations.Lost = append(r.result.Violations.Lost, fmt.Sprintf("dead letter %s: %s of %s: %s: %s", d.ID, d.Type, d.Subject, d.Reason, d.Detail))
	}
	return nil
}

// crashed reports the processes whose log has a panic or a race.
func (r *run) crashed() []string {
	var found []string
	for _, p := range r.injector.processes {
		text, err := os.ReadFile(filepath.Join(r.out, "chaos-"+p.name+".log"))
		for _, mark := range []string{"\npanic: ", "\nfatal error: ", "WARNING: DATA RACE"} {
			if at := strings.Index(string(text), mark); err == nil && at >= 0 {
				found = append(found, fmt.Sprintf("%s: %s", p.name, string(text[at:min(len(text), at+400)])))
			}
		}
	}
	return found
}
