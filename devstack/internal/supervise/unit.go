package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/ordersaga/ordersaga/devstack/internal/process"
)

const (
	// probeInterval is short: a user waits.
	probeInterval = 50 * time.Millisecond
	// probeLimit bounds one probe, so that a server that accepts and does not
	// answer is probed again.
	probeLimit = 5 * time.Second
	// sweepLimit bounds the search for processes of a killed keeper.
	sweepLimit = 5 * time.Second
)

// unit is one component with what is known about its process.
type unit struct {
	Component
	logPath    string
	mark       string
	startLimit time.Duration
	say        func(string, ...any)

	action   sync.Mutex     // held during kill, stop and start
	watching sync.WaitGroup // one for each run that is watched

	mu      sync.Mutex
	running *run // nil when it does not run
}

// run is one life of a component.
type run struct {
	process  *process.Process
	logStart int64
	gone     chan struct{} // closed when it has ended and all of it is gone
	wanted   bool          // its end was requested: no message (guarded by unit.mu)
}

func (u *unit) current() *run {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.running
}

func (u *unit) start(ctx context.Context) (string, error) {
	u.action.Lock()
	defer u.action.Unlock()
	if u.current() != nil {
		return fmt.Sprintf("%s is running", u.Name), nil
	}
	began := time.Now()
	r, err := u.launch()
	if err != nil {
		return "", fmt.Errorf("%s: %w", u.Name, err)
	}
	if err := u.awaitReady(ctx, r); err != nil {
		u.want(r)
		r.process.Kill()
		<-r.gone
		if ctx.Err() != nil {
			return "", fmt.Errorf("%s: given up: %w", u.Name, context.Cause(ctx))
		}
		return "", fmt.Errorf("%s %w; the end of its log:\n%s", u.Name, err, tail(u.logPath, r.logStart))
	}
	message := fmt.Sprintf("%-9s ready in %4.1f s  %s", u.Name, time.Since(began).Seconds(), u.URL)
	u.say("%s", message)
	return message, nil
}

func (u *unit) launch() (*run, error) {
	log, logStart, err := openLog(u.logPath)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	spec := u.Spec
	spec.Log = log
	spec.Env = append(slices.Clone(spec.Env), process.MarkVariable+"="+u.mark)
	p, err := process.Start(spec)
	if err != nil {
		return nil, err
	}
	r := &run{process: p, logStart: logStart, gone: make(chan struct{})}
	u.mu.Lock()
	u.running = r
	u.mu.Unlock()
	u.watching.Go(func() { u.watch(r) })
	return r, nil
}

// watch waits for the end of a run and reports an end that was not requested.
func (u *unit) watch(r *run) {
	<-r.process.Done()
	process.Sweep(u.mark, sweepLimit)
	u.mu.Lock()
	u.running = nil
	wanted := r.wanted
	u.mu.Unlock()
	close(r.gone)
	if !wanted {
		u.say("%s ended on its own (exit code %d); the end of its log:\n%s",
			u.Name, r.process.ExitCode(), tail(u.logPath, r.logStart))
	}
}

// want marks the end of a run as requested.
func (u *unit) want(r *run) {
	u.mu.Lock()
	defer u.mu.Unlock()
	r.wanted = true
}

func (u *unit) awaitReady(ctx context.Context, r *run) error {
	// Until it is ready, the error of start reports its end.
	u.want(r)
	ctx, cancel := context.WithTimeout(ctx, u.startLimit)
	defer cancel()
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	lastErr := errors.New("it was never asked")
	for {
		select {
		case <-r.gone:
			return fmt.Errorf("ended with exit code %d before it was ready", r.process.ExitCode())
		case <-ctx.Done():
			return fmt.Errorf("was not ready within %v (%w)", u.startLimit, lastErr)
		case <-ticker.C:
			probeCtx, cancelProbe := context.WithTimeout(ctx, probeLimit)
			lastErr = u.Ready(probeCtx)
			cancelProbe()
			if lastErr != nil {
				continue
			}
			return u.confirm(r)
		}
	}
}

// confirm checks that this run answered the probe; from then on its end is
// reported.
func (u *unit) confirm(r *run) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.running != r {
		return fmt.Errorf("ended with exit code %d before it was ready", r.process.ExitCode())
	}
	r.wanted = false
	return nil
}

func (u *unit) kill() string {
	u.action.Lock()
	defer u.action.Unlock()
	r := u.current()
	if r == nil {
		return fmt.Sprintf("%s was not running", u.Name)
	}
	u.want(r)
	r.process.Kill()
	<-r.gone
	return fmt.Sprintf("%s is killed", u.Name)
}

// stop stops gracefully; after the limit, or when hurry is closed, it kills.
func (u *unit) stop(limit time.Duration, hurry <-chan struct{}) string {
	u.action.Lock()
	defer u.action.Unlock()
	r := u.current()
	if r == nil {
		return fmt.Sprintf("%s was not running", u.Name)
	}
	u.want(r)
	r.process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-r.gone:
		return fmt.Sprintf("%s is stopped", u.Name)
	case <-timer.C:
	case <-hurry:
	}
	r.process.Kill()
	<-r.gone
	return fmt.Sprintf("%s did not stop in time and is killed", u.Name)
}
