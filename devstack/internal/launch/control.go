package launch

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/ordersaga/ordersaga/devstack/internal/control"
	"github.com/ordersaga/ordersaga/devstack/internal/stack"
	"github.com/ordersaga/ordersaga/devstack/internal/state"
)

// listen opens the control socket and writes its address to the state folder.
func (l *launcher) listen() error {
	var err error
	ready := make(chan struct{}) // requests wait for the context below
	l.control, err = control.Serve(l.folder.Dir, func(ctx context.Context, request control.Request) control.Response {
		<-ready
		return l.handle(ctx, request)
	})
	if err != nil {
		return err
	}
	defer close(ready)
	if l.context, err = l.environmentContext(); err == nil {
		err = l.folder.Introduce(state.Owner{PID: os.Getpid(), Control: l.control.Path()})
	}
	if err != nil {
		go l.control.Close()
	}
	return err
}

func (l *launcher) handle(ctx context.Context, request control.Request) control.Response {
	if request.Action == control.Env {
		return control.Response{Env: stack.Settings(os.Environ(), l.selection, l.endpoints, l.context)}
	}
	if err := l.selection.Check(request.Component); err != nil {
		return control.Response{Error: err.Error()}
	}
	var (
		message string
		err     error
	)
	switch request.Action {
	case control.Kill:
		message, err = l.supervisor.Kill(request.Component)
	case control.Stop:
		message, err = l.supervisor.Stop(request.Component)
	case control.Start:
		message, err = l.supervisor.Start(ctx, request.Component)
	default:
		err = fmt.Errorf("there is no action %q", request.Action)
	}
	if err != nil {
		return control.Response{Error: err.Error()}
	}
	return control.Response{Message: message}
}

// Export turns a NAME=value pair into a line for a POSIX shell.
func Export(pair string) string {
	name, value, _ := strings.Cut(pair, "=")
	return "export " + name + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
