package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/ordersaga/ordersaga/bench/internal/procs"
	"github.com/ordersaga/ordersaga/test/harness"
)

// drain is how long a process of the service may take to end after SIGTERM.
const drain = 2 * time.Minute

// process is a process of the service. It has the same address for its whole life.
type process struct {
	name, role, addr string
	options          harness.Options

	mu  sync.Mutex
	now *harness.Service
	// down reports whether a fault has ended it on purpose.
	down bool
	// exits counts how often it ended by itself.
	exits int
}

func (p *process) start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, err := harness.Start(ctx, p.options)
	if err == nil {
		p.now, p.down = s, false
	}
	return err
}

func (p *process) running() (s *harness.Service, down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now, p.down
}

// end ends the process and keeps it down until start.
func (p *process) end(how func(*harness.Service) error) error {
	p.mu.Lock()
	p.down = true
	s := p.now
	p.mu.Unlock()
	return how(s)
}

// supervise starts the process again when it ends by itself, as every orchestrator does.
func (p *process) supervise(ctx context.Context) {
	for ctx.Err() == nil {
		s, _ := p.running()
		select {
		case <-s.Done():
		case <-ctx.Done():
			return
		}
		if sleep(ctx, time.Second) != nil {
			return
		}
		if now, down := p.running(); down || now != s {
			continue
		}
		p.mu.Lock()
		p.exits++
		p.mu.Unlock()
		if err := p.start(ctx); err != nil {
			return
		}
	}
}

// link is a TCP proxy between the service and a server.
type link struct{ *toxiproxy.Proxy }

func newLink(name, upstream string) (link, error) {
	quiet := zerolog.New(io.Discard)
	l := link{toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), quiet), name, "127.0.0.1:0", upstream)}
	err := l.Start()
	return l, err
}

func (l link) add(toxic string) error {
	_, err := l.Toxics.AddToxicJson(strings.NewReader(toxic))
	return err
}

// hit begins a fault of the network.
func (l link) hit(f Fault) error {
	switch f.Kind {
	case slow:
		return l.add(fmt.Sprintf(`{"name": "late", "type": "latency", "attributes": {"latency": %d, "jitter": %d}}`, f.Latency.Milliseconds(), f.Latency.Milliseconds()/4))
	case blackhole:
		return errors.Join(l.add(`{"name": "up", "type": "timeout", "stream": "upstream"}`), l.add(`{"name": "down", "type": "timeout"}`))
	default:
		l.Stop()
		return nil
	}
}

// heal ends it. What was dropped is missing in its connection, so that no connection outlives a blackhole.
func (l link) heal(ctx context.Context, f Fault) error {
	if f.Kind == blackhole {
		l.Stop()
	}
	if f.Kind != cut {
		l.Toxics.ResetToxics(ctx)
	}
	if f.Kind == slow {
		return nil
	}
	return l.Start()
}

// Struck is a fault as it happened.
type Struck struct {
	Fault
	// Began and Healed are when it began and was over: the network is as before, the server is ready, the process is started.
	Began  time.Time `json:"began"`
	Healed time.Time `json:"healed"`
	// Recovered is how long after Healed the first order completed that was accepted after Healed; 0 if there was none.
	Recovered time.Duration `json:"recoveredNanos"`
}

// injector makes the faults of a plan happen.
type injector struct {
	processes []*process
	links     map[string]link
	// addresses are where the servers listen.
	addresses map[string]string
	say       func(format string, args ...any)

	mu     sync.Mutex
	struck []Struck
	// skipped counts faults that could not begin in time, because their target had not recovered from others.
	skipped int
	lanes   map[string]*sync.Mutex
}

// run makes the faults happen, and returns when all are healed. Faults of one target wait for each other, those that would begin after
// the end are skipped; faults of different targets overlap.
func (i *injector) run(ctx context.Context, began, end time.Time, faults []Fault) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var wrong error
	for _, f := range faults {
		if err := sleep(ctx, time.Until(began.Add(f.At))); err != nil {
			break
		}
		lane := i.lane(f.Target())
		all.Go(func() {
			lane.Lock()
			defer lane.Unlock()
			if time.Now().After(end) {
				i.mu.Lock()
				defer i.mu.Unlock()
				i.skipped++
				return
			}
			if err := i.strike(ctx, f); err != nil {
				mu.Lock()
				defer mu.Unlock()
				wrong = errors.Join(wrong, fmt.Errorf("%s %s: %w", f.Kind, f.Target(), err))
			}
		})
	}
	all.Wait()
	return errors.Join(wrong, ctx.Err())
}

func (i *injector) lane(target string) *sync.Mutex {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.lanes == nil {
		i.lanes = map[string]*sync.Mutex{}
	}
	if i.lanes[target] == nil {
		i.lanes[target] = &sync.Mutex{}
	}
	return i.lanes[target]
}

func (i *injector) strike(ctx context.Context, f Fault) error {
	s := Struck{Fault: f, Began: time.Now()}
	i.say("%s %s for %.1f s", f.Kind, f.Target(), f.For.Seconds())
	// A fault that began is healed, whatever ends the run.
	healing := context.WithoutCancel(ctx)
	heal, err := i.begin(ctx, f)
	if err != nil {
		return err
	}
	_ = sleep(ctx, f.For)
	if err := heal(healing); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	s.Healed = time.Now()
	i.mu.Lock()
	i.struck = append(i.struck, s)
	i.mu.Unlock()
	return nil
}

// begin begins a fault and returns what heals it.
func (i *injector) begin(ctx context.Context, f Fault) (heal func(context.Context) error, err error) {
	switch f.Kind {
	case slow, cut, blackhole:
		l := i.links[f.Component]
		return func(ctx context.Context) error { return l.heal(ctx, f) }, l.hit(f)
	case pause:
		pid, err := i.pid(f)
		if err != nil {
			return nil, err
		}
		return func(context.Context) error { return signalProcess(pid, syscall.SIGCONT) }, signalProcess(pid, syscall.SIGSTOP)
	}
	if f.Component != service {
		return func(ctx context.Context) error { return devstack(ctx, "start", f.Component) }, devstack(ctx, f.Kind, f.Component)
	}
	p := i.processes[f.Process]
	how := func(s *harness.Service) error {
		// It may have to abandon work because a server does not respond.
		if err := s.Stop(drain); err != nil {
			i.say("%s did not end in order: %v", p.name, err)
		}
		return nil
	}
	if f.Kind == kill {
		how = func(s *harness.Service) error { s.Kill(); return nil }
	}
	return p.start, p.end(how)
}

// pid is the process that a fault hits.
func (i *injector) pid(f Fault) (int, error) {
	if f.Component == service {
		s, _ := i.processes[f.Process].running()
		return s.Pid(), nil
	}
	pid, ok := procs.NewReader("/proc").Listener(i.addresses[f.Component])
	if !ok {
		return 0, fmt.Errorf("no process listens on %s", i.addresses[f.Component])
	}
	return pid, nil
}

func signalProcess(pid int, signal syscall.Signal) error {
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// devstack kills, stops or starts a server.
func devstack(ctx context.Context, verb, component string) error {
	out, err := exec.CommandContext(ctx, os.Getenv("DEVSTACK_BIN"), verb, component).CombinedOutput()
	if err != nil {
		return fmt.Errorf("devstack %s %s: %w: %s", verb, component, err, out)
	}
	return nil
}

// logFile opens the file that gets what a process writes.
func logFile(folder, name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(folder, name+".log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
}
