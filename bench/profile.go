package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"time"
)

// longestProfile bounds a profile, however long the counting round lets a scenario look.
const longestProfile = time.Minute

// profiles reports whether this round is profiled: the first of those that are timed.
func (r *round) profiles() bool { return r.o.profile != "" && r.number == 1 }

// profile takes CPU profiles beside one turn: of every process of the service over HTTP, of this process where the scenario
// runs in it. A profile over HTTP has its length from the beginning: it is as long as the scenario should take by what the
// counting round took, and it may end a little before the turn or after it.
type profile struct {
	folder, scenario string
	length           time.Duration
	processes        []process

	cancel context.CancelFunc
	all    sync.WaitGroup
	// own is the file of this process's profile.
	own *os.File

	mu     sync.Mutex
	failed error
}

// newProfile prepares the profiles of a turn; nil when there are to be none.
func (r *round) newProfile(t *turn) *profile {
	if !r.profiles() {
		return nil
	}
	p := &profile{folder: r.o.profile, scenario: t.scenario.name, length: time.Duration(t.n) * r.paces[t.scenario.name]}
	if t.service != nil {
		p.processes = t.service.processes
	}
	return p
}

// start begins to profile.
func (p *profile) start(ctx context.Context) {
	if p == nil {
		return
	}
	ctx, p.cancel = context.WithCancel(ctx)
	if p.processes == nil {
		p.fail(p.startOwn())
		return
	}
	for _, process := range p.processes {
		p.all.Go(func() {
			if err := p.fetch(ctx, process); err != nil {
				p.fail(fmt.Errorf("profile ordersaga %s: %w", process.name, err))
			}
		})
	}
}

func (p *profile) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = errors.Join(p.failed, err)
}

// create makes the file of a process's profile.
func (p *profile) create(process string) (*os.File, error) {
	return os.Create(filepath.Join(p.folder, p.scenario+"-"+process+".pprof"))
}

func (p *profile) startOwn() (err error) {
	if p.own, err = p.create("bench"); err != nil {
		return err
	}
	return pprof.StartCPUProfile(p.own)
}

// seconds is how long a profile is to be.
func (p *profile) seconds() int {
	return max(int(math.Ceil(min(p.length, longestProfile).Seconds())), 1)
}

// fetch has a process profile itself.
func (p *profile) fetch(ctx context.Context, process process) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", process.profiler, p.seconds())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// A connection that stays open would keep the process from ending.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	file, err := p.create(process.name)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, response.Body)
	return errors.Join(err, file.Close())
}

// finish waits until the profiles are written.
func (p *profile) finish() error {
	if p == nil {
		return nil
	}
	if p.own != nil {
		pprof.StopCPUProfile()
		p.fail(p.own.Close())
		p.own = nil
	}
	p.all.Wait()
	return p.failed
}

// drop ends what finish has not waited for.
func (p *profile) drop() {
	if p == nil || p.cancel == nil {
		return
	}
	p.cancel()
	// The remaining ones were interrupted: their errors have no meaning.
	_ = p.finish()
}
