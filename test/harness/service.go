// Package harness runs the service as users do: as a process, over HTTP and RabbitMQ. The end-to-end tests, the demo and the benchmark share it.
// It imports no package of the service.
package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Service is a running ordersaga process.
type Service struct {
	// URL is where its API listens.
	URL string
	// HTTP is the client of Options.
	HTTP *http.Client

	cmd  *exec.Cmd
	done chan struct{}
	err  error
	log  *tail
}

// Options are the options of Start.
type Options struct {
	// Binary is the path of ordersaga. Mandatory.
	Binary string
	// Role is the subcommand; "serve" by default.
	Role string
	// Env are variables in addition to those of this process.
	Env []string
	// Addr is where the API listens; a free port of loopback by default.
	Addr string
	// HTTP is the client for an API that is served with TLS; nil without TLS.
	HTTP *http.Client
	// Output gets what the service writes; it is kept for Log in any case.
	Output io.Writer
	// NoWait tells Start not to wait until the service is ready.
	NoWait bool
}

// readyTimeout bounds how long a service may take to become ready. Cold servers on small machines are slow.
const readyTimeout = 5 * time.Minute

// Start runs the service and waits until it is ready.
func Start(ctx context.Context, o Options) (*Service, error) {
	if o.Addr == "" {
		addr, err := FreeAddr()
		if err != nil {
			return nil, err
		}
		o.Addr = addr
	}
	if o.Role == "" {
		o.Role = "serve"
	}
	scheme := "http://"
	if o.HTTP != nil {
		scheme = "https://"
	}
	s := &Service{URL: scheme + o.Addr, HTTP: o.HTTP, done: make(chan struct{}), log: &tail{also: o.Output}}
	s.cmd = exec.Command(o.Binary, o.Role)
	s.cmd.Env = append(append(os.Environ(), "HTTP_ADDR="+o.Addr), o.Env...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Binary, err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	if o.NoWait {
		return s, nil
	}
	if err := s.waitReady(ctx); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// waitReady polls /readyz: the service is another process, there is no signal to wait for.
func (s *Service) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if s.Ready(ctx) == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-s.done:
			return fmt.Errorf("the service ended: %w\n%s", s.err, s.Log())
		case <-ctx.Done():
			return fmt.Errorf("the service is not ready: %w\n%s", ctx.Err(), s.Log())
		}
	}
}

// Ready asks /readyz.
func (s *Service) Ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/readyz", nil)
	if err != nil {
		return err
	}
	client := s.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", response.Status)
	}
	return nil
}

// Kill sends SIGKILL to the service and returns when the process has ended.
func (s *Service) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Signal sends a signal to the service.
func (s *Service) Signal(sig syscall.Signal) error { return s.cmd.Process.Signal(sig) }

// Stop sends SIGTERM to the service, which drains, and returns its exit error.
func (s *Service) Stop(timeout time.Duration) error {
	if err := s.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-s.done:
		return s.err
	case <-timer.C:
		s.Kill()
		return fmt.Errorf("the service did not drain within %s\n%s", timeout, s.Log())
	}
}

// Pid is the id of the service's process.
func (s *Service) Pid() int { return s.cmd.Process.Pid }

// Done is closed when the service has ended.
func (s *Service) Done() <-chan struct{} { return s.done }

// Log returns the end of the output of the service.
func (s *Service) Log() string { return s.log.String() }

// The range of FreeAddr: below the ports of outgoing connections, one of which could take the port before the process listens, and below the
// ports that devstack uses for servers.
const (
	lowestPort = 10_000
	ports      = 10_000
)

// FreeAddr returns a free address of loopback.
func FreeAddr() (string, error) {
	var failed error
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", lowestPort+rand.IntN(ports))
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return addr, l.Close()
		}
		failed = err
	}
	return "", fmt.Errorf("find a free port: %w", failed)
}

// tail keeps the end of what is written to it, and the first report of the race detector: a service with a data race continues, and its exit code
// does not say where it was.
type tail struct {
	mu   sync.Mutex
	text []byte
	race []byte
	also io.Writer
}

const (
	tailBytes = 32 << 10
	raceBytes = 8 << 10
)

var raceBegins = []byte("WARNING: DATA RACE")

// noteRace keeps the output from the first race on. The detector may write a report in several pieces.
func (t *tail) noteRace(p []byte) {
	if len(t.race) == 0 {
		at := bytes.Index(p, raceBegins)
		if at < 0 {
			return
		}
		p = p[at:]
	}
	t.race = append(t.race, p[:min(len(p), raceBytes-len(t.race))]...)
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.noteRace(p)
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailBytes; extra > 0 {
		t.text = append([]byte(nil), t.text[extra:]...)
	}
	if t.also != nil {
		return t.also.Write(p)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(string(t.text))
	if len(t.race) > 0 && !bytes.Contains(t.text, raceBegins) {
		text = string(t.race) + "\n…\n" + text
	}
	return text
}
