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
const drain = 2 * time.Minute

// cast is what a side needs of the service: its processes, each by the role that it has, and the settings that this side is
// about. The process that accepts orders starts last: then workers and consumers are running.
type cast struct{ roles, env []string }

// How the simulator is called; see SIMULATOR_FAST.
const (
	payInTask     = "SIMULATOR_FAST=true"
	payByActivity = "SIMULATOR_FAST=false"
)

var casts = map[side]cast{
	serve:    {roles: []string{"serve"}, env: []string{payInTask}},
	apart:    {roles: []string{"worker", "consumer", "api"}, env: []string{payInTask}},
	regular:  {roles: []string{"serve"}, env: []string{payByActivity}},
	replicas: {roles: []string{"serve", "serve", "serve"}, env: []string{payInTask}},
}

// service are the processes of the service.
type service struct {
	// urls are those of the processes that take orders.
	urls      []string
	processes []process
	watch     *procs.Watch
}

// process is one of them.
type process struct {
	*harness.Service
	// name is unique, role is what it shares with its like. Profiler is where it listens, when it does.
	name, role, profiler string
}

// startService runs the processes of a side.
func (r *round) startService(ctx context.Context, s side) (*service, error) {
	running := &service{watch: r.watch}
	for _, role := range casts[s].roles {
		if err := r.startProcess(ctx, running, role, casts[s].env); err != nil {
			running.kill()
			return nil, fmt.Errorf("start ordersaga %s: %w", role, err)
		}
	}
	for role, pids := range running.pids() {
		r.watch.Processes("ordersaga "+role, pids...)
	}
	return running, nil
}

func (r *round) startProcess(ctx context.Context, running *service, role string, env []string) error {
	p := process{name: role, role: role}
	if before := len(running.pids()[role]); before > 0 {
		p.name = fmt.Sprintf("%s-%d", role, before+1)
	}
	env = append(r.stack.Env(r.stack.Database(r.number)), env...)
	if r.profiles() {
		var err error
		if p.profiler, err = harness.FreeAddr(); err != nil {
			return err
		}
		env = append(env, "DEBUG_ADDR="+p.profiler)
	}
	var err error
	if p.Service, err = harness.Start(ctx, harness.Options{Binary: r.o.binary, Role: role, Env: env}); err != nil {
		return err
	}
	running.processes = append(running.processes, p)
	if role == "serve" || role == "api" {
		running.urls = append(running.urls, p.URL)
	}
	return nil
}

// pids are the processes by role.
func (s *service) pids() map[string][]int {
	pids := map[string][]int{}
	for _, p := range s.processes {
		pids[p.role] = append(pids[p.role], p.Pid())
	}
	return pids
}

// explain adds the end of the service's log to an error.
func (s *service) explain(err error) error {
	for _, p := range s.processes {
		if log := p.Log(); log != "" {
			err = errors.Join(err, fmt.Errorf("the log of ordersaga %s ends with:\n%s", p.name, log))
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
	for _, p := range s.processes {
		p.Kill()
	}
	s.forget()
}

func (s *service) forget() {
	for role := range s.pids() {
		s.watch.Processes("ordersaga " + role)
	}
}
