// Package control lets another process, usually the command that the launcher
// runs, act on the components: a request and an answer, one line of JSON each,
// over a Unix socket in a folder that only its user can enter.
//
// The package imports the standard library only.
package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Actions of a Request.
const (
	Kill  = "kill"  // SIGKILL, returns when it is gone
	Stop  = "stop"  // graceful, returns when it is gone
	Start = "start" // returns when it is ready
	Env   = "env"   // returns the environment for commands
)

// Request asks for one action.
type Request struct {
	Action    string `json:"action"`
	Component string `json:"component,omitempty"`
}

// Response is the answer when the action is over.
type Response struct {
	// Error is empty on success.
	Error string `json:"error,omitempty"`
	// Message says what happened.
	Message string `json:"message,omitempty"`
	// Env holds NAME=value pairs.
	Env []string `json:"env,omitempty"`
}

// Handler carries a request out. It is called from many goroutines; the context
// ends when the server closes.
type Handler func(context.Context, Request) Response

// Server listens until it is closed.
type Server struct {
	dir      string // made for the socket; may be empty
	listener net.Listener
	cancel   context.CancelFunc
	requests sync.WaitGroup
}

// readLimit bounds the wait for a request that never comes. A slow client
// gets time between its connection and its request.
const readLimit = time.Minute

// pathLimit is what all systems allow for the path of a socket, in bytes.
const pathLimit = 100

// Serve listens on a socket in dir and answers in the background. Where the
// path would be too long for the system, the socket gets a folder of its own
// among the temporary ones.
func Serve(dir string, handle Handler) (*Server, error) {
	path := filepath.Join(dir, "control")
	own := ""
	if len(path) > pathLimit {
		var err error
		if own, err = os.MkdirTemp("", "devstack-control-"); err != nil {
			return nil, fmt.Errorf("control socket: %w", err)
		}
		path = filepath.Join(own, "control")
	}
	// An existing socket is one of a killed launcher: the caller holds the folder.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), removeOwn(own))
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{dir: own, listener: listener, cancel: cancel}
	s.requests.Go(func() { s.accept(ctx, handle) })
	return s, nil
}

// Path returns the path of the socket.
func (s *Server) Path() string { return s.listener.Addr().String() }

// Close ends the server, waits for running requests and removes the socket.
func (s *Server) Close() {
	s.cancel()
	s.listener.Close()
	s.requests.Wait()
	_ = removeOwn(s.dir) // a remaining temporary folder does no harm
}

func removeOwn(dir string) error {
	if dir == "" {
		return nil
	}
	return os.RemoveAll(dir)
}

func (s *Server) accept(ctx context.Context, handle Handler) {
	for {
		connection, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.requests.Go(func() {
			defer connection.Close()
			connection.SetReadDeadline(time.Now().Add(readLimit))
			// Close does not wait for a client that sends nothing.
			keep := context.AfterFunc(ctx, func() { connection.SetReadDeadline(time.Unix(1, 0)) })
			line, err := bufio.NewReader(connection).ReadBytes('\n')
			keep()
			if err != nil {
				return
			}
			var request Request
			response := Response{Error: "the request is not understood"}
			if json.Unmarshal(line, &request) == nil {
				response = handle(ctx, request)
			}
			_ = json.NewEncoder(connection).Encode(response) // the client may have left
		})
	}
}

// ErrGone is returned when no process listens on the socket.
var ErrGone = errors.New("that devstack is gone")

// Call sends one request and waits for its answer. An error that the launcher
// reports is returned as an error.
func Call(socket string, request Request) (Response, error) {
	connection, err := net.Dial("unix", socket)
	if err != nil {
		return Response{}, fmt.Errorf("%w: %w", ErrGone, err)
	}
	defer connection.Close()
	if err := json.NewEncoder(connection).Encode(request); err != nil {
		return Response{}, fmt.Errorf("%w: %w", ErrGone, err)
	}
	var response Response
	if err := json.NewDecoder(connection).Decode(&response); err != nil {
		return Response{}, fmt.Errorf("%w before it answered: %w", ErrGone, err)
	}
	if response.Error != "" {
		return response, errors.New(response.Error)
	}
	return response, nil
}
