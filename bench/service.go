package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ordersaga/ordersaga/bench/internal/procs"
	"github.com/ordersaga/ordersaga/test/harness"
)

// drain is how long a process of the service may take to end.
const drain = 45 * time.Second

// service are the processes of the service.
type service struct {
	url       string
	names     []string
	processes []*harness.Service
	watch     *procs.Watch
}

// startService runs the service in one process or apart. What takes work comes up last.
func (r *round) startService(ctx context.Context, s side) (*service, error) {
	running := &service{watch: r.watch}
	roles := map[side][]string{serve: {"serve"}, apart: {"worker", "consumer", "api"}}[s]
	for _, role := range roles {
		process, err := harness.Start(ctx, harness.Options{
			Binary: r.o.binary, Role: role, Env: r.stack.Env(r.stack.Database(r.number)),
		})
		if err != nil {
			running.kill()
			return nil, fmt.Errorf("start ordersaga %s: %w", role, err)
		}
		running.url = process.URL
		running.names, running.processes = append(running.names, "ordersaga "+role), append(running.processes, process)
		r.watch.Process("ordersaga "+role, process.Pid())
	}
	return running, nil
}

// explain adds the end of the service's log to an error.
func (s *service) explain(err error) error {
	for i, process := range s.processes {
		if log := process.Log(); log != "" {
			err = errors.Join(err, fmt.Errorf("the log of %s ends with:\n%s", s.names[i], log))
		}
	}
	return err
}

// stop has the processes drain, those that take work first.
func (s *service) stop() error {
	var failed error
	for i := len(s.processes) - 1; i >= 0; i-- {
		failed = errors.Join(failed, s.processes[i].Stop(drain))
	}
	s.forget()
	return failed
}

// kill ends what still runs.
func (s *service) kill() {
	for _, process := range s.processes {
		process.Kill()
	}
	s.forget()
}

func (s *service) forget() {
	for _, name := range s.names {
		s.watch.Process(name, 0)
	}
}
