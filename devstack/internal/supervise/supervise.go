// Package supervise starts components concurrently, watches them, and kills, stops
// and starts single ones on request.
//
// The package imports internal/process and the standard library.
package supervise

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ordersaga/ordersaga/devstack/internal/process"
)

// Component is one server of the stack.
type Component struct {
	Name string
	// URL is printed for the user.
	URL string
	// Spec says what to run; Log is filled in by the supervisor, and the mark
	// is added to Env.
	Spec process.Spec
	// Ready probes once and returns nil when the component serves.
	Ready func(context.Context) error
	// StopLimit is how long a graceful stop may take before it becomes a kill.
	StopLimit time.Duration
}

// Config is what a Supervisor needs.
type Config struct {
	Components []Component
	// LogPath returns the path of a component's log.
	LogPath func(component string) string
	// Mark is unique to this launcher (process.MarkVariable).
	Mark string
	// Say prints one message. It is called from many goroutines.
	Say func(format string, args ...any)
	// StartLimit is how long a component may take to become ready.
	StartLimit time.Duration
}

// Supervisor runs the components. Its methods may be called from any goroutine;
// actions on one component happen one after the other.
type Supervisor struct {
	units []*unit
	say   func(string, ...any)
}

// New makes a supervisor; it starts nothing.
func New(cfg Config) *Supervisor {
	s := &Supervisor{say: cfg.Say}
	for _, c := range cfg.Components {
		s.units = append(s.units, &unit{
			Component:  c,
			logPath:    cfg.LogPath(c.Name),
			mark:       cfg.Mark + "." + c.Name,
			startLimit: cfg.StartLimit,
			say:        cfg.Say,
		})
	}
	return s
}

// StartAll starts all components at the same time, and returns when all are
// ready or the first has failed; the others are stopped then.
func (s *Supervisor) StartAll(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failures := make(chan error, len(s.units))
	for _, u := range s.units {
		go func() {
			_, err := u.start(ctx)
			failures <- err // before the others are stopped, whose errors it causes
			if err != nil {
				cancel()
			}
		}()
	}
	var first error
	for range s.units {
		// The first failure in time caused the others.
		if err := <-failures; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Kill ends a component with SIGKILL and returns when it is gone.
func (s *Supervisor) Kill(name string) (string, error) {
	u, err := s.unit(name)
	if err != nil {
		return "", err
	}
	return u.kill(), nil
}

// Stop ends a component gracefully and returns when it is gone.
func (s *Supervisor) Stop(name string) (string, error) {
	u, err := s.unit(name)
	if err != nil {
		return "", err
	}
	return u.stop(u.StopLimit, nil), nil
}

// Start starts a component that does not run, on the port and with the data it
// had, and returns when it is ready.
func (s *Supervisor) Start(ctx context.Context, name string) (string, error) {
	u, err := s.unit(name)
	if err != nil {
		return "", err
	}
	return u.start(ctx)
}

// closeLimit bounds a graceful Close. Every component survives a kill without
// loss; what a stop saves is the recovery at the next start, and RabbitMQ's
// management agent needs five seconds of doing nothing to stop.
const closeLimit = 3 * time.Second

// Close ends all components at the same time: by SIGKILL, or gracefully for a
// short while or until hurry is closed. No message is printed after it returns.
func (s *Supervisor) Close(graceful bool, hurry <-chan struct{}) {
	var all sync.WaitGroup
	for _, u := range s.units {
		all.Go(func() {
			if graceful {
				u.stop(min(u.StopLimit, closeLimit), hurry)
			} else {
				u.kill()
			}
		})
	}
	all.Wait()
	// An unexpected end of a component is reported before the launcher ends.
	for _, u := range s.units {
		u.watching.Wait()
	}
}

func (s *Supervisor) unit(name string) (*unit, error) {
	var known []string
	for _, u := range s.units {
		if u.Name == name {
			return u, nil
		}
		known = append(known, u.Name)
	}
	slices.Sort(known)
	return nil, fmt.Errorf("no component %q is run here, only: %s", name, strings.Join(known, ", "))
}

// openLog opens the log for appending and returns where this run begins.
func openLog(path string) (*os.File, int64, error) {
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := log.Stat()
	if err != nil {
		log.Close()
		return nil, 0, err
	}
	return log, info.Size(), nil
}
