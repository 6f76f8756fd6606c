package participant

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sony/gobreaker/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/internal/trace"
)

// Config is how a service is called.
type Config struct {
	// Name is the role of the service, for errors and logs: payment or inventory. Required.
	Name string
	// URL is the base of the paths of the contract. Required.
	URL string
	// Secrets sign requests, each with a signature of its own. Without one nothing is signed.
	Secrets []string
	// TLS is for https. Default: that of the system.
	TLS *tls.Config
	// Timeout bounds one request with its answer. Default 5 s.
	Timeout time.Duration
	// Failures opens the breaker: so many calls in a row without a definite answer. Default 10. Pause is how long it is open. Default 5 s.
	Failures uint32
	Pause    time.Duration
	// OnBreaker, if set, is called with the state of the breaker: at first, and whenever it changes. It must not block.
	OnBreaker func(name string, s BreakerState)
	// Logger default: no logs.
	Logger *slog.Logger
}

// BreakerState is the state of a breaker.
type BreakerState int

// The states.
const (
	// BreakerClosed lets calls pass, BreakerHalfOpen one of them, BreakerOpen none.
	BreakerClosed BreakerState = iota
	BreakerHalfOpen
	BreakerOpen
)

// breakerStates has the states of gobreaker.
var breakerStates = map[gobreaker.State]BreakerState{
	gobreaker.StateClosed: BreakerClosed, gobreaker.StateHalfOpen: BreakerHalfOpen, gobreaker.StateOpen: BreakerOpen,
}

// Validate sets defaults and reports errors. The error is Invalid.
func (c *Config) Validate() error {
	var wrong []fault.Field
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		wrong = append(wrong, fault.Fieldf("/url", "must begin with http:// or https:// and name a host"))
	}
	if c.Name == "" {
		wrong = append(wrong, fault.Fieldf("/name", "is missing"))
	}
	for _, secret := range c.Secrets {
		if !ValidSecret(secret) {
			wrong = append(wrong, fault.Fieldf("/secrets", "%s", SecretRule))
		}
	}
	if c.Timeout < 0 || c.Pause < 0 {
		wrong = append(wrong, fault.Fieldf("", "limits must not be negative"))
	}
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.Failures = cmp.Or(c.Failures, 10)
	c.Pause = cmp.Or(c.Pause, 5*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.OnBreaker == nil {
		c.OnBreaker = func(string, BreakerState) {}
	}
	return fault.NewInvalid("participant configuration", wrong)
}

const (
	// maxAnswer bounds the body of an answer.
	maxAnswer = 64 << 10
	// maxIdle is how many connections are kept open, which is more than a worker's concurrent activities.
	maxIdle = 128
	// CorrelationHeader has the correlation ID of the saga.
	CorrelationHeader = "X-Correlation-Id"
)

// client calls one service.
type client struct {
	cfg     Config
	base    string
	http    *http.Client
	breaker *gobreaker.CircuitBreaker[struct{}]
	signers []*standardwebhooks.Webhook
}

func newClient(c Config) (*client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is net/http's own
	transport.TLSClientConfig = c.TLS
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = maxIdle, maxIdle
	transport.MaxResponseHeaderBytes = maxAnswer
	p := &client{
		cfg: c, base: strings.TrimRight(c.URL, "/"),
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, secret := range c.Secrets {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "the secret for the %s service", c.Name)
		}
		p.signers = append(p.signers, signer)
	}
	p.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name: c.Name, Timeout: c.Pause,
		ReadyToTrip:  func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= c.Failures },
		IsSuccessful: definite,
		IsExcluded:   func(err error) bool { return errors.Is(err, errAbandoned) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			c.OnBreaker(name, breakerStates[to])
			level := slog.LevelWarn
			if to == gobreaker.StateClosed {
				level = slog.LevelInfo
			}
			c.Logger.LogAttrs(context.Background(), level, "the breaker of a participant has changed",
				slog.String("participant", name), slog.String("before", from.String()), slog.String("state", to.String()))
		},
	})
	c.OnBreaker(c.Name, BreakerClosed)
	return p, nil
}

// errAbandoned is in the chain of errors of calls that their caller has ended, which say nothing about the service.
var errAbandoned = errors.New("the caller has ended the call")

// definite reports whether an error is a definite answer.
func definite(err error) bool {
	return err == nil || !errors.Is(err, fault.OutcomeUnknown) && !errors.Is(err, fault.Unavailable)
}

// Close closes idle connections.
func (p *client) Close() { p.http.CloseIdleConnections() }

// Ready reports whether the breaker lets calls pass; the error is Unavailable.
func (p *client) Ready() error {
	if p.breaker.State() == gobreaker.StateOpen {
		return fault.New(fault.Unavailable, "the %s service has failed %d times in a row, and is not called for %s", p.cfg.Name, p.cfg.Failures, p.cfg.Pause)
	}
	return nil
}

// request is a request of the contract.
type request struct {
	// operation is the operationId; keys are those in the path, which has them already.
	operation, path string
	keys            []string
	// body is nil for a GET.
	body any
	// problems are the codes of problems that are definite answers.
	problems map[string]fault.Code
	// complain adds what the contract does not allow in an answer with status 200.
	complain func(d *jsondoc.Doc)
}

// id is the ID that the signature covers: it binds it to the operation and its keys.
func (r request) id() string { return strings.Join(append([]string{r.operation}, r.keys...), "/") }

// reads reports whether the request changes nothing.
func (r request) reads() bool { return r.body == nil }

// call sends a request and reads the answer into out.
func (p *client) call(ctx context.Context, r request, out any) error {
	_, err := p.breaker.Execute(func() (struct{}, error) { return struct{}{}, p.send(ctx, r, out) })
	switch {
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		return &fault.Error{
			Code: fault.Unavailable, Op: p.op(r), Err: err,
			Message: fmt.Sprintf("the %s service has failed %d times in a row: it is not called now", p.cfg.Name, p.cfg.Failures),
		}
	case r.reads() && errors.Is(err, fault.OutcomeUnknown):
		return fault.Wrap(err, fault.Unavailable, "%s", p.op(r)) // nothing can have happened
	}
	return fault.Wrap(err, fault.CodeOf(err), "%s", p.op(r))
}

func (p *client) op(r request) string { return r.operation + " at the " + p.cfg.Name + " service" }

// send sends a request once.
func (p *client) send(caller context.Context, r request, out any) error {
	ctx, cancel := context.WithTimeout(caller, p.cfg.Timeout)
	defer cancel()
	ctx, span := trace.Start(ctx, r.operation+" "+p.cfg.Name, trace.Client)
	err := p.exchange(ctx, r, out)
	if err != nil && caller.Err() != nil {
		err = fmt.Errorf("%w: %w", errAbandoned, err)
	}
	span.End(err)
	return err
}

func (p *client) exchange(ctx context.Context, r request, out any) error {
	sent, err := p.newRequest(ctx, r)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "make the request")
	}
	response, err := p.http.Do(sent)
	if err != nil {
		code := fault.OutcomeUnknown
		if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
			code = fault.Unavailable
		}
		return fault.Wrap(withoutURL(err), code, "send the request")
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fault.Wrap(err, fault.OutcomeUnknown, "read the answer")
	case len(body) > maxAnswer:
		return fault.New(fault.OutcomeUnknown, "the answer has more than %d bytes", maxAnswer)
	}
	return read(r, response, body, out)
}

// withoutURL is the cause of an error of net/http, without the URL.
func withoutURL(err error) error {
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

func (p *client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	method, body := http.MethodGet, []byte(nil)
	if !r.reads() {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, err
		}
		method = http.MethodPut
	}
	sent, err := http.NewRequestWithContext(ctx, method, p.base+r.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	sent.Header.Set("Accept", "application/json, application/problem+json")
	sent.Header.Set("User-Agent", "ordersaga")
	if !r.reads() {
		sent.Header.Set("Content-Type", "application/json")
	}
	for name, value := range trace.Headers(ctx) {
		sent.Header.Set(name, value)
	}
	if about, ok := trace.SagaOf(ctx); ok && about.CorrelationID != "" {
		sent.Header.Set(CorrelationHeader, about.CorrelationID)
	}
	return sent, p.sign(sent.Header, r.id(), body)
}
