package rabbitmq

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// closeTimeout bounds the farewell to a broker that may not answer any more.
const closeTimeout = 2 * time.Second

// steady is how long a session must have worked for the next delay to be the shortest again. A broker that comes and goes
// is met as soon as it is there; one that throws everybody out at once is not hammered.
const steady = time.Second

// link is a supervised connection. Each of its sessions has a number and a connection of its own; serve lives
// exactly as long as the session.
type link struct {
	cfg Config
	log *slog.Logger
	// role names the connection in logs, metrics and readiness.
	role string
	// serve sets the session up, calls up, and returns when the session is over or ctx is done, nil in the
	// latter case. The topology is declared already. It closes the connection itself only where it must.
	serve func(ctx context.Context, conn *amqp.Connection, session uint64) error

	start  sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	state   error         // nil while a session is up
	changed chan struct{} // closed and replaced at each change of state
	status  Status
	// internals counts the sessions that ended in an internal error of the broker, one after the other.
	internals int
}

var (
	errNotStarted = errors.New("not started")
	errConnecting = errors.New("connecting")
	errStopped    = errors.New("stopped")
	errBlocked    = errors.New("the broker blocks publishers: it is short of memory or disk")
)

func newLink(cfg Config, role string) *link {
	l := &link{cfg: cfg, log: cfg.Logger.With("component", "broker", "role", role),
		role: role, done: make(chan struct{}), state: errNotStarted, changed: make(chan struct{}),
		status: Status{Role: role, State: StateNotStarted, Since: time.Now()}}
	l.cfg.Metrics.at(role, l.status)
	l.cfg.Name += " " + role
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// run starts the supervisor, once.
func (l *link) run() {
	l.start.Do(func() {
		l.set(errConnecting)
		go l.supervise()
	})
}

// stop ends the session and waits for the supervisor.
func (l *link) stop() {
	l.cancel()
	l.start.Do(func() { close(l.done) }) // it never ran and never will
	<-l.done
	l.set(errStopped)
}

// supervise holds one session after the other.
func (l *link) supervise() {
	defer close(l.done)
	failures := 0
	for session := uint64(1); l.ctx.Err() == nil; session++ {
		l.number(session)
		err := l.hold(session)
		if l.ctx.Err() != nil {
			return
		}
		if l.lost(err) >= steady {
			failures = 0
		}
		delay := backoff(l.cfg.ReconnectMin, l.cfg.ReconnectMax, failures, rand.Float64())
		failures++
		l.log.LogAttrs(l.ctx, slog.LevelWarn, "no connection to the broker", slog.Uint64("session", session),
			slog.Duration("retry_in", delay), slog.Any("error", err))
		pause(l.ctx, delay)
	}
}

// hold holds one session from connecting to closing.
func (l *link) hold(session uint64) error {
	conn, settled, err := l.dial()
	if err != nil {
		return err
	}
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	defer func() {
		_ = conn.CloseDeadline(time.Now().Add(closeTimeout)) // what it answers changes nothing
		for range closed {
		} // closed when every resource of the connection is gone
	}()
	if err := l.declare(conn); err != nil {
		return err
	}
	if !settled() {
		return l.ctx.Err()
	}
	err = l.serve(l.ctx, conn, session)
	if err == nil && l.ctx.Err() == nil {
		err = errors.New("the session ended")
	}
	return err
}

// declare declares the topology, and keeps what exists otherwise.
func (l *link) declare(conn *amqp.Connection) error {
	deviations, err := l.cfg.Topology.Declare(conn)
	l.mu.Lock()
	known := l.status.Deviations
	if err == nil || len(deviations) > 0 {
		l.status.Deviations = deviations
	}
	l.cfg.Metrics.deviations.WithLabelValues(l.role).Set(float64(len(l.status.Deviations)))
	l.mu.Unlock()
	if slices.EqualFunc(known, deviations, Deviation.equal) {
		return err
	}
	for _, d := range deviations {
		l.log.LogAttrs(l.ctx, slog.LevelWarn, "exists otherwise than declared", slog.String("kind", d.Kind), slog.String("name", d.Name),
			slog.Any("differences", d.Differences), slog.String("unsafe", d.Unsafe), slog.String("remedy", d.Remedy))
	}
	return err
}

// unsafe returns why nothing is to be put into a queue; nil when it can be.
func (l *link) unsafe(queue string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.status.Deviations {
		if d.Kind == kindQueue && d.Name == queue && d.Unsafe != "" {
			return unusable(d)
		}
	}
	return nil
}

// up tells that the session works.
func (l *link) up(session uint64) {
	l.cfg.Metrics.sessions.WithLabelValues(l.role).Inc()
	l.log.LogAttrs(l.ctx, slog.LevelInfo, "connected to the broker", slog.Uint64("session", session))
	l.set(nil)
}

// set changes the state: nil while the session works.
func (l *link) set(state error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change(state)
}

// change is set under the lock.
func (l *link) change(state error) {
	l.state = state
	close(l.changed)
	l.changed = make(chan struct{})
	if to := stateOf(state); to != l.status.State {
		l.status.State, l.status.Since = to, time.Now()
	}
	if state == nil {
		l.internals, l.status.Remedy = 0, ""
	}
	l.cfg.Metrics.at(l.role, l.status)
}

// stateOf names the state.
func stateOf(state error) State {
	switch {
	case state == nil:
		return StateConnected
	case errors.Is(state, errNotStarted):
		return StateNotStarted
	case errors.Is(state, errConnecting):
		return StateConnecting
	case errors.Is(state, errBlocked):
		return StateBlocked
	case errors.Is(state, errStopped):
		return StateStopped
	}
	return StateDisconnected
}

// number notes the session that is about to begin.
func (l *link) number(session uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Session = session
	l.cfg.Metrics.at(l.role, l.status)
}

// lost notes why a session ended or was not reached, and returns for how long it had worked.
func (l *link) lost(reason error) (worked time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.status.State == StateConnected || l.status.State == StateBlocked {
		worked = now.Sub(l.status.Since)
		l.cfg.Metrics.lost.WithLabelValues(l.role).Inc()
	}
	internals := 0
	if isInternal(reason) {
		internals = l.internals + 1
	}
	l.change(reason)
	l.internals = internals
	l.status.LastError, l.status.LastErrorAt = scrub(reason.Error(), l.cfg.URL), now
	l.status.Remedy = remedyOf(reason, internals)
	return worked
}

// at returns what is known about the connection.
func (l *link) at() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// ready returns a channel that is closed when the state changes, and the state: nil while a session is up, else why not.
func (l *link) ready() (<-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == nil {
		return l.changed, nil
	}
	return l.changed, fault.Wrap(l.state, fault.Unavailable, "broker")
}

// wait waits until ready returns nil. The error is Unavailable and has the reason.
func (l *link) wait(ctx context.Context) error {
	for {
		changed, err := l.ready()
		if err == nil || errors.Is(err, errStopped) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fault.Wrap(errors.Join(ctx.Err(), err), fault.Unavailable, "wait for the broker")
		}
	}
}

// backoff returns a delay that doubles with each failure from least to most, of which the random part is up to
// a half.
func backoff(least, most time.Duration, failures int, random float64) time.Duration {
	delay := most
	if failures < 32 && least<<failures > 0 {
		delay = min(most, least<<failures)
	}
	return delay - time.Duration(random*float64(delay)/2)
}

// pause waits for d or for ctx, whatever comes first.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
