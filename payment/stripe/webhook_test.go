package stripe_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment/stripe"
	"github.com/ordersaga/ordersaga/payment/stripe/stripefake"
)

const secret = "whsec_test"

// signed is a webhook about a PaymentIntent.
func signed(t testing.TB, eventType string, object any, secret string, at time.Time) (body []byte, signature string) {
	raw, err := json.Marshal(object)
	require.NoError(t, err)
	body = fmt.Appendf(nil, `{"id":"evt_1","object":"event","type":%q,"created":%d,"api_version":"2020-08-27","data":{"object":%s}}`, eventType, at.Unix(), raw)
	return body, webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: at}).Header
}

// TestWebhooks: which events of Stripe are hints for sagas.
func TestWebhooks(t *testing.T) {
	a, p := newAccount(t), newPayment(stripefake.Action)
	_, err := a.Authorize(t.Context(), "", p)
	require.NoError(t, err)
	pending := a.Intents()[0]
	require.True(t, a.Act(pending.ID, false, "payment_intent_authentication_failure"))
	failed := a.Intents()[0]
	foreign := pending
	foreign.Metadata = map[string]string{"order": "of another application"}
	aborted, expired := pending, pending
	reasons := []string{"abandoned", "automatic"}
	aborted.Reason, expired.Reason = &reasons[0], &reasons[1]
	now := time.Now().Truncate(time.Second)
	for name, c := range map[string]struct {
		eventType string
		object    any
		about     bool
		succeeded bool
		code      string
	}{
		"authorized":            {"payment_intent.amount_capturable_updated", pending, true, true, ""},
		"failed":                {"payment_intent.payment_failed", failed, true, false, "payment_intent_authentication_failure"},
		"expired":               {"payment_intent.canceled", expired, true, false, "authorization_expired"},
		"cancelled by the saga": {"payment_intent.canceled", aborted, false, false, ""},
		"of another application": {
			"payment_intent.amount_capturable_updated", foreign, false, false, "",
		},
		"of another kind": {"customer.created", map[string]string{"id": "cus_1"}, false, false, ""},
		"captured":        {"payment_intent.succeeded", pending, false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			body, signature := signed(t, c.eventType, c.object, secret, now)
			n, about, err := stripe.ReadWebhook(body, signature, secret)
			require.NoError(t, err)
			require.Equal(t, c.about, about)
			if about {
				require.Equal(t, stripe.Notification{
					ID: "evt_1", OrderID: p.OrderID, PaymentID: pending.ID, Succeeded: c.succeeded, Code: c.code, Time: now.UTC(),
				}, n)
			}
		})
	}
}

// TestWebhooksAboutDisputes: a dispute does not have the metadata of its payment, which is read.
func TestWebhooksAboutDisputes(t *testing.T) {
	a, p := newAccount(t), newPayment(stripefake.Approve)
	_, err := a.Authorize(t.Context(), "", p)
	require.NoError(t, err)
	_, err = a.Capture(t.Context(), p.Key("capture"), p)
	require.NoError(t, err)
	_, err = a.Refund(t.Context(), p.Key("refund-1"), p, 300)
	require.NoError(t, err)
	intent, made := a.Intents()[0], a.Refunds()[0]
	foreign, byHand := intent, a.FailRefund(made.ID)
	foreign.ID = "pi_of_another_account"
	byHand.Metadata = nil
	now := time.Now().Truncate(time.Second)
	for name, c := range map[string]struct {
		eventType string
		object    any
		known     bool
		want      stripe.Notification
	}{
		"created": {"charge.dispute.created", stripefake.NewDispute("dp_1", intent, "needs_response"), true, stripe.Notification{About: stripe.AboutDispute, Object: "dp_1", Amount: 1999, Code: "product_not_received"}},
		"updated": {"charge.dispute.updated", stripefake.NewDispute("dp_1", intent, "under_review"), true, stripe.Notification{About: stripe.AboutDispute, Object: "dp_1", Amount: 1999, Code: "product_not_received"}},
		"lost":    {"charge.dispute.closed", stripefake.NewDispute("dp_1", intent, "lost"), true, stripe.Notification{About: stripe.AboutClosedDispute, Object: "dp_1", Amount: 1999, Code: "product_not_received"}},
		"won": {"charge.dispute.closed", stripefake.NewDispute("dp_1", intent, "won"), true, stripe.Notification{
			About: stripe.AboutClosedDispute, Object: "dp_1", Amount: 1999, Code: "product_not_received", Succeeded: true,
		}},
		"an inquiry": {"charge.dispute.closed", stripefake.NewDispute("dp_1", intent, "warning_closed"), true, stripe.Notification{
			About: stripe.AboutClosedDispute, Object: "dp_1", Amount: 1999, Code: "product_not_received", Succeeded: true,
		}},
		"of another application":            {"charge.dispute.created", stripefake.NewDispute("dp_1", foreign, "needs_response"), false, stripe.Notification{}},
		"of a charge without PaymentIntent": {"charge.dispute.created", map[string]any{"id": "dp_1", "payment_intent": nil}, false, stripe.Notification{}},
		"a refund that failed": {"refund.failed", a.Refunds()[0], true, stripe.Notification{
			About: stripe.AboutFailedRefund, Object: made.ID, Amount: 300, Code: "lost_or_stolen_card", RefundKey: p.Key("refund-1"),
		}},
		"a refund that succeeded": {"refund.updated", made, false, stripe.Notification{}},
		"a refund made by hand":   {"charge.refund.updated", byHand, false, stripe.Notification{}},
	} {
		t.Run(name, func(t *testing.T) {
			body, signature := signed(t, c.eventType, c.object, secret, now)
			n, known, err := stripe.ReadWebhook(body, signature, secret)
			require.NoError(t, err)
			if known {
				n, known, err = a.Identify(t.Context(), n)
				require.NoError(t, err)
			}
			require.Equal(t, c.known, known)
			if known {
				c.want.ID, c.want.OrderID, c.want.PaymentID, c.want.Time = "evt_1", p.OrderID, intent.ID, now.UTC()
				require.Equal(t, c.want, n)
			}
		})
	}
}

// TestWebhooksThatAreRefused: any host that reaches the endpoint could send them.
func TestWebhooksThatAreRefused(t *testing.T) {
	now := time.Now()
	body, signature := signed(t, "payment_intent.canceled", map[string]string{"id": "pi_1"}, secret, now)
	_, old := signed(t, "payment_intent.canceled", map[string]string{"id": "pi_1"}, secret, now.Add(-10*time.Minute))
	_, other := signed(t, "payment_intent.canceled", map[string]string{"id": "pi_1"}, "whsec_other", now)
	for name, c := range map[string]struct{ body, signature string }{
		"unsigned":          {string(body), ""},
		"garbage":           {string(body), "t=1,v1=zz"},
		"of another secret": {string(body), other},
		"old":               {string(body), old},
		"of another body":   {string(body) + " ", signature},
	} {
		_, _, err := stripe.ReadWebhook([]byte(c.body), c.signature, secret)
		require.ErrorIs(t, err, fault.Unauthenticated, name)
	}
	for _, text := range []string{"", "[]", "{", `{"type":"payment_intent.canceled","data":{"object":[]}}`, `{"type":"charge.dispute.closed","data":{"object":[]}}`, `{"type":"refund.failed"}`, `{"type":"payment_intent.canceled"}`} {
		signature := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(text), Secret: secret, Timestamp: now}).Header
		_, _, err := stripe.ReadWebhook([]byte(text), signature, secret)
		require.ErrorIs(t, err, fault.Malformed, text)
	}
}

// FuzzWebhook: signed bodies come from Stripe, and must not crash the process even if Stripe changes.
func FuzzWebhook(f *testing.F) {
	f.Add(`{"id":"evt_1","type":"payment_intent.canceled","created":1,"data":{"object":{"id":"pi_1","metadata":{"ordersaga_reference":"1","ordersaga_key":"k"}}}}`)
	f.Add(`{"id":"evt_1","type":"payment_intent.payment_failed","data":{"object":{"last_payment_error":null}}}`)
	f.Add(`{"id":"evt_1","type":"charge.dispute.closed","data":{"object":{"id":"dp_1","payment_intent":"pi_1","status":"lost"}}}`)
	f.Add(`{"id":"evt_1","type":"refund.failed","data":{"object":{"id":"re_1","payment_intent":"pi_1","status":"failed","metadata":{"ordersaga_key":"k"}}}}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, body string) {
		signature := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: secret, Timestamp: time.Now()}).Header
		n, about, err := stripe.ReadWebhook([]byte(body), signature, secret)
		if about && (err != nil || n.OrderID == "" && n.PaymentID == "") {
			t.Errorf("%q: %v %v", body, n, err)
		}
	})
}
