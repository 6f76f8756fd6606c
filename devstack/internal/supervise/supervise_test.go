package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ordersaga/ordersaga/devstack/internal/leaks"

	"github.com/ordersaga/ordersaga/devstack/internal/process"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == process.KeepCommand {
		os.Exit(process.Keep(os.Args[2:]))
	}
	leaks.Main(m)
}

// fixture runs shell scripts as components and collects the messages to the user.
type fixture struct {
	*Supervisor
	dir  string
	told chan string
}

// component is ready when its script has made a file of its name.
func (f *fixture) component(name, script string) Component {
	ready := filepath.Join(f.dir, name)
	return Component{
		Name: name,
		URL:  "test:" + name,
		Spec: process.Spec{Args: []string{"sh", "-c", script, ready}, Env: os.Environ(), Foreign: true},
		Ready: func(context.Context) error {
			_, err := os.Stat(ready)
			return err
		},
		StopLimit: generous,
	}
}

const (
	// serving leaves its file only while it runs.
	serving  = `trap 'rm "$0"; exit 0' TERM; echo serving; : >"$0"; while :; do sleep 1000 & wait $!; done`
	stubborn = `trap "" TERM; : >"$0"; while :; do sleep 1000; done`
	failing  = `for i in $(seq 30); do echo line $i; done; exit 7`
	hanging  = `exec sleep 1000`
)

func supervisor(t *testing.T, startLimit time.Duration, scripts map[string]string, adjust func(*Component)) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir(), told: make(chan string, 100)}
	var components []Component
	for name, script := range scripts {
		c := f.component(name, script)
		if adjust != nil {
			adjust(&c)
		}
		components = append(components, c)
	}
	f.Supervisor = New(Config{
		Components: components,
		LogPath:    func(name string) string { return filepath.Join(f.dir, name+".log") },
		Mark:       fmt.Sprintf("test.%d.%s", os.Getpid(), t.Name()),
		Say:        func(format string, args ...any) { f.told <- fmt.Sprintf(format, args...) },
		StartLimit: startLimit,
	})
	t.Cleanup(func() { f.Close(false, nil) })
	return f
}

const generous = 5 * time.Minute

func TestActions(t *testing.T) {
	f := supervisor(t, generous, map[string]string{"a": serving, "b": serving}, nil)
	if err := f.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := func(name string) (string, error) { return f.Start(t.Context(), name) }
	for _, step := range []struct {
		act  func(string) (string, error)
		want string
	}{
		{start, "a is running"}, {f.Stop, "a is stopped"}, {f.Stop, "a was not running"},
		{f.Kill, "a was not running"}, {start, "ready in"}, {f.Kill, "a is killed"}, {start, "ready in"},
	} {
		if got, err := step.act("a"); err != nil || !strings.Contains(got, step.want) {
			t.Errorf("got %q, %v, want %q", got, err, step.want)
		}
		if step.want == "a is killed" {
			os.Remove(filepath.Join(f.dir, "a")) // no other goroutine does
		}
	}
	if _, err := f.Kill("c"); err == nil || !strings.Contains(err.Error(), "only: a, b") {
		t.Errorf("err = %v", err)
	}
	f.Close(true, nil)
	for len(f.told) > 0 {
		if told := <-f.told; strings.Contains(told, "on its own") {
			t.Errorf("the user is told %q although the end was requested", told)
		}
	}
}

func TestFailureShowsTheEndOfTheLog(t *testing.T) {
	// The slow one is given up when the bad one fails, which is the error that the user must see.
	f := supervisor(t, generous, map[string]string{"good": serving, "slow": hanging, "bad": failing}, nil)
	err := f.StartAll(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"bad ended with exit code 7", "| line 30", "| line 11\n"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "line 10\n") {
		t.Errorf("more than %d lines:\n%v", tailLines, err)
	}
}

func TestStartLimit(t *testing.T) {
	f := supervisor(t, 200*time.Millisecond, map[string]string{"slow": hanging}, nil)
	if err := f.StartAll(t.Context()); err == nil || !strings.Contains(err.Error(), "slow was not ready within 200ms") {
		t.Errorf("err = %v", err)
	}
}

func TestInterruptedStart(t *testing.T) {
	f := supervisor(t, generous, map[string]string{"slow": hanging}, func(c *Component) {
		c.Ready = func(context.Context) error { return errors.New("not yet") }
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("a person changed her mind")
	asked := make(chan struct{})
	var once atomic.Bool
	f.units[0].Ready = func(context.Context) error {
		if once.CompareAndSwap(false, true) {
			close(asked)
		}
		return errors.New("not yet")
	}
	go func() {
		<-asked
		cancel(reason)
	}()
	if err := f.StartAll(ctx); !errors.Is(err, reason) {
		t.Errorf("err = %v, want the cause", err)
	}
}

func TestUnexpectedExitIsReported(t *testing.T) {
	f := supervisor(t, generous, map[string]string{"a": serving}, nil)
	if err := f.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-f.told // it is ready
	f.units[0].current().process.Signal(syscall.SIGTERM)
	told := <-f.told
	if !strings.Contains(told, "a ended on its own (exit code 0)") || !strings.Contains(told, "| serving") {
		t.Errorf("told %q", told)
	}
	if got, err := f.Start(t.Context(), "a"); err != nil || !strings.Contains(got, "ready in") {
		t.Errorf("start after death: %q, %v", got, err)
	}
}

func TestUnresponsiveComponentsAreKilled(t *testing.T) {
	f := supervisor(t, generous, map[string]string{"a": stubborn}, func(c *Component) { c.StopLimit = 50 * time.Millisecond })
	if err := f.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Stop("a"); err != nil || !strings.Contains(got, "did not stop in time") {
		t.Errorf("stop: %q, %v", got, err)
	}
}

func TestHurry(t *testing.T) {
	f := supervisor(t, generous, map[string]string{"a": stubborn, "b": stubborn}, nil)
	if err := f.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	hurry := make(chan struct{})
	close(hurry)
	f.Close(true, hurry)
	for _, u := range f.units {
		if u.current() != nil {
			t.Errorf("%s is still there", u.Name)
		}
	}
}
