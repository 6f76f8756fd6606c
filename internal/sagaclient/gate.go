package sagaclient

import (
	"context"
	"sync"
	"time"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// updatesAtOnce bounds how many Updates of one workflow this process has in flight: Temporal takes 10 from all processes
// together, and makes the others wait for seconds. A caller that waits here reads the log before the Update: most often the answer
// is there by then.
const updatesAtOnce = 3

// gate bounds how many callers are inside at once, for each key. The zero value is ready.
type gate struct {
	mu   sync.Mutex
	keys map[string]*slots
}

type slots struct {
	free  chan struct{}
	users int
}

// enter waits for a place. Waited reports whether there was none at first. The error is Unavailable when ctx ends before;
// else leave must be called.
func (g *gate) enter(ctx context.Context, key string) (leave func(), waited bool, err error) {
	s := g.use(key)
	select {
	case s.free <- struct{}{}:
	default:
		waited = true
		select {
		case s.free <- struct{}{}:
		case <-ctx.Done():
			g.release(key, s)
			return nil, waited, fault.Wrap(ctx.Err(), fault.Unavailable, "wait to ask %s", key)
		}
	}
	return func() {
		<-s.free
		g.release(key, s)
	}, waited, nil
}

func (g *gate) use(key string) *slots {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.keys == nil {
		g.keys = make(map[string]*slots)
	}
	s := g.keys[key]
	if s == nil {
		s = &slots{free: make(chan struct{}, updatesAtOnce)}
		g.keys[key] = s
	}
	s.users++
	return s
}

func (g *gate) release(key string, s *slots) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(g.keys, key)
	}
}

const (
	// recent is how long something is not looked at again.
	recent = 10 * time.Second
	// maxRecent bounds how many keys are remembered.
	maxRecent = 4096
)

// recently remembers what was looked at a moment ago. The zero value is ready.
type recently struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// again reports whether key was looked at within recent, and remembers it.
func (r *recently) again(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.seen[key]; ok && now.Sub(at) < recent {
		return true
	}
	if r.seen == nil || len(r.seen) >= maxRecent {
		r.seen = make(map[string]time.Time)
	}
	r.seen[key] = now
	return false
}
