package stripe

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	sdk "github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// signatureHeader is the header with the signature of a webhook.
const signatureHeader = "Stripe-Signature"

// Subject says what a notification is about.
type Subject int

// The subjects.
const (
	// AboutPayment is for a payment that is authorized or has failed.
	AboutPayment Subject = iota
	// AboutDispute is for a dispute of a captured payment that is open, AboutClosedDispute for one that has ended.
	AboutDispute
	AboutClosedDispute
	// AboutFailedRefund is for a refund that Stripe had accepted and that failed.
	AboutFailedRefund
)

// Notification is what Stripe reports about a payment of this service. It is a hint: the saga looks the payment up.
type Notification struct {
	// ID is that of Stripe's event; Stripe repeats an event with the same ID.
	ID string
	// About says which of the fields below are set.
	About Subject
	// OrderID and Flow are those of the payment; see Gateway.Identify.
	OrderID, Flow string
	PaymentID     string
	// Succeeded reports that the payment is authorized, or that a closed dispute was won; otherwise it has failed with Code.
	Succeeded bool
	// Code is why a payment or a refund failed, or why the payer disputes.
	Code string
	// Object is the ID of the dispute or of the refund, Amount its amount in minor units of ISO 4217, 0 if unknown. RefundKey is the key of the refund.
	Object    string
	Amount    int64
	RefundKey string
	Time      time.Time
}

// ReadWebhook verifies and reads a webhook. About is false for events that do not decide a payment of this service: they are acknowledged and
// ignored, as are those that repeat what a call of the gateway has returned. Stripe sends events in any order, and again. Whose payment a dispute or a
// refund is about, only Gateway.Identify knows.
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
	case sdk.EventTypeChargeDisputeCreated, sdk.EventTypeChargeDisputeUpdated, sdk.EventTypeChargeDisputeClosed:
		return readDispute(received)
	case sdk.EventTypeChargeRefundUpdated, sdk.EventTypeRefundUpdated, sdk.EventTypeRefundFailed:
		return readRefund(received)
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

// object reads the object of an event.
func object[T any](received sdk.Event) (o T, err error) {
	if received.Data == nil || json.Unmarshal(received.Data.Raw, &o) != nil {
		return o, fault.New(fault.Malformed, "the event %s has an object of another form", received.Type)
	}
	return o, nil
}

func readDispute(received sdk.Event) (n Notification, about bool, err error) {
	d, err := object[sdk.Dispute](received)
	if err != nil || d.PaymentIntent == nil || d.PaymentIntent.ID == "" || d.ID == "" {
		return n, false, err
	}
	n = Notification{
		ID: received.ID, About: AboutDispute, PaymentID: d.PaymentIntent.ID, Object: d.ID, Amount: fromStripe(d.Amount, string(d.Currency)),
		Code: string(d.Reason), Time: time.Unix(received.Created, 0).UTC(),
	}
	if received.Type == sdk.EventTypeChargeDisputeClosed {
		// An inquiry that ends without a chargeback, and a dispute that was prevented, cost nothing.
		n.About, n.Succeeded = AboutClosedDispute, d.Status != sdk.DisputeStatusLost
	}
	return n, true, nil
}

// readRefund reads an event about a refund of this service that has failed.
func readRefund(received sdk.Event) (n Notification, about bool, err error) {
	r, err := object[sdk.Refund](received)
	failed := r.Status == sdk.RefundStatusFailed || r.Status == sdk.RefundStatusCanceled
	if err != nil || !failed || r.PaymentIntent == nil || r.PaymentIntent.ID == "" || r.ID == "" || r.Metadata[metadataKey] == "" {
		return n, false, err
	}
	return Notification{
		ID: received.ID, About: AboutFailedRefund, PaymentID: r.PaymentIntent.ID, Object: r.ID, Amount: fromStripe(r.Amount, string(r.Currency)),
		Code: cmp.Or(string(r.FailureReason), string(r.Status)), RefundKey: r.Metadata[metadataKey], Time: time.Unix(received.Created, 0).UTC(),
	}, true, nil
}

// Identify adds the order and the flow of the payment, which disputes and refunds do not have. Known is false for a payment of another application.
// Errors: those of Lookup.
func (g *Gateway) Identify(ctx context.Context, n Notification) (of Notification, known bool, err error) {
	if n.OrderID != "" {
		return n, true, nil
	}
	intent, err := g.retrieve(ctx, n.PaymentID)
	if e := errorOf(err); e != nil && e.HTTPStatusCode == http.StatusNotFound {
		return n, false, nil
	}
	if err != nil {
		return n, false, failure(err, "retrieve the PaymentIntent of %s", n.Object)
	}
	n.OrderID, n.Flow = intent.Metadata[metadataReference], intent.Metadata[metadataFlow]
	return n, n.OrderID != "" && intent.Metadata[metadataKey] != "", nil
}
