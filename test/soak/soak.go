package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/test/harness"
)

// Options say how much, and with what. The environment of devstack says where the servers are.
type Options struct {
	// Binary is the path of ordersaga. Mandatory.
	Binary string
	// Orders and Outages are how many there are at least: the load goes on until both are reached.
	Orders, Outages int
	// Rate is how many orders are sent in a second. Default 4.
	Rate float64
	// Seed is what everything random comes from.
	Seed uint64
	// Database is the MongoDB database. Default: that of the environment.
	Database string
	// Env are more variables for the processes of the service.
	Env []string
	// Stall is how long nothing may come of what is open before it is given up. Default 6 min: longer than the
	// longest wait queue. A run needs no deadline besides: on a slow machine it takes its time.
	Stall time.Duration
	// Out gets the progress and the summary.
	Out io.Writer
}

func (o Options) withDefaults() Options {
	if o.Rate <= 0 {
		o.Rate = 4
	}
	if o.Stall <= 0 {
		o.Stall = 6 * time.Minute
	}
	if o.Database == "" {
		o.Database = os.Getenv("MONGODB_DATABASE")
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	return o
}

// soak is one run.
type soak struct {
	Options
	run     string
	began   time.Time
	prefix  string
	skus    []string
	crowd   *crowd
	witness *witness
	plague  *plague
	db      *mongo.Database
	env     []string
}

// Run sends the orders, brings the outages, waits, and judges. The error has everything that does not hold.
func Run(ctx context.Context, o Options) (err error) {
	o = o.withDefaults()
	amqpURL, devstack := os.Getenv("AMQP_URL"), os.Getenv("DEVSTACK_BIN")
	if amqpURL == "" || devstack == "" {
		return errors.New("AMQP_URL or DEVSTACK_BIN is not set: run it under devstack exec")
	}
	run := "soak-" + uuid.NewString()[:8]
	s := &soak{Options: o, run: run, began: time.Now(), prefix: run}
	s.env = append([]string{
		"MONGODB_DATABASE=" + o.Database, "EVENT_EXCHANGE=" + run, "BROKER_PREFIX=" + run,
		"LOG_LEVEL=warn", "LOG_FORMAT=json", "RECONCILE_EVERY=0",
	}, o.Env...)
	client, err := mongo.Connect(options.Client().ApplyURI(os.Getenv("MONGODB_URI")))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	s.db = client.Database(o.Database)

	// One process does everything, a second one shares the inbox with it.
	service, err := harness.Start(ctx, harness.Options{Binary: o.Binary, Env: s.env})
	if err != nil {
		return err
	}
	defer service.Kill()
	_, replace, end, err := replacer(ctx, harness.Options{Binary: o.Binary, Role: "consumer", Env: s.env})
	if err != nil {
		return err
	}
	defer end()
	defer func() {
		if err != nil {
			fmt.Fprintf(o.Out, "the end of the service's log:\n%s\n", service.Log())
		}
	}()

	load, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	s.plague = &plague{devstack: devstack, management: os.Getenv("RABBITMQ_MANAGEMENT_URL"),
		random: rand.New(rand.NewPCG(o.Seed, 0)), replace: replace}
	send := &sender{url: amqpURL, exchange: run}
	defer send.close()
	s.crowd = &crowd{ctx: load, client: harness.Client{URL: service.URL, HTTP: &http.Client{}}, sender: send, run: run,
		plans: map[string]plan{}, seen: map[string][]string{}}
	s.witness = &witness{url: amqpURL, exchange: run, queue: run + ".witness", hear: s.crowd.hear,
		streams: map[string][]heard{}, last: time.Now()}
	fmt.Fprintf(o.Out, "soak: seed %d, at least %d orders at %.1f/s and %d outages of the broker\n", o.Seed, o.Orders, o.Rate, o.Outages)
	if err := s.stock(ctx); err != nil {
		return err
	}
	listening, stopListening := context.WithCancel(ctx)
	var ears sync.WaitGroup
	ears.Go(func() { s.witness.listen(listening) })
	defer func() { stopListening(); ears.Wait() }()
	if err := s.ready(ctx); err != nil {
		return err
	}
	err = s.load(ctx)
	if err == nil {
		err = s.settle(ctx)
	}
	// Nobody reacts any more before everybody is waited for.
	stopListening()
	ears.Wait()
	stopLoad()
	s.crowd.all.Wait()
	// A run that was given up is judged all the same: what it left is what one wants to know.
	judging, judged := context.WithTimeout(context.WithoutCancel(ctx), judgeTimeout)
	defer judged()
	return errors.Join(err, s.judge(judging))
}

// judgeTimeout bounds the judgement: it reads the whole log, and reconcile does so again.
const judgeTimeout = 10 * time.Minute

// stock makes what is sold.
func (s *soak) stock(ctx context.Context) error {
	for i := range 8 {
		sku := fmt.Sprintf("%s-sku-%d", s.run, i)
		if err := s.crowd.client.Receive(ctx, sku, 1_000_000); err != nil {
			return err
		}
		s.skus = append(s.skus, sku)
	}
	return nil
}

// ready waits until the witness listens: what is published before that is not its own.
func (s *soak) ready(ctx context.Context) error {
	for s.witness.sight().sessions == 0 {
		if !rest(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// load sends orders while outages come, until there were enough of both.
func (s *soak) load(ctx context.Context) error {
	struck := make(chan error, 1)
	go func() {
		if err := s.calm(ctx); err != nil {
			struck <- err
			return
		}
		for s.plague.outages() < int64(s.Outages) {
			if err := s.plague.strike(ctx); err != nil {
				struck <- err
				return
			}
		}
		struck <- nil
	}()
	pace := time.NewTicker(time.Duration(float64(time.Second) / s.Rate))
	defer pace.Stop()
	said := time.Now()
	for n, enough := 0, false; n < s.Orders || !enough; {
		select {
		case err := <-struck:
			if err != nil {
				return err
			}
			enough = true
		case <-pace.C:
			s.crowd.place(planOf(s.Seed, s.run, s.skus, n))
			n++
		case <-ctx.Done():
			return errors.Join(ctx.Err(), <-struck)
		}
		if time.Since(said) >= progressEvery {
			said = time.Now()
			s.progress()
		}
	}
	return nil
}

// settled is how long a broker is left alone after the queues were declared. RabbitMQ writes the names of its quorum queues
// to disk with a delay: one that it is killed right behind the declaration of comes back without a leader, takes nothing
// any more, and the exchange confirms nothing then (rabbitmq-server#15725). That is not what is asked here.
const settled = 10 * time.Second

// calm waits until the first orders have ended and the broker had time to settle.
func (s *soak) calm(ctx context.Context) error {
	began := time.Now()
	for s.witness.sight().ended < 3 || time.Since(began) < settled {
		if !rest(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// progressEvery is how often the progress is printed.
const progressEvery = 10 * time.Second

func (s *soak) progress() {
	sent, accepted, _ := s.crowd.counts()
	w := s.witness.sight()
	fmt.Fprintf(s.Out, "%5.0fs  sent %d, accepted %d, seen to end %d; %d messages, %d of them again; broker stopped %d, killed %d times\n",
		time.Since(s.began).Seconds(), sent, accepted, w.ended, w.messages, w.duplicates, s.plague.restarts.Load(), s.plague.kills.Load())
}

// settle waits until the witness has seen every order end, nobody has anything left to send, and the queues are empty, in this
// order: what each is about comes from the one before. It polls: all of it is in other processes.
func (s *soak) settle(ctx context.Context) error {
	said := time.Now()
	moved, before := time.Now(), ""
	for {
		w := s.witness.sight()
		sent, accepted, busy := s.crowd.counts()
		left, err := s.queues()
		if sent == accepted && w.ended >= accepted && busy == 0 && err == nil && left.total() == 0 {
			return nil
		}
		if now := fmt.Sprint(sent, accepted, busy, w.ended, w.messages, left.total()); now != before {
			moved, before = time.Now(), now
		}
		state := fmt.Sprintf("%d sent, %d accepted, %d ended, %d who send, in the queues %v; nothing came for %.0f s",
			sent, accepted, w.ended, busy, left, time.Since(moved).Seconds())
		if time.Since(moved) > s.Stall {
			return errors.Join(fmt.Errorf("nothing moves any more: %s", state), err)
		}
		if time.Since(said) >= progressEvery {
			said = time.Now()
			s.progress()
		}
		if !rest(ctx, 500*time.Millisecond) {
			return errors.Join(fmt.Errorf("not settled: %s: %w", state, ctx.Err()), err)
		}
	}
}

// reconcile asks the service's own check.
func (s *soak) reconcile(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, s.Binary, "reconcile")
	cmd.Env = append(os.Environ(), s.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("ordersaga reconcile: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
