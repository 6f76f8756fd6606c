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

// stableAfter is the minimum duration of a session after which backoff starts again from the shortest delay. Without it, a broker that closes
// each connection at once would be called in a tight loop.
const stableAfter = time.Second

// link is a supervised connection. Each session has a number and its own connection; serve runs for the duration of the session.
type link struct {
	cfg Config
	log *slog.Logger
	// role names the connection in logs, metrics and readiness.
	role string
	// declare declares the topology of a session and returns the deviations.
	declare func(*amqp.Connection) ([]Deviation, error)
	// serve sets the session up, calls up, and returns when the session or ctx ends; nil if ctx ended.
	serve func(ctx context.Context, conn *connection, session uint64) error
	// lost is called after a session has ended or could not be established; optional.
	lost func(err error, retryIn time.Duration)
	// final is an error of a session that ends the supervision; optional.
	final error
	start sync.Once
	// running has the supervisor and other goroutines of the link.
	running sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc

	mu      sync.Mutex
	status  Status
	down    error         // why no session is up; nil while one is
	changed chan struct{} // closed and replaced at each change
	// internalErrors counts consecutive sessions that ended with an internal error of the broker.
	internalErrors int
}

var (
	errNotStarted = errors.New("not started")
	errConnecting = errors.New("connecting")
	errStopped    = errors.New("stopped")
	errBlocked    = errors.New("the broker blocks publishers: it is low on memory or disk")
)

func newLink(cfg Config, role string) *link {
	l := &link{
		cfg: cfg, log: cfg.Logger.With("component", "broker", "role", role), role: role, declare: cfg.Topology.Declare,
		changed: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.status.Role = role
	l.set(StateNotStarted, errNotStarted)
	return l
}

// Start begins to connect and returns at once.
func (l *link) Start() {
	l.start.Do(func() {
		l.set(StateConnecting, errConnecting)
		l.running.Go(func() { _ = l.supervise() })
	})
}

func (l *link) stop() {
	l.cancel()
	l.start.Do(func() {}) // a later Start has no effect
	l.running.Wait()
	l.set(StateStopped, errStopped)
}

// supervise runs session after session until the link is stopped. It returns the error that is final.
func (l *link) supervise() error {
	failures := 0
	for session := uint64(1); l.ctx.Err() == nil; session++ {
		l.update(func() { l.status.Session = session })
		err := l.session(session)
		if l.ctx.Err() != nil {
			return nil //nolint:nilerr // a stopped link has no error, whatever the error of its last session
		}
		if errors.Is(err, l.final) {
			return err
		}
		if l.noteLoss(err) >= stableAfter {
			failures = 0
		}
		delay := backoff(l.cfg.ReconnectMin, l.cfg.ReconnectMax, failures, rand.Float64())
		failures++
		l.log.LogAttrs(l.ctx, slog.LevelWarn, "no connection to the broker", slog.Uint64("session", session),
			slog.Duration("retry_in", delay), slog.Any("error", err))
		if l.lost != nil {
			l.lost(err, delay)
		}
		pause(l.ctx, delay)
	}
	return nil
}

func (l *link) session(number uint64) error {
	conn, err := dial(l.ctx, l.cfg, l.role)
	if err != nil {
		return err
	}
	defer conn.close()
	stop := conn.closeAfter(l.ctx)
	if err := l.declareAll(conn); err != nil {
		return err
	}
	if !stop() {
		return l.ctx.Err()
	}
	return l.serve(l.ctx, conn, number)
}

// declareAll declares the topology, and logs deviations when they have changed.
func (l *link) declareAll(conn *connection) error {
	deviations, err := l.declare(conn.Connection)
	known := l.Status().Deviations
	if err == nil || len(deviations) > 0 {
		l.update(func() { l.status.Deviations = deviations })
	}
	if slices.EqualFunc(known, deviations, func(a, b Deviation) bool { return a.Error() == b.Error() }) {
		return err
	}
	for _, d := range deviations {
		l.log.LogAttrs(l.ctx, slog.LevelWarn, "differs from its declaration", slog.String("kind", d.Kind), slog.String("name", d.Name),
			slog.Any("differences", d.Differences), slog.String("unsafe", d.Unsafe), slog.String("remedy", d.Remedy))
	}
	return err
}

// unsafe returns why no message may be sent to a queue; nil if it is safe.
func (l *link) unsafe(queue string) error {
	for _, d := range l.Status().Deviations {
		if d.Kind == kindQueue && d.Name == queue && d.Unsafe != "" {
			return unusable(d)
		}
	}
	return nil
}

// up marks the session as connected. serve calls it.
func (l *link) up(session uint64) {
	l.cfg.Metrics.sessions.WithLabelValues(l.role).Inc()
	l.log.LogAttrs(l.ctx, slog.LevelInfo, "connected to the broker", slog.Uint64("session", session))
	l.set(StateConnected, nil)
}

// noteLoss records why a session ended or could not be established. It returns how long it was connected.
func (l *link) noteLoss(reason error) (worked time.Duration) {
	l.update(func() {
		now := time.Now()
		if l.status.State == StateConnected || l.status.State == StateBlocked {
			worked = now.Sub(l.status.Since)
			l.cfg.Metrics.lost.WithLabelValues(l.role).Inc()
		}
		if l.internalErrors++; !refused(reason, amqp.InternalError) {
			l.internalErrors = 0
		}
		l.setState(StateDisconnected, reason)
		l.status.LastError, l.status.LastErrorAt = withoutCredentials(reason.Error(), l.cfg.URL), now
		l.status.Remedy = remedyOf(reason, l.internalErrors)
	})
	return worked
}

// set changes the state. down is the reason why no session is up; nil if one is.
func (l *link) set(state State, down error) { l.update(func() { l.setState(state, down) }) }

func (l *link) setState(state State, down error) {
	if l.down = down; down == nil {
		l.internalErrors, l.status.Remedy = 0, ""
	}
	if l.status.State != state {
		l.status.State, l.status.Since = state, time.Now()
	}
}

// update changes the status under the lock and notifies all waiters.
func (l *link) update(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.changed)
	l.changed = make(chan struct{})
	l.cfg.Metrics.show(l.status)
}

// Status returns the state of the connection.
func (l *link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// Ready returns nil while a session is up, otherwise Unavailable with the reason.
func (l *link) Ready() error {
	_, err := l.ready()
	return err
}

// ready also returns a channel that is closed when the status changes.
func (l *link) ready() (<-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed, fault.Wrap(l.down, fault.Unavailable, "broker")
}

// WaitReady waits until a session is up or ctx ends. The error is Unavailable with the reason.
func (l *link) WaitReady(ctx context.Context) error {
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

// backoff returns a delay that doubles with each failure, from least to most, minus a random part of at most half.
func backoff(least, most time.Duration, failures int, random float64) time.Duration {
	delay := min(most, least<<min(failures, 20))
	return delay - time.Duration(random*float64(delay)/2)
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
