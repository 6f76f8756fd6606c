package notifytest

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/notify"
)

// Address and Name are in the message of the suite and must not be logged.
const (
	Address = "ada@example.com"
	Name    = "Ada Lovelace"
)

// Message returns the message of the suite.
func Message() notify.Message {
	return notify.Message{
		Key: "completed-42", Kind: "completed", CustomerID: "c-1", To: Address, Subject: "Your order 42 is complete",
		Text: "Hello " + Name + ",\n\nyour order is complete.\n", HTML: "<p>Hello " + Name + "</p>",
	}
}

// Subject is an adapter under test.
type Subject struct {
	// New returns a notifier, and a function that returns its log.
	New func(t *testing.T) (n notify.Notifier, logged func() string)
	// Server is the mail server of the notifier; nil for an adapter that accepts everything without a server.
	Server func() *Server
}

// situation is a behaviour of the mail server with the expected result.
type situation struct {
	name   string
	script Script
	want   notify.Result
	// taken is set if the server has accepted the message.
	taken bool
}

var situations = []situation{
	{"accepts", nil, notify.Result{Outcome: notify.Accepted}, true},
	{"accepts and closes before QUIT", Script{"quit": Hangup}, notify.Result{Outcome: notify.Accepted}, true},
	{"unreachable", Script{"connect": Hangup}, notify.Result{Outcome: notify.NotAccepted}, false},
	{"refuses connection", Script{"connect": "554 5.3.2 closed to " + Address}, notify.Result{Outcome: notify.NotAccepted, Code: "554 5.3.2"}, false},
	{"busy", Script{"mail": "421 4.3.2 busy"}, notify.Result{Outcome: notify.NotAccepted, Code: "421 4.3.2"}, false},
	{"refuses sender", Script{"mail": "553 5.7.1 no"}, notify.Result{Outcome: notify.NotAccepted, Code: "553 5.7.1"}, false},
	{"requires login", Script{"mail": "530 5.7.0 log in"}, notify.Result{Outcome: notify.NotAccepted, Code: "530 5.7.0"}, false},
	{"mailbox full", Script{"rcpt": "452 4.2.2 " + Address + " is full"}, notify.Result{Outcome: notify.NotAccepted, Code: "452 4.2.2"}, false},
	{"unknown recipient", Script{"rcpt": "550 5.1.1 " + Address + " is nobody"}, notify.Result{Outcome: notify.Refused, Code: "550 5.1.1"}, false},
	{"closes before the data", Script{"data": Hangup}, notify.Result{Outcome: notify.NotAccepted}, false},
	{"refuses data temporarily", Script{"data": "451 4.3.0 later"}, notify.Result{Outcome: notify.NotAccepted, Code: "451 4.3.0"}, false},
	{"refuses data permanently", Script{"data": "554 5.6.0 no"}, notify.Result{Outcome: notify.Refused, Code: "554 5.6.0"}, false},
	{"refuses received data temporarily", Script{"end": "451 4.7.1 later"}, notify.Result{Outcome: notify.NotAccepted, Code: "451 4.7.1"}, false},
	{"refuses received data permanently", Script{"end": "554 5.7.1 spam from " + Address}, notify.Result{Outcome: notify.Refused, Code: "554 5.7.1"}, false},
	{"closes after the data", Script{"end": Hangup}, notify.Result{Outcome: notify.Unknown}, true},
	{"no answer after the data", Script{"end": Silence}, notify.Result{Outcome: notify.Unknown}, true},
	{"no answer before the data", Script{"rcpt": Silence}, notify.Result{Outcome: notify.NotAccepted}, false},
}

// Run runs the contract suite.
func Run(t *testing.T, s Subject) {
	for _, one := range situations {
		if s.Server == nil && one.script != nil {
			// Does not apply to an adapter without a server.
			continue
		}
		t.Run(one.name, func(t *testing.T) {
			n, logged := s.New(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if s.Server != nil {
				s.Server().Answer(one.script)
				if one.script["end"] == Silence || one.script["rcpt"] == Silence {
					// The context ends when the server is silent, not before, even on a slow machine.
					defer endAt(s.Server().Changed(), cancel)()
				}
			}
			require.Equal(t, one.want, n.Send(ctx, Message()))
			for _, secret := range []string{Address, Name} {
				require.NotContains(t, logged(), secret)
			}
			if s.Server == nil {
				return
			}
			accepted := 0
			for _, m := range s.Server().Mails() {
				if m.Accepted {
					accepted++
				}
			}
			require.Equal(t, one.taken, accepted > 0)
			require.LessOrEqual(t, accepted, 1)
		})
	}
	t.Run("a context that has ended", func(t *testing.T) {
		n, _ := s.New(t)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.Equal(t, notify.NotAccepted, n.Send(ended, Message()).Outcome)
	})
	t.Run("many at once", func(t *testing.T) {
		n, _ := s.New(t)
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				if r := n.Send(t.Context(), Message()); r.Outcome != notify.Accepted {
					t.Errorf("%+v", r)
				}
			})
		}
		all.Wait()
	})
}

// endAt calls end when come is closed; stop cancels that.
func endAt(come <-chan struct{}, end func()) (stop func()) {
	stopped := make(chan struct{})
	var one sync.WaitGroup
	one.Go(func() {
		select {
		case <-come:
			end()
		case <-stopped:
		}
	})
	return func() { close(stopped); one.Wait() }
}
