package notifytest

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/notify"
)

// Address, Name and Text are what the suite's message holds and nobody may repeat.
const (
	Address = "ada@example.com"
	Name    = "Ada Lovelace"
)

// Message is the suite's message.
func Message() notify.Message {
	return notify.Message{
		Key: "completed-42", Kind: "completed", CustomerID: "c-1", To: Address, Subject: "Your order 42 is complete",
		Text: "Hello " + Name + ",\n\nyour order is complete.\n", HTML: "<p>Hello " + Name + "</p>",
	}
}

// Subject is an adapter under test.
type Subject struct {
	// New returns a notifier, and what it has written to its log so far.
	New func(t *testing.T) (n notify.Notifier, logged func() string)
	// Server is the mail server behind the notifier; nil for an adapter that has none and accepts everything.
	Server func() *Server
}

// situation is a mail server's behaviour and what must come of it.
type situation struct {
	name   string
	script Script
	want   notify.Result
	// taken tells that the server has the message.
	taken bool
}

var situations = []situation{
	{"it accepts", nil, notify.Result{Outcome: notify.Accepted}, true},
	{"it accepts and does not say goodbye", Script{"quit": Hangup}, notify.Result{Outcome: notify.Accepted}, true},
	{"it is not there", Script{"connect": Hangup}, notify.Result{Outcome: notify.NotAccepted}, false},
	{"it is closed", Script{"connect": "554 5.3.2 closed to " + Address}, notify.Result{Outcome: notify.NotAccepted, Code: "554 5.3.2"}, false},
	{"it is busy", Script{"mail": "421 4.3.2 busy"}, notify.Result{Outcome: notify.NotAccepted, Code: "421 4.3.2"}, false},
	{"it does not want the sender", Script{"mail": "553 5.7.1 no"}, notify.Result{Outcome: notify.NotAccepted, Code: "553 5.7.1"}, false},
	{"it wants a login", Script{"mail": "530 5.7.0 log in"}, notify.Result{Outcome: notify.NotAccepted, Code: "530 5.7.0"}, false},
	{"the box is full", Script{"rcpt": "452 4.2.2 " + Address + " is full"}, notify.Result{Outcome: notify.NotAccepted, Code: "452 4.2.2"}, false},
	{"nobody has that address", Script{"rcpt": "550 5.1.1 " + Address + " is nobody"}, notify.Result{Outcome: notify.Refused, Code: "550 5.1.1"}, false},
	{"it dies before the data", Script{"data": Hangup}, notify.Result{Outcome: notify.NotAccepted}, false},
	{"it does not want the data now", Script{"data": "451 4.3.0 later"}, notify.Result{Outcome: notify.NotAccepted, Code: "451 4.3.0"}, false},
	{"it does not want the data", Script{"data": "554 5.6.0 no"}, notify.Result{Outcome: notify.Refused, Code: "554 5.6.0"}, false},
	{"it has seen the data and wants it later", Script{"end": "451 4.7.1 later"}, notify.Result{Outcome: notify.NotAccepted, Code: "451 4.7.1"}, false},
	{"it has seen the data and refuses", Script{"end": "554 5.7.1 spam from " + Address}, notify.Result{Outcome: notify.Refused, Code: "554 5.7.1"}, false},
	{"it dies after the data", Script{"end": Hangup}, notify.Result{Outcome: notify.Unknown}, true},
	{"it says nothing after the data", Script{"end": Silence}, notify.Result{Outcome: notify.Unknown}, true},
	{"it says nothing before the data", Script{"rcpt": Silence}, notify.Result{Outcome: notify.NotAccepted}, false},
}

// Run is the suite.
func Run(t *testing.T, s Subject) {
	for _, one := range situations {
		if s.Server == nil && one.script != nil {
			// An adapter without a server has no such situation.
			continue
		}
		t.Run(one.name, func(t *testing.T) {
			n, logged := s.New(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if s.Server != nil {
				s.Server().Answer(one.script)
				if one.script["end"] == Silence {
					// The time is over behind the data, and not before, whatever the machine is busy with.
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

// endAt calls end when something has come; stop ends the wait for it.
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
