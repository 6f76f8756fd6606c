package stripe

import (
	"cmp"
	"context"
	"net/http"
	"time"

	sdk "github.com/stripe/stripe-go/v85"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// Config configures a Gateway.
type Config struct {
	// Key is the secret API key. Required.
	Key string
	// Base is the address of the API. Default: that of Stripe.
	Base string
	// Client sends the requests. Default: one with a timeout of 20 s.
	Client *http.Client
	// Clock decides whether Stripe still has the idempotency key of a payment. Default: time.Now.
	Clock func() time.Time
}

const (
	// authorizationLifetime is how long most card networks keep an authorization without a capture.
	authorizationLifetime = 7 * 24 * time.Hour
	// keyLifetime is less than the 24 hours for which Stripe keeps an idempotency key at least.
	keyLifetime = 23 * time.Hour
	// requestTimeout is the default timeout of a request.
	requestTimeout = 20 * time.Second
)

// Gateway is a payment.Gateway. Use New to create it.
type Gateway struct {
	cfg    Config
	client *sdk.Client
}

var (
	_ payment.Gateway       = (*Gateway)(nil)
	_ payment.Authenticator = (*Gateway)(nil)
)

// New returns a gateway. It does no I/O. The error is Invalid.
func New(c Config) (*Gateway, error) {
	if c.Key == "" {
		return nil, fault.NewInvalid("stripe configuration", []fault.Field{fault.Fieldf("/key", "is missing")})
	}
	c.Base = cmp.Or(c.Base, sdk.APIURL)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	sends := http.Client{Timeout: requestTimeout}
	if c.Client != nil {
		sends = *c.Client
	}
	if sends.Transport == nil {
		sends.Transport = http.DefaultTransport
	}
	sends.Transport = transport{sends.Transport}
	return &Gateway{cfg: c, client: sdk.NewClient(c.Key, sdk.WithBackends(sdk.NewBackendsWithConfig(&sdk.BackendConfig{
		HTTPClient: &sends, URL: &c.Base, MaxNetworkRetries: sdk.Int64(0), EnableTelemetry: sdk.Bool(false),
		// The SDK logs whole responses, and those have secrets of clients.
		LeveledLogger: &sdk.LeveledLogger{Level: sdk.LevelNull},
	})))}, nil
}

// Traits implements payment.Gateway.
func (g *Gateway) Traits() payment.Traits {
	return payment.Traits{Name: "stripe", AuthorizationLifetime: authorizationLifetime, KeyLifetime: keyLifetime}
}

// Authorize implements payment.Gateway. The key is not used: a payment is authorized once, with keys that Void and Lookup can derive too.
func (g *Gateway) Authorize(ctx context.Context, _ string, p payment.Payment) (payment.Result, error) {
	return g.settle(ctx, p, "authorize", func(intent *sdk.PaymentIntent) (result payment.Result, next *sdk.PaymentIntent, err error) {
		switch intent.Status {
		case sdk.PaymentIntentStatusRequiresPaymentMethod, sdk.PaymentIntentStatusRequiresConfirmation:
			if code := refusalOf(intent); code != "" {
				result, err = g.refuse(ctx, p, intent, code)
				return result, nil, err
			}
			next, err = g.confirm(ctx, p, intent)
			return payment.Result{}, next, err
		case sdk.PaymentIntentStatusRequiresAction, sdk.PaymentIntentStatusProcessing:
			return resultOf(payment.Pending, intent), nil, g.markPending(ctx, p, intent)
		}
		return ended(intent), nil, nil
	})
}

// Capture implements payment.Gateway. It reads the PaymentIntent first, which costs a request: a capture that was refused stays refused, and a payment with
// other content is a Conflict, before money moves.
func (g *Gateway) Capture(ctx context.Context, key string, p payment.Payment) (payment.Result, error) {
	return g.settle(ctx, p, "capture", func(intent *sdk.PaymentIntent) (result payment.Result, next *sdk.PaymentIntent, err error) {
		if code := intent.Metadata[metadataCaptureRefused]; code != "" {
			return payment.Result{State: payment.CaptureRefused, PaymentID: intent.ID, Code: code}, nil, nil
		}
		switch {
		case intent.Status == sdk.PaymentIntentStatusSucceeded:
			return resultOf(payment.Captured, intent), nil, nil
		case intent.Status == sdk.PaymentIntentStatusRequiresCapture:
			return g.capture(ctx, key, p, intent)
		case intent.Status != sdk.PaymentIntentStatusCanceled, refusalOf(intent) != "":
			return result, nil, fault.New(fault.Invalid, "the payment of %s is not authorized", p)
		case expired(intent):
			return payment.Result{State: payment.CaptureRefused, PaymentID: intent.ID, Code: codeExpired}, nil, nil
		}
		return result, nil, fault.New(fault.EffectSettled, "the payment of %s was voided", p)
	})
}

// Void implements payment.Gateway. It also creates a payment that does not exist, and cancels it, so that it can never be authorized.
func (g *Gateway) Void(ctx context.Context, key string, p payment.Payment) (payment.Result, error) {
	return g.settle(ctx, p, "void", func(intent *sdk.PaymentIntent) (result payment.Result, next *sdk.PaymentIntent, err error) {
		switch intent.Status {
		case sdk.PaymentIntentStatusSucceeded:
			return result, nil, fault.New(fault.EffectSettled, "the payment of %s was captured", p)
		case sdk.PaymentIntentStatusCanceled:
			return ended(intent), nil, nil
		case sdk.PaymentIntentStatusProcessing:
			return result, nil, fault.New(fault.Unavailable, "the payment of %s is being processed and cannot be cancelled yet", p)
		}
		if code := refusalOf(intent); code != "" {
			result, err = g.refuse(ctx, p, intent, code)
			return result, nil, err
		}
		next, err = g.cancel(ctx, key, intent)
		return result, next, err
	})
}

// Lookup implements payment.Gateway. While Stripe keeps idempotency keys, it creates the PaymentIntent if there is none; that moves no money. It makes
// a refusal that it finds permanent: the saga ends with it, and the payer could still pay.
func (g *Gateway) Lookup(ctx context.Context, p payment.Payment) (payment.Result, error) {
	return g.settle(ctx, p, "look up", func(intent *sdk.PaymentIntent) (payment.Result, *sdk.PaymentIntent, error) {
		switch code := refusalOf(intent); {
		case intent.Status == sdk.PaymentIntentStatusRequiresAction, intent.Status == sdk.PaymentIntentStatusProcessing:
			return resultOf(payment.Pending, intent), nil, nil
		case intent.Status == sdk.PaymentIntentStatusRequiresCapture && intent.Metadata[metadataCaptureRefused] != "":
			return payment.Result{State: payment.CaptureRefused, PaymentID: intent.ID, Code: intent.Metadata[metadataCaptureRefused]}, nil, nil
		case intent.Status == sdk.PaymentIntentStatusSucceeded && intent.LatestCharge != nil && intent.LatestCharge.AmountRefunded > 0:
			return resultOf(payment.Refunded, intent), nil, nil
		case code != "":
			result, err := g.refuse(ctx, p, intent, code)
			return result, nil, err
		case intent.Status == sdk.PaymentIntentStatusRequiresPaymentMethod, intent.Status == sdk.PaymentIntentStatusRequiresConfirmation:
			return payment.Result{State: payment.Absent}, nil, nil
		}
		return ended(intent), nil, nil
	})
}

// ClientSecret implements payment.Authenticator.
func (g *Gateway) ClientSecret(ctx context.Context, p payment.Payment) (secret string, err error) {
	if err := p.Validate(); err != nil {
		return "", err
	}
	intent, _, err := g.find(ctx, p)
	if err == nil && intent != nil && intent.Status == sdk.PaymentIntentStatusRequiresAction {
		secret = intent.ClientSecret
	}
	return secret, fault.Wrap(err, fault.CodeOf(err), "look up the payment of %s", p)
}

// maxStates is how many states of a PaymentIntent one call handles; every call reaches an end after fewer.
const maxStates = 6

// settle finds the PaymentIntent of a payment and calls act with it, until act returns a result, or an error, instead of another state.
func (g *Gateway) settle(
	ctx context.Context, p payment.Payment, op string, act func(*sdk.PaymentIntent) (payment.Result, *sdk.PaymentIntent, error),
) (payment.Result, error) {
	if err := p.Validate(); err != nil {
		return payment.Result{}, err
	}
	intent, code, err := g.find(ctx, p)
	if err != nil {
		return payment.Result{}, fault.Wrap(err, fault.CodeOf(err), "%s the payment of %s", op, p)
	}
	if code != "" {
		if op == "capture" {
			return payment.Result{}, fault.New(fault.Invalid, "the payment of %s was refused: %s", p, code)
		}
		return payment.Result{State: payment.Refused, Code: code}, nil
	}
	for range maxStates {
		result, next, err := act(intent)
		if err != nil {
			return payment.Result{}, fault.Wrap(err, fault.CodeOf(err), "%s the payment of %s", op, p)
		}
		if next == nil {
			return result, nil
		}
		intent = next
	}
	return payment.Result{}, fault.New(fault.Unavailable, "%s the payment of %s: its state changes again and again, the last was %s", op, p, intent.Status)
}

// ended is the result of a PaymentIntent in which nothing is open.
func ended(intent *sdk.PaymentIntent) payment.Result {
	switch intent.Status {
	case sdk.PaymentIntentStatusSucceeded:
		return resultOf(payment.Captured, intent)
	case sdk.PaymentIntentStatusCanceled:
		if code := refusalOf(intent); code != "" {
			return refused(intent, code)
		}
		return resultOf(payment.Undone, intent)
	}
	return resultOf(payment.Authorized, intent)
}

func resultOf(state payment.State, intent *sdk.PaymentIntent) payment.Result {
	return payment.Result{State: state, PaymentID: intent.ID}
}

func refused(intent *sdk.PaymentIntent, code string) payment.Result {
	return payment.Result{State: payment.Refused, PaymentID: intent.ID, Code: code, Asynchronous: intent.Metadata[metadataPending] != ""}
}
