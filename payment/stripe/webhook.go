package stripe

import (
	"encoding/json"
	"time"

	sdk "github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// signatureHeader is the header with the signature of a webhook.
const signatureHeader = "Stripe-Signature"

// Notification is what Stripe reports about a payment of this service. It is a hint: the saga looks the payment up.
type Notification struct {
	// ID is that of Stripe's event; Stripe repeats an event with the same ID.
	ID string
	// OrderID and Flow are those of the payment.
	OrderID, Flow string
	PaymentID     string
	// Succeeded reports that the payment is authorized; otherwise it has failed with Code.
	Succeeded bool
	Code      string
	Time      time.Time
}

// ReadWebhook verifies and reads a webhook. About is false for events that do not decide a payment of this service: they are acknowledged and
// ignored, as are those that repeat what a call of the gateway has returned. Stripe sends events in any order, and again.
//
// Errors: Unauthenticated if body, which must be as it was received, was not signed with the secret within the last five minutes; Malformed.
func ReadWebhook(body []byte, signature, secret string) (n Notification, about bool, err error) {
	received, err := webhook.ConstructEventWithOptions(body, signature, secret, webhook.ConstructEventOptions{IgnoreAPIVersionMismatch: true})
	if err != nil {
		if validated := webhook.ValidatePayload(body, signature, secret); validated != nil {
			return n, false, fault.New(fault.Unauthenticated, "the signature in %s is invalid or older than five minutes", signatureHeader)
		}
		return n, false, fault.New(fault.Malformed, "the body is not an event of Stripe")
	}
	var intent sdk.PaymentIntent
	switch received.Type {
	case sdk.EventTypePaymentIntentAmountCapturableUpdated, sdk.EventTypePaymentIntentPaymentFailed, sdk.EventTypePaymentIntentCanceled:
		if received.Data == nil || json.Unmarshal(received.Data.Raw, &intent) != nil {
			return n, false, fault.New(fault.Malformed, "the event has no PaymentIntent")
		}
	default:
		return n, false, nil
	}
	n = Notification{
		ID: received.ID, OrderID: intent.Metadata[metadataReference], Flow: intent.Metadata[metadataFlow], PaymentID: intent.ID,
		Succeeded: received.Type == sdk.EventTypePaymentIntentAmountCapturableUpdated, Time: time.Unix(received.Created, 0).UTC(),
	}
	switch {
	case n.OrderID == "" || intent.Metadata[metadataKey] == "":
		return n, false, nil
	case received.Type == sdk.EventTypePaymentIntentPaymentFailed && intent.LastPaymentError != nil:
		n.Code = codeOf(intent.LastPaymentError)
	case received.Type == sdk.EventTypePaymentIntentCanceled:
		// The others were cancelled by this service.
		n.Code = codeExpired
		return n, expired(&intent), nil
	}
	return n, true, nil
}
