// Package tour runs an order of every path of the saga on the real stack, and checks the results. The demo prints it, the end-to-end tests run it.
package tour

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// pathTimeout bounds one order. All paths run at once, and an event that is delivered three times before its order waits for five minutes: on a
// slow machine that is no failure.
const pathTimeout = 8 * time.Minute

// lookEvery is the interval of polls of another process.
const lookEvery = 50 * time.Millisecond

// guide has what the paths of the tour share.
type guide struct {
	client harness.Client
	bus    *harness.Bus
	tap    *harness.Tap
	log    *mongo.Database
	out    io.Writer
	// orders are the ids of the orders, by path.
	orders map[string]string
	// ada is the registered customer of the tour, with a new ID each time, because Temporal keeps the workflow of the welcome message. All other
	// orders are of customers who have not registered.
	ada string
}

// Run runs the service and one order of every path, prints each timeline, and checks the raw documents. The environment has the addresses of the
// servers.
//
// A folder that is not empty gets the history of each path's workflow.
func Run(ctx context.Context, binary string, out io.Writer, folder string) error {
	g := &guide{out: out, orders: map[string]string{}, ada: "ada-" + uuid.NewString()[:8]}
	service, err := g.start(ctx, binary)
	if err != nil {
		return err
	}
	defer service.Kill()
	if g.bus, err = harness.Dial(os.Getenv("AMQP_URL")); err != nil {
		return err
	}
	defer g.bus.Close()
	if g.tap, err = g.bus.Tap("#"); err != nil {
		return err
	}
	client, err := mongo.Connect(options.Client().ApplyURI(os.Getenv("MONGODB_URI")))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	g.log = client.Database(os.Getenv("MONGODB_DATABASE"))

	failures := g.walk(ctx, func(p path) bool { return !p.overdue })
	adas, wrong := g.onboard(ctx)
	failures = append(failures, wrong...)
	if err := service.Stop(pathTimeout); err != nil {
		return failed(append(failures, err.Error()))
	}
	second, err := g.start(ctx, binary, overdue...)
	if err != nil {
		return failed(append(failures, err.Error()))
	}
	defer second.Kill()
	failures = append(failures, g.walk(ctx, func(p path) bool { return p.overdue })...)
	failures = append(failures, g.check(ctx)...)
	failures = append(failures, g.sealed(ctx)...)
	if folder != "" {
		if err := g.record(ctx, folder, g.orders, adas); err != nil {
			failures = append(failures, err.Error())
		}
	}
	if len(failures) > 0 {
		return failed(failures)
	}
	fmt.Fprintf(out, "\n%d orders, %d paths, and a customer: every one ended as it must; stock, money and events add up.\n", len(everyPath())+1, len(everyPath()))
	return nil
}

func failed(failures []string) error {
	return fmt.Errorf("%d things do not hold:\n  %s", len(failures), strings.Join(failures, "\n  "))
}

// overdue are the settings for the paths on which a deadline expires. On all other paths no deadline may expire, although the service or a server
// may not respond for some seconds.
var overdue = []string{"PAYMENT_PENDING_DEADLINE=2s", "SHIPMENT_DEADLINE=2s", "AUTHORIZE_DEADLINE=15s", "SIMULATOR_OUTAGE=10m"}

// start runs the service. Stuck steps need attention soon, slow ones do not.
func (g *guide) start(ctx context.Context, binary string, env ...string) (*harness.Service, error) {
	service, err := harness.Start(ctx, harness.Options{
		Binary: binary, Env: append([]string{"LOG_LEVEL=error", "ATTENTION_AFTER=15s", "RECONCILE_EVERY=0"}, env...),
	})
	if err == nil {
		g.client = harness.Client{URL: service.URL, Patient: true}
	}
	return service, err
}

// walk runs the paths at the same time and prints them in order.
func (g *guide) walk(ctx context.Context, which func(path) bool) []string {
	paths := slices.DeleteFunc(everyPath(), func(p path) bool { return !which(p) })
	type walked struct {
		items []harness.Item
		end   harness.Resource
		err   error
	}
	results := make([]walked, len(paths))
	var all sync.WaitGroup
	for i, p := range paths {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, pathTimeout)
			defer cancel()
			end, err := g.run(ctx, p)
			items, timelineErr := g.client.Timeline(ctx, end.ID)
			if err == nil {
				err = timelineErr
			}
			results[i] = walked{items, end, err}
		})
	}
	all.Wait()
	var failures []string
	for i, p := range paths {
		r := results[i]
		g.orders[p.name] = r.end.ID
		fmt.Fprintf(g.out, "\n%s\n  ends as %s", p.name, r.end.Status)
		if r.end.Reason != "" {
			fmt.Fprintf(g.out, " (%s)", r.end.Reason)
		}
		fmt.Fprintln(g.out)
		PrintTimeline(g.out, r.items)
		if len(p.late) > 0 {
			r.err = errors.Join(r.err, g.showLate(ctx, p, r.end.ID, r.err == nil))
		}
		if err := p.check(r.end, r.items, r.err); err != nil {
			failures = append(failures, p.name+": "+err.Error())
			fmt.Fprintln(g.out, "  ✗", err)
		}
	}
	return failures
}

// run runs the order of one path.
func (g *guide) run(ctx context.Context, p path) (harness.Resource, error) {
	if p.stock > 0 {
		if err := g.client.Receive(ctx, p.sku(), p.stock); err != nil {
			return harness.Resource{}, err
		}
	}
	placed, err := g.place(ctx, p)
	if err != nil {
		return placed, err
	}
	if err := g.play(ctx, placed.ID, p.script); err != nil {
		return placed, err
	}
	end, err := g.client.AwaitEnd(ctx, placed.ID)
	if end.ID == "" {
		end.ID = placed.ID
	}
	if err == nil {
		err = g.play(ctx, placed.ID, p.afterEnd)
	}
	return end, err
}

// place places the order of a path.
func (g *guide) place(ctx context.Context, p path) (placed harness.Resource, err error) {
	o := p.order()
	if p.byEvent {
		o.ID = p.id + "by-event-" + p.file()
		_, err := g.bus.Publish(ctx, "order.created", o.ID, o)
		return harness.Resource{ID: o.ID}, err
	}
	if p.id == "" {
		return g.client.Place(ctx, o, 0)
	}
	response, err := g.client.Do(ctx, http.MethodPost, "/v1/orders", struct {
		ID string `json:"id"`
		harness.Order
	}{p.id + p.file(), o})
	if err == nil {
		err = response.Into(http.StatusAccepted, &placed)
	}
	return placed, err
}

// play runs scenes one after the other.
func (g *guide) play(ctx context.Context, orderID string, scenes []scene) error {
	for _, s := range scenes {
		if s.when != "" {
			if _, err := g.client.AwaitStatus(ctx, orderID, s.when); err != nil {
				return err
			}
		}
		if err := s.do(ctx, g, orderID); err != nil {
			return err
		}
	}
	return nil
}

// check checks the raw documents and the messages on the bus.
func (g *guide) check(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, pathTimeout)
	defer cancel()
	report, err := audit.Run(ctx, g.log)
	if err != nil {
		return []string{err.Error()}
	}
	failures := slices.Clone(report.Violations)
	for id, open := range report.Late {
		failures = append(failures, fmt.Sprintf("what came late for order %s is not settled: %v", id, open))
	}
	for id := range report.Orders {
		stream := report.Order(id)
		got, err := g.tap.Await(ctx, id, func(m []harness.Message) bool { return len(harness.Outbound(m)) >= len(stream) })
		if err != nil {
			failures = append(failures, fmt.Sprintf("the bus did not get every event of order %s: %v", id, err))
			continue
		}
		for i, m := range harness.Outbound(got) {
			if m.ID != stream[i].EventID {
				failures = append(failures, fmt.Sprintf("order %s: event %d on the bus is %s, in the log %s", id, i+1, m.Type, stream[i].Type))
			}
		}
	}
	return failures
}
