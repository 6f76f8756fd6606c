package client

import (
	"context"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Statuses in which an order has ended.
const (
	StatusCompleted = "completed"
	StatusRejected  = "rejected"
	StatusCancelled = "cancelled"
	StatusFailed    = "failed"
	// StatusNeedsAttention means that an operator must act. The order has not ended.
	StatusNeedsAttention = "needs_attention"
)

// OrderRequest is an order to be placed. Amounts are in minor units of the currency: 1999 is 19.99 EUR.
type OrderRequest struct {
	// ID is the shop's own ID. If it is empty, the service derives one from the idempotency key.
	ID         string        `json:"id,omitempty"`
	CustomerID string        `json:"customerId"`
	Currency   string        `json:"currency"`
	Lines      []LineRequest `json:"lines"`
	// Payment is nil if the total is 0.
	Payment *Payment `json:"payment,omitempty"`
	// Fulfillment is immediate, the default, or shipment.
	Fulfillment string            `json:"fulfillment,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// LineRequest is a line of an order to be placed.
type LineRequest struct {
	SKU        string `json:"sku"`
	Quantity   int64  `json:"quantity"`
	UnitAmount int64  `json:"unitAmount"`
	// Stocked is false for lines that take no stock, such as fees and discounts; nil means true.
	Stocked *bool `json:"stocked,omitempty"`
}

// Payment is how an order is paid.
type Payment struct {
	// Method is a token of the payment gateway.
	Method string `json:"method"`
}

// Order is an order.
type Order struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	// Reason is why the order was not completed.
	Reason        string         `json:"reason"`
	Version       int64          `json:"version"`
	CustomerID    string         `json:"customerId"`
	Currency      string         `json:"currency"`
	Lines         []Line         `json:"lines"`
	Payment       *Payment       `json:"payment,omitempty"`
	PaymentAction *PaymentAction `json:"paymentAction,omitempty"`
	Fulfillment   string         `json:"fulfillment"`
	TotalAmount   int64          `json:"totalAmount"`
	// RefundedAmount is set only by Client.Order and by the calls that change an order.
	RefundedAmount int64             `json:"refundedAmount,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	CreatedAt      time.Time         `json:"createdAt"`
	UpdatedAt      time.Time         `json:"updatedAt"`
	CorrelationID  string            `json:"correlationId"`
	Parcels        []Parcel          `json:"parcels,omitempty"`
	Links          Links             `json:"links"`
}

// Ended reports whether nothing more happens to the order by itself.
func (o Order) Ended() bool { return ended(o.Status) }

func ended(status string) bool {
	return slices.Contains([]string{StatusCompleted, StatusRejected, StatusCancelled, StatusFailed}, status)
}

// Line is a line of an order.
type Line struct {
	// Line is its position, from 1.
	Line       int    `json:"line"`
	SKU        string `json:"sku"`
	Quantity   int64  `json:"quantity"`
	UnitAmount int64  `json:"unitAmount"`
	Stocked    bool   `json:"stocked"`
	// ReturnedQuantity is how many were received by returns.
	ReturnedQuantity int64 `json:"returnedQuantity,omitempty"`
}

// PaymentAction is what the payer has to do while the payment waits for it.
type PaymentAction struct {
	// ClientSecret is for the library of the gateway on the payer's device. Do not store or log it.
	ClientSecret string `json:"clientSecret"`
}

// Parcel is a parcel of an order.
type Parcel struct {
	ParcelID       string       `json:"parcelId"`
	TrackingNumber string       `json:"trackingNumber"`
	Carrier        string       `json:"carrier"`
	Lines          []ParcelLine `json:"lines"`
	Status         string       `json:"status"`
	DispatchedAt   *time.Time   `json:"dispatchedAt"`
	DeliveredAt    *time.Time   `json:"deliveredAt"`
}

// ParcelLine is what a parcel has of a line of its order.
type ParcelLine struct {
	Line     int   `json:"line"`
	Quantity int64 `json:"quantity"`
}

// Links are paths and addresses of a resource.
type Links struct {
	Self    string `json:"self"`
	Events  string `json:"events"`
	Refunds string `json:"refunds,omitempty"`
	Returns string `json:"returns,omitempty"`
	// Saga is the page in the Temporal Web UI.
	Saga string `json:"saga,omitempty"`
	// Resolutions is where interventions are sent.
	Resolutions string `json:"resolutions,omitempty"`
	// Replay and Discard are those of a dead letter.
	Replay  string `json:"replay,omitempty"`
	Discard string `json:"discard,omitempty"`
}

// PlaceOrder places an order and returns it as accepted.
func (c *Client) PlaceOrder(ctx context.Context, o OrderRequest, options ...Option) (Order, error) {
	return post[Order](ctx, c, pathTo("orders"), o, options...)
}

// PlaceOrderAndWait places an order and waits until it has ended, completed or not; see Order.Status. If the context ends before, it returns the
// order as last known, with the error. The saga continues then.
func (c *Client) PlaceOrderAndWait(ctx context.Context, o OrderRequest, options ...Option) (Order, error) {
	return wait[Order](ctx, c, pathTo("orders"), o, options)
}

// Order returns an order.
func (c *Client) Order(ctx context.Context, id string) (Order, error) {
	return get[Order](ctx, c, pathTo("orders", id), nil)
}

// OrderAt returns an order as it was at a time.
func (c *Client) OrderAt(ctx context.Context, id string, at time.Time) (Order, error) {
	return get[Order](ctx, c, pathTo("orders", id), url.Values{"at": {at.UTC().Format(time.RFC3339Nano)}})
}

// OrderVersion returns an order as it was after the event of a version.
func (c *Client) OrderVersion(ctx context.Context, id string, version int64) (Order, error) {
	return get[Order](ctx, c, pathTo("orders", id), url.Values{"version": {strconv.FormatInt(version, 10)}})
}

// Filter selects orders and sagas. The zero value selects all.
type Filter struct {
	Statuses []string
	// Reason is why they did not complete.
	Reason     string
	CustomerID string
	// From and To bound the time of creation: From is included, To is not.
	From, To time.Time
	// MinAmount and MaxAmount bound the total, in minor units; 0 means no bound.
	MinAmount, MaxAmount int64
}

func (f Filter) query() url.Values {
	q := make(url.Values)
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(f.Statuses) > 0 {
		q["status"] = f.Statuses
	}
	set("reason", f.Reason)
	set("customerId", f.CustomerID)
	setTime(q, "from", f.From)
	setTime(q, "to", f.To)
	if f.MinAmount > 0 {
		set("minAmount", strconv.FormatInt(f.MinAmount, 10))
	}
	if f.MaxAmount > 0 {
		set("maxAmount", strconv.FormatInt(f.MaxAmount, 10))
	}
	return q
}

func setTime(q url.Values, name string, at time.Time) {
	if !at.IsZero() {
		q.Set(name, at.UTC().Format(time.RFC3339Nano))
	}
}

// Orders lists the orders that a filter selects, newest first. The list has a short delay.
func (c *Client) Orders(ctx context.Context, f Filter) iter.Seq2[Order, error] {
	return list[Order](ctx, c, pathTo("orders"), f.query())
}

// CancelOrder requests the cancellation of an order. It is refused with CodeCancellationRefused after the pivot of the saga.
func (c *Client) CancelOrder(ctx context.Context, id, reason string, options ...Option) (Order, error) {
	return post[Order](ctx, c, pathTo("orders", id, "cancellation"), cancellation{reason}, options...)
}

type cancellation struct {
	Reason string `json:"reason,omitempty"`
}

// RefundRequest is what to refund: an amount, or quantities of lines.
type RefundRequest struct {
	Amount int64        `json:"amount,omitempty"`
	Lines  []RefundLine `json:"lines,omitempty"`
	Reason string       `json:"reason,omitempty"`
	// Restock puts the quantities of stocked lines into stock again.
	Restock bool `json:"restock,omitempty"`
	// By is who requests it. It is refused if callers are authenticated.
	By string `json:"by,omitempty"`
}

// RefundLine is what is refunded of a line, which Line or SKU names; of a Refund both are set.
type RefundLine struct {
	Line     int    `json:"line,omitempty"`
	SKU      string `json:"sku,omitempty"`
	Quantity int64  `json:"quantity"`
	// Amount is set in a Refund only.
	Amount int64 `json:"amount,omitempty"`
}

// Refund is a refund of an order.
type Refund struct {
	ID      string `json:"id"`
	OrderID string `json:"orderId"`
	// Status is accepted, refunded, refused or needs_attention.
	Status string `json:"status"`
	// Amount is 0 and Currency empty until the amount of lines is computed.
	Amount        int64          `json:"amount"`
	Currency      string         `json:"currency"`
	Lines         []RefundLine   `json:"lines"`
	Restock       bool           `json:"restock"`
	Reason        string         `json:"reason"`
	By            string         `json:"by"`
	Refusal       *RefundRefusal `json:"refusal"`
	Version       int64          `json:"version"`
	CreatedAt     time.Time      `json:"createdAt"`
	UpdatedAt     time.Time      `json:"updatedAt"`
	CorrelationID string         `json:"correlationId"`
	Links         Links          `json:"links"`
}

// RefundRefusal is why a refund was refused.
type RefundRefusal struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

// RefundOrder requests a refund and returns it as accepted.
func (c *Client) RefundOrder(ctx context.Context, id string, r RefundRequest, options ...Option) (Refund, error) {
	return post[Refund](ctx, c, pathTo("orders", id, "refunds"), r, options...)
}

// RefundOrderAndWait requests a refund and waits until it has ended, refunded or refused, as PlaceOrderAndWait does.
func (c *Client) RefundOrderAndWait(ctx context.Context, id string, r RefundRequest, options ...Option) (Refund, error) {
	return wait[Refund](ctx, c, pathTo("orders", id, "refunds"), r, options)
}

// Refund returns a refund of an order.
func (c *Client) Refund(ctx context.Context, orderID, refundID string) (Refund, error) {
	return get[Refund](ctx, c, pathTo("orders", orderID, "refunds", refundID), nil)
}

// Refunds lists the refunds of an order, oldest first.
func (c *Client) Refunds(ctx context.Context, orderID string) iter.Seq2[Refund, error] {
	return list[Refund](ctx, c, pathTo("orders", orderID, "refunds"), nil)
}
