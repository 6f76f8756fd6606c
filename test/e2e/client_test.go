package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/client"
	"github.com/ordersaga/ordersaga/test/harness"
)

// interrupted is a transport whose first request is interrupted.
type interrupted struct {
	http.RoundTripper
	// interrupt is called while the request is under way, once; then it is nil.
	interrupt func()
}

func (i *interrupted) RoundTrip(r *http.Request) (response *http.Response, err error) {
	interrupt := i.interrupt
	if interrupt == nil {
		return i.RoundTripper.RoundTrip(r)
	}
	i.interrupt = nil
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		response, err = i.RoundTripper.RoundTrip(r)
	}()
	interrupt()
	<-answered
	return response, err
}

// TestGoClientSurvivesAKill: the service is killed while a client places an order and waits for it. The client sends the order again with its key:
// there is one order, and it completes. A stream that is cut continues.
func TestGoClientSurvivesAKill(t *testing.T) {
	s := newStack(t)
	addr, err := harness.FreeAddr()
	require.NoError(t, err)
	service := s.startWith(harness.Options{Addr: addr})
	sku := s.sku(10)
	const id = "placed-during-a-kill"
	newClient := func(transport http.RoundTripper) *client.Client {
		c, err := client.New(client.Config{URL: service.URL, HTTP: &http.Client{Transport: transport}, RetryTime: patience})
		require.NoError(t, err)
		return c
	}

	transport := &interrupted{RoundTripper: http.DefaultClient.Transport}
	var events []client.Event
	watched := make(chan error, 1)
	transport.interrupt = func() {
		_, err := s.tap.Await(s.ctx, id, func(m []harness.Message) bool { return len(harness.Outbound(m)) > 0 })
		require.NoError(t, err)
		watcher, connected := newClient(http.DefaultClient.Transport), make(chan struct{}, 1)
		go func() {
			var err error
			for e, failed := range watcher.WatchOrder(s.ctx, id, 0) {
				if err = failed; err == nil {
					events = append(events, e)
				}
				select {
				case connected <- struct{}{}:
				default:
				}
			}
			watched <- err
		}()
		<-connected
		service.Kill()
		s.startWith(harness.Options{Addr: addr})
		// Until now the order has waited for its payer, and the request for the order.
		s.pays(id, "paid", 1)
	}
	o, err := newClient(transport).PlaceOrderAndWait(s.ctx, client.OrderRequest{
		ID: id, CustomerID: "c-1", Currency: "EUR", Payment: &client.Payment{Method: "tok_pending"},
		Lines: []client.LineRequest{{SKU: sku, Quantity: 1, UnitAmount: 1000}},
	})
	require.NoError(t, err)
	require.Equal(t, client.StatusCompleted, o.Status)
	require.NoError(t, <-watched)
	report := s.audit()
	require.Len(t, report.Orders, 1)
	var types []string
	for _, e := range events {
		types = append(types, e.Type)
	}
	require.Equal(t, report.Timeline(id), types)
}
