package control

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ordersaga/ordersaga/devstack/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

func TestCall(t *testing.T) {
	server, err := Serve(t.TempDir(), func(_ context.Context, r Request) Response {
		if r.Component == "bad" {
			return Response{Error: "no component bad"}
		}
		return Response{Message: r.Action + " " + r.Component}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()

	got, err := Call(server.Path(), Request{Action: Kill, Component: "temporal"})
	if err != nil || got.Message != "kill temporal" {
		t.Errorf("Call = %+v, %v", got, err)
	}
	if _, err := Call(server.Path(), Request{Action: Kill, Component: "bad"}); err == nil || err.Error() != "no component bad" {
		t.Errorf("err = %v, want what the handler said", err)
	}
}

func TestClosedServerIsUnreachable(t *testing.T) {
	server, err := Serve(t.TempDir(), func(context.Context, Request) Response { return Response{} })
	if err != nil {
		t.Fatal(err)
	}
	path := server.Path()
	server.Close()
	if _, err := Call(path, Request{Action: Env}); !errors.Is(err, ErrGone) {
		t.Errorf("err = %v, want ErrGone", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestLongPathsGetAShortFolder(t *testing.T) {
	t.Setenv("TMPDIR", "/tmp")
	server, err := Serve(filepath.Join(t.TempDir(), strings.Repeat("x", pathLimit)), func(context.Context, Request) Response { return Response{} })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Call(server.Path(), Request{Action: Env}); err != nil {
		t.Error(err)
	}
	server.Close()
	if _, err := os.Stat(filepath.Dir(server.Path())); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestCloseEndsRunningRequests(t *testing.T) {
	entered := make(chan struct{})
	server, err := Serve(t.TempDir(), func(ctx context.Context, _ Request) Response {
		close(entered)
		<-ctx.Done()
		return Response{Error: "the devstack is ending"}
	})
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := Call(server.Path(), Request{Action: Stop})
		result <- err
	}()
	<-entered
	server.Close()
	if err := <-result; err == nil || err.Error() != "the devstack is ending" {
		t.Errorf("err = %v", err)
	}
}

func TestCloseDoesNotWaitForIdleConnections(t *testing.T) {
	server, err := Serve(t.TempDir(), func(context.Context, Request) Response { return Response{} })
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("unix", server.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	// An answer to a later client shows that the server waits for the silent one.
	if _, err := Call(server.Path(), Request{Action: Env}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	server.Close()
	if took := time.Since(began); took >= readLimit {
		t.Errorf("Close took %v", took)
	}
}
