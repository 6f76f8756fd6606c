package stripe

import (
	"cmp"
	"context"
	"net/http"

	sdk "github.com/stripe/stripe-go/v85"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// maxKeyBytes bounds the keys of refunds: Stripe's idempotency keys have at most 255 characters, and this adapter appends to them.
const maxKeyBytes = 200

// Refund implements payment.Gateway. A refund that Stripe has not completed yet is Unavailable: the call is repeated until it is.
func (g *Gateway) Refund(ctx context.Context, key string, p payment.Payment, amount int64) (payment.Result, error) {
	if amount < 1 || key == "" || len(key) > maxKeyBytes {
		return payment.Result{}, fault.NewInvalid("refund", []fault.Field{
			fault.Fieldf("", "requires a key of 1 to %d bytes and an amount above zero", maxKeyBytes),
		})
	}
	units, err := toStripe(amount, p.Currency)
	if err != nil {
		return payment.Result{}, err
	}
	return g.settle(ctx, p, "refund", func(intent *sdk.PaymentIntent) (payment.Result, *sdk.PaymentIntent, error) {
		if intent.Status != sdk.PaymentIntentStatusSucceeded {
			return payment.Result{}, nil, fault.New(fault.Invalid, "the payment of %s was not captured", p)
		}
		made, err := g.refundOf(ctx, intent.ID, key)
		if err == nil && made == nil {
			made, err = g.refund(ctx, key, intent.ID, units)
		}
		if err != nil {
			return payment.Result{}, nil, err
		}
		switch {
		case made.Amount != units:
			return payment.Result{}, nil, fault.New(fault.Conflict, "the key was used for a refund of another amount")
		case made.Status == sdk.RefundStatusSucceeded:
			return resultOf(payment.Refunded, intent), nil, nil
		case made.Status == sdk.RefundStatusFailed, made.Status == sdk.RefundStatusCanceled:
			code := cmp.Or(string(made.FailureReason), string(made.Status))
			return payment.Result{State: payment.RefundRefused, PaymentID: intent.ID, Code: code}, nil, nil
		}
		return payment.Result{}, nil, fault.New(fault.Unavailable, "refund %s is %s at Stripe", made.ID, made.Status)
	})
}

// refundOf returns the refund of a PaymentIntent that was made with the key, or nil.
func (g *Gateway) refundOf(ctx context.Context, intentID, key string) (*sdk.Refund, error) {
	for made, err := range g.client.V1Refunds.List(ctx, &sdk.RefundListParams{PaymentIntent: &intentID}).All(ctx) {
		switch {
		case err != nil:
			return nil, failure(err, "list the refunds")
		case made.Metadata[metadataKey] == key:
			return made, nil
		}
	}
	return nil, nil //nolint:nilnil // There is none, and that is no error.
}

func (g *Gateway) refund(ctx context.Context, key, intentID string, units int64) (*sdk.Refund, error) {
	made, replayed, err := write(ctx, key+"/refund", func(ctx context.Context, params sdk.Params) (*sdk.Refund, error) {
		return g.client.V1Refunds.Create(ctx, &sdk.RefundCreateParams{
			Params: params, PaymentIntent: &intentID, Amount: &units, Metadata: map[string]string{metadataKey: key},
		})
	})
	switch e := errorOf(err); {
	case err == nil && replayed:
		made, err = g.client.V1Refunds.Retrieve(ctx, made.ID, nil)
		return made, failure(err, "retrieve the refund")
	case e != nil && e.HTTPStatusCode == http.StatusBadRequest && e.Type == sdk.ErrorTypeInvalidRequest:
		return nil, fault.Wrap(failure(err, "create the refund"), fault.Invalid, "Stripe refuses the refund")
	}
	return made, failure(err, "create the refund")
}
