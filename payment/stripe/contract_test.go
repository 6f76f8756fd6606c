package stripe_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/payment/paymenttest"
	"github.com/ordersaga/ordersaga/payment/stripe"
	"github.com/ordersaga/ordersaga/payment/stripe/stripefake"
)

func TestContract(t *testing.T) {
	paymenttest.Run(t, paymenttest.Subject{
		Open: open, Slow: true, Fences: true,
		Methods: paymenttest.Methods{
			Approve: stripefake.Approve, Decline: stripefake.Decline, DeclineCode: stripefake.DeclineCode, Pending: stripefake.Action,
			CaptureRefused: stripefake.CaptureRefused, Timeout: stripefake.Timeout,
			CaptureStuck: stripefake.CaptureStuck, VoidStuck: stripefake.VoidStuck, RefundStuck: stripefake.RefundStuck, RefundRefused: stripefake.RefundRefused,
		},
	})
}

// open returns two gateways of one account. What they did is checked when the test ends.
func open(t *testing.T) paymenttest.Provider {
	server := stripefake.New()
	t.Cleanup(func() {
		server.Close()
		check(t, server)
	})
	network := &network{next: &http.Transport{DisableKeepAlives: true}}
	first := &acting{newGateway(t, server, &http.Client{Transport: network}), server}
	second := &acting{newGateway(t, server, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}), server}
	return paymenttest.Provider{
		Gateways: [2]payment.Gateway{first, second},
		Pause:    network.pause, LoseRequest: func() { network.lose(lostRequest) }, LoseAnswer: func() { network.lose(lostAnswer) },
	}
}

func newGateway(t *testing.T, server *stripefake.Server, client *http.Client, options ...func(*stripe.Config)) *stripe.Gateway {
	c := stripe.Config{Key: "sk_test_1", Base: server.URL, Client: client}
	for _, option := range options {
		option(&c)
	}
	gateway, err := stripe.New(c)
	require.NoError(t, err)
	return gateway
}

// check adds up what the server has, without the adapter: one PaymentIntent moved money for each payment, and no refunds exceed it.
func check(t *testing.T, server *stripefake.Server) {
	moved := map[string]int{}
	refunded := map[string]int64{}
	keys := map[string]bool{}
	for _, r := range server.Refunds() {
		if r.Status != "failed" {
			refunded[r.Intent] += r.Amount
		}
		require.False(t, keys[r.Intent+r.Metadata["ordersaga_key"]], "one refund for each key")
		keys[r.Intent+r.Metadata["ordersaga_key"]] = true
	}
	for _, i := range server.Intents() {
		require.NotEmpty(t, i.Metadata["ordersaga_key"])
		require.Equal(t, "manual", i.Capture)
		if i.Charge != nil {
			moved[i.Metadata["ordersaga_key"]]++
		}
		require.LessOrEqual(t, refunded[i.ID], i.Received)
	}
	for key, n := range moved {
		require.Equal(t, 1, n, "authorizations of %s", key)
	}
}

// acting is a gateway whose payers answer when the test says so.
type acting struct {
	*stripe.Gateway
	server *stripefake.Server
}

// Settle implements payment.Settler.
func (a *acting) Settle(_ context.Context, p payment.Payment, ok bool, code string) error {
	for _, i := range a.server.Intents() {
		if i.Metadata["ordersaga_reference"] != p.OrderID {
			continue
		}
		if p.ID != "" && p.ID != i.ID {
			return fault.New(fault.Conflict, "another payment")
		}
		a.server.Act(i.ID, ok, code)
	}
	return nil
}

// loss is what is lost of a request.
type loss int

const (
	lostNothing loss = iota
	lostRequest
	lostAnswer
)

// network is what is between a gateway and the server. It disturbs the next request that moves money.
type network struct {
	next   http.RoundTripper
	mu     sync.Mutex
	loss   loss
	paused *paused
}

func (n *network) lose(what loss) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = what
}

func (n *network) pause() paymenttest.Paused {
	p := &paused{arrived: make(chan struct{}), abandoned: make(chan struct{}), released: make(chan struct{}), done: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paused = p
	return p
}

var errNetwork = errors.New("the connection was lost")

// RoundTrip implements http.RoundTripper.
func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || r.URL.Path == "/v1/payment_intents" {
		return n.next.RoundTrip(r)
	}
	n.mu.Lock()
	loss, paused := n.loss, n.paused
	n.loss, n.paused = lostNothing, nil
	n.mu.Unlock()
	switch {
	case paused != nil:
		return paused.roundTrip(n.next, r)
	case loss == lostRequest:
		return nil, errNetwork
	case loss == lostAnswer:
		answer, err := n.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		return nil, errors.Join(errNetwork, answer.Body.Close())
	}
	return n.next.RoundTrip(r)
}

// paused is a request that waits.
type paused struct{ arrived, abandoned, released, done chan struct{} }

func (p *paused) roundTrip(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	type result struct {
		answer *http.Response
		err    error
	}
	sent := make(chan result, 1)
	go func() {
		defer close(p.done)
		<-p.released
		answer, err := next.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
		sent <- result{answer, err}
	}()
	close(p.arrived)
	select {
	case <-p.abandoned:
		go func() {
			if got := <-sent; got.err == nil {
				_ = got.answer.Body.Close()
			}
		}()
		return nil, errNetwork
	case got := <-sent:
		return got.answer, got.err
	}
}

func (p *paused) Arrived() <-chan struct{} { return p.arrived }
func (p *paused) Abandon()                 { close(p.abandoned) }
func (p *paused) Release() {
	close(p.released)
	<-p.done
}
