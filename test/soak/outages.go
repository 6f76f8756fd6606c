package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ordersaga/ordersaga/test/harness"
)

// plague is what happens to the broker, and to one process of the service.
type plague struct {
	devstack, management string
	random               *rand.Rand
	// replace kills the second consumer process and starts another one.
	replace func(context.Context) error

	restarts, kills, closed, replaced atomic.Int64
}

// strike takes the broker away once and brings it back.
func (p *plague) strike(ctx context.Context) error {
	if p.random.IntN(3) == 0 {
		p.closeConnections(ctx)
		if !rest(ctx, time.Duration(p.random.IntN(2000))*time.Millisecond) {
			return ctx.Err()
		}
	}
	how, count := "stop", &p.restarts
	if p.random.IntN(2) == 0 {
		how, count = "kill", &p.kills
	}
	if err := p.control(ctx, how); err != nil {
		return err
	}
	if p.random.IntN(4) == 0 {
		if err := p.replace(ctx); err != nil {
			return err
		}
		p.replaced.Add(1)
	}
	rest(ctx, time.Duration(p.random.IntN(5000))*time.Millisecond)
	if err := p.control(ctx, "start"); err != nil {
		return err
	}
	count.Add(1)
	rest(ctx, time.Duration(2000+p.random.IntN(6000))*time.Millisecond)
	return ctx.Err()
}

func (p *plague) outages() int64 { return p.restarts.Load() + p.kills.Load() }

func (p *plague) control(ctx context.Context, verb string) error {
	out, err := exec.CommandContext(ctx, p.devstack, verb, "rabbitmq").CombinedOutput()
	if err != nil {
		return fmt.Errorf("devstack %s rabbitmq: %w: %s", verb, err, out)
	}
	return nil
}

// closeConnections has the broker close every connection, as an operator does. It is a disturbance besides: whether it
// worked is counted, and no failure.
func (p *plague) closeConnections(ctx context.Context) {
	var connections []struct {
		Name string `json:"name"`
	}
	if p.ask(ctx, http.MethodGet, "/api/connections", &connections) != nil {
		return
	}
	for _, c := range connections {
		if p.ask(ctx, http.MethodDelete, "/api/connections/"+url.PathEscape(c.Name), nil) == nil {
			p.closed.Add(1)
		}
	}
}

// ask asks the broker's management API.
func (p *plague) ask(ctx context.Context, method, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(p.management, "/")+path, nil)
	if err != nil {
		return err
	}
	if request.URL.User == nil {
		request.SetBasicAuth("guest", "guest")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// replacer keeps one process of the service and replaces it.
func replacer(ctx context.Context, o harness.Options) (first *harness.Service, replace func(context.Context) error, end func(), err error) {
	current, err := harness.Start(ctx, o)
	if err != nil {
		return nil, nil, nil, err
	}
	// It may not become ready while the broker is away: that is what it is for.
	o.NoWait = true
	return current, func(ctx context.Context) error {
		current.Kill()
		next, err := harness.Start(ctx, o)
		if err == nil {
			current = next
		}
		return err
	}, func() { current.Kill() }, nil
}
