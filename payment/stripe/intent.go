package stripe

import (
	"context"
	"net/http"
	"strings"

	sdk "github.com/stripe/stripe-go/v85"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// Metadata of a PaymentIntent and, for the key, of a refund.
const (
	metadataReference = "ordersaga_reference"
	metadataFlow      = "ordersaga_flow"
	metadataMethod    = "ordersaga_method"
	// metadataKey is the idempotency key of the payment, or of the refund: a value for which Stripe can be searched whatever the reference has.
	metadataKey = "ordersaga_key"
	// metadataPending is set when the payer had to act. metadataRefused and metadataCaptureRefused are the codes of refusals.
	metadataPending        = "ordersaga_pending"
	metadataRefused        = "ordersaga_refused"
	metadataCaptureRefused = "ordersaga_capture_refused"
)

// codeExpired is the code of a capture that was refused because the authorization had expired.
const codeExpired = "authorization_expired"

// expandCharge has responses contain the charge, which knows what was refunded.
var expandCharge = []*string{sdk.String("latest_charge")}

// find returns the PaymentIntent of a payment. A code is returned instead if Stripe can have none, because it refuses the amount or the currency.
func (g *Gateway) find(ctx context.Context, p payment.Payment) (intent *sdk.PaymentIntent, code string, err error) {
	amount, err := toStripe(p.Amount, p.Currency)
	if err != nil {
		return nil, "amount_not_supported", nil //nolint:nilerr // Stripe refuses such an amount, so the payment is refused.
	}
	switch {
	case p.ID != "":
		intent, err = g.retrieve(ctx, p.ID)
		if e := errorOf(err); e != nil && e.HTTPStatusCode == http.StatusNotFound {
			return nil, "", fault.New(fault.Conflict, "Stripe does not know the payment ID %s of %s", p.ID, p)
		}
		err = failure(err, "retrieve the PaymentIntent")
	case p.CreatedAt.IsZero() || g.cfg.Clock().Sub(p.CreatedAt) < keyLifetime:
		intent, code, err = g.create(ctx, p, amount)
	default:
		intent, err = g.search(ctx, p)
	}
	if err != nil || code != "" {
		return nil, code, err
	}
	if intent.Amount != amount || !strings.EqualFold(string(intent.Currency), p.Currency) || intent.Metadata[metadataKey] != p.Key("authorize") ||
		intent.Metadata[metadataMethod] != p.Method {
		return nil, "", fault.New(fault.Conflict, "the PaymentIntent %s was created for another payment than that of %s", intent.ID, p)
	}
	return intent, "", nil
}

func (g *Gateway) retrieve(ctx context.Context, id string) (*sdk.PaymentIntent, error) {
	return patiently(ctx, func(ctx context.Context) (*sdk.PaymentIntent, error) {
		return g.client.V1PaymentIntents.Retrieve(ctx, id, &sdk.PaymentIntentRetrieveParams{Expand: expandCharge})
	})
}

// create creates the PaymentIntent, or finds the one that was created with the same key.
func (g *Gateway) create(ctx context.Context, p payment.Payment, amount int64) (intent *sdk.PaymentIntent, code string, err error) {
	key := p.Key("authorize")
	intent, replayed, err := write(ctx, key+"/create", func(ctx context.Context, params sdk.Params) (*sdk.PaymentIntent, error) {
		return g.client.V1PaymentIntents.Create(ctx, &sdk.PaymentIntentCreateParams{
			Params: params, Amount: &amount, Currency: sdk.String(strings.ToLower(p.Currency)), CaptureMethod: sdk.String("manual"),
			// Redirects need a page to return to, which a saga does not have. Cards can still require an action.
			AutomaticPaymentMethods: &sdk.PaymentIntentCreateAutomaticPaymentMethodsParams{
				Enabled: sdk.Bool(true), AllowRedirects: sdk.String("never"),
			},
			Metadata: map[string]string{metadataReference: p.OrderID, metadataFlow: p.Flow, metadataMethod: p.Method, metadataKey: key},
		})
	})
	switch e := errorOf(err); {
	case err == nil && replayed:
		// What is repeated is the state after the creation.
		intent, err = g.retrieve(ctx, intent.ID)
		return intent, "", failure(err, "retrieve the PaymentIntent")
	case e != nil && e.HTTPStatusCode == http.StatusBadRequest && (e.Param == "amount" || e.Param == "currency"):
		return nil, codeOf(e), nil
	}
	return intent, "", failure(err, "create the PaymentIntent")
}

// search finds the PaymentIntent of a payment whose idempotency key Stripe has forgotten. If there are several, it returns the one that moved money, or
// else the one that was refused or cancelled.
func (g *Gateway) search(ctx context.Context, p payment.Payment) (*sdk.PaymentIntent, error) {
	var found *sdk.PaymentIntent
	query := &sdk.PaymentIntentSearchParams{SearchParams: sdk.SearchParams{Query: "metadata['" + metadataKey + "']:'" + p.Key("authorize") + "'"}}
	for indexed, err := range g.client.V1PaymentIntents.Search(ctx, query).All(ctx) {
		if err != nil {
			return nil, failure(err, "search for the PaymentIntent")
		}
		// The index of the search can be older than the PaymentIntent.
		intent, err := g.retrieve(ctx, indexed.ID)
		if err != nil {
			return nil, failure(err, "retrieve the PaymentIntent")
		}
		if found == nil || progress(intent) > progress(found) {
			found = intent
		}
	}
	if found == nil {
		return nil, fault.New(fault.Unavailable,
			"Stripe finds no payment of %s and has forgotten its idempotency key: the payment may exist, look for %s in the dashboard", p, p.Key("authorize"))
	}
	return found, nil
}

// progress orders the states of several PaymentIntents of one payment.
func progress(intent *sdk.PaymentIntent) int {
	switch intent.Status {
	case sdk.PaymentIntentStatusSucceeded:
		return 5
	case sdk.PaymentIntentStatusRequiresCapture:
		return 4
	case sdk.PaymentIntentStatusRequiresAction, sdk.PaymentIntentStatusProcessing:
		return 3
	case sdk.PaymentIntentStatusCanceled:
		return 2
	}
	return 1
}

// confirm asks for the authorization. It returns the PaymentIntent as it is afterwards, whatever the answer was.
func (g *Gateway) confirm(ctx context.Context, p payment.Payment, intent *sdk.PaymentIntent) (*sdk.PaymentIntent, error) {
	next, replayed, err := write(ctx, p.Key("authorize")+"/confirm", func(ctx context.Context, params sdk.Params) (*sdk.PaymentIntent, error) {
		return g.client.V1PaymentIntents.Confirm(ctx, intent.ID, &sdk.PaymentIntentConfirmParams{Params: params, PaymentMethod: &p.Method})
	})
	e := errorOf(err)
	switch {
	case err == nil && !replayed:
		return next, nil
	case err == nil, unexpected(e), e != nil && e.Type == sdk.ErrorTypeCard:
		next, err = g.retrieve(ctx, intent.ID)
		if err != nil {
			return nil, failure(err, "retrieve the PaymentIntent")
		}
		if e != nil && e.Type == sdk.ErrorTypeCard && next.Status == sdk.PaymentIntentStatusRequiresPaymentMethod && refusalOf(next) == "" {
			// Another update has cleared the error.
			return g.mark(ctx, p, next, metadataRefused, codeOf(e))
		}
		return next, nil
	case e != nil && e.HTTPStatusCode == http.StatusBadRequest && strings.HasPrefix(e.Param, "payment_method"):
		// Stripe does not know the method, or cannot use it here. The PaymentIntent does not remember that.
		return g.mark(ctx, p, intent, metadataRefused, codeOf(e))
	}
	return nil, failure(err, "confirm the PaymentIntent")
}

// capture takes the money.
func (g *Gateway) capture(
	ctx context.Context, key string, p payment.Payment, intent *sdk.PaymentIntent,
) (result payment.Result, next *sdk.PaymentIntent, err error) {
	_, _, err = write(ctx, key+"/capture", func(ctx context.Context, params sdk.Params) (*sdk.PaymentIntent, error) {
		return g.client.V1PaymentIntents.Capture(ctx, intent.ID, &sdk.PaymentIntentCaptureParams{Params: params})
	})
	e := errorOf(err)
	switch {
	case err == nil:
		return resultOf(payment.Captured, intent), nil, nil
	case unexpected(e):
		next, err = g.retrieve(ctx, intent.ID)
		return result, next, failure(err, "retrieve the PaymentIntent")
	case e != nil && (e.Type == sdk.ErrorTypeCard || e.Code == sdk.ErrorCodeChargeExpiredForCapture || e.Code == sdk.ErrorCodeCaptureChargeAuthorizationExpired):
		next, err = g.mark(ctx, p, intent, metadataCaptureRefused, codeOf(e))
		return result, next, err
	}
	return result, nil, failure(err, "capture the PaymentIntent")
}

// cancel cancels the PaymentIntent and returns it as it is afterwards.
func (g *Gateway) cancel(ctx context.Context, key string, intent *sdk.PaymentIntent) (*sdk.PaymentIntent, error) {
	next, replayed, err := write(ctx, key+"/cancel", func(ctx context.Context, params sdk.Params) (*sdk.PaymentIntent, error) {
		return g.client.V1PaymentIntents.Cancel(ctx, intent.ID, &sdk.PaymentIntentCancelParams{Params: params, CancellationReason: sdk.String("abandoned")})
	})
	if unexpected(errorOf(err)) || err == nil && replayed {
		next, err = g.retrieve(ctx, intent.ID)
	}
	return next, failure(err, "cancel the PaymentIntent")
}

// refuse makes a refusal permanent: the payer can no longer try another method with the client's secret.
func (g *Gateway) refuse(ctx context.Context, p payment.Payment, intent *sdk.PaymentIntent, code string) (payment.Result, error) {
	marked, err := g.mark(ctx, p, intent, metadataRefused, code)
	if err == nil && marked.Status != sdk.PaymentIntentStatusCanceled {
		marked, err = g.cancel(ctx, p.Key("authorize"), marked)
	}
	switch {
	case err != nil:
		return payment.Result{}, err
	case marked.Status != sdk.PaymentIntentStatusCanceled:
		return payment.Result{}, fault.New(fault.Unavailable, "the refused PaymentIntent %s cannot be cancelled, it is %s", marked.ID, marked.Status)
	}
	return refused(marked, refusalOf(marked)), nil
}

// markPending notes that the payer has to act, so that a later refusal is known to be asynchronous.
func (g *Gateway) markPending(ctx context.Context, p payment.Payment, intent *sdk.PaymentIntent) error {
	_, err := g.mark(ctx, p, intent, metadataPending, "true")
	return err
}

// mark writes a value to the metadata, once: the first value stays.
func (g *Gateway) mark(ctx context.Context, p payment.Payment, intent *sdk.PaymentIntent, name, value string) (*sdk.PaymentIntent, error) {
	if intent.Metadata[name] != "" {
		return intent, nil
	}
	marked, replayed, err := write(ctx, p.Key("authorize")+"/"+name, func(ctx context.Context, params sdk.Params) (*sdk.PaymentIntent, error) {
		return g.client.V1PaymentIntents.Update(ctx, intent.ID, &sdk.PaymentIntentUpdateParams{Params: params, Metadata: map[string]string{name: value}})
	})
	if replayed || errorOf(err) != nil && errorOf(err).Type == sdk.ErrorTypeIdempotency {
		// Another process was faster.
		marked, err = g.retrieve(ctx, intent.ID)
	}
	return marked, failure(err, "update the PaymentIntent")
}

// refusalOf is the code with which the payment was refused, or empty.
func refusalOf(intent *sdk.PaymentIntent) string {
	switch {
	case intent.Metadata[metadataRefused] != "":
		return intent.Metadata[metadataRefused]
	case intent.Status == sdk.PaymentIntentStatusRequiresPaymentMethod && intent.LastPaymentError != nil:
		return codeOf(intent.LastPaymentError)
	}
	return ""
}

// expired reports that Stripe cancelled an authorization that was not captured in time.
func expired(intent *sdk.PaymentIntent) bool {
	return intent.CancellationReason == sdk.PaymentIntentCancellationReasonAutomatic || intent.CancellationReason == sdk.PaymentIntentCancellationReasonExpired
}
