package client

import (
	"context"
	"iter"
	"time"
)

// ReturnRequest is which goods of an order come back: quantities of lines, without Amount.
type ReturnRequest struct {
	// ID is the shop's own ID. If it is empty, the service derives one from the idempotency key.
	ID     string       `json:"id,omitempty"`
	Lines  []RefundLine `json:"lines"`
	Reason string       `json:"reason,omitempty"`
	// Refund refunds what is received, Restock puts it into stock again; nil means true.
	Refund  *bool `json:"refund,omitempty"`
	Restock *bool `json:"restock,omitempty"`
	// By is who requests it. It is refused if callers are authenticated.
	By string `json:"by,omitempty"`
}

// Return is a return of goods of an order.
type Return struct {
	ID      string `json:"id"`
	OrderID string `json:"orderId"`
	// Status is announced, partly_received, received, completed, expired, refused or needs_attention.
	Status  string       `json:"status"`
	Lines   []ReturnLine `json:"lines"`
	Refund  bool         `json:"refund"`
	Restock bool         `json:"restock"`
	Reason  string       `json:"reason"`
	By      string       `json:"by"`
	// RefundID and Currency are empty, and RefundedAmount is 0, until what was received is refunded.
	RefundID       string         `json:"refundId"`
	RefundedAmount int64          `json:"refundedAmount"`
	Currency       string         `json:"currency"`
	Restocked      bool           `json:"restocked"`
	Refusal        *RefundRefusal `json:"refusal"`
	Version        int64          `json:"version"`
	CreatedAt      time.Time      `json:"createdAt"`
	UpdatedAt      time.Time      `json:"updatedAt"`
	CorrelationID  string         `json:"correlationId"`
	Links          Links          `json:"links"`
}

// ReturnLine is what is returned of a line.
type ReturnLine struct {
	Line     int    `json:"line"`
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	// Received is how many of them arrived.
	Received int64 `json:"received"`
}

// Receipt is what arrived at the warehouse: without lines, everything that is missing.
type Receipt struct {
	// ID is the warehouse's own ID. If it is empty, the service derives one from the idempotency key.
	ID    string       `json:"id,omitempty"`
	Lines []RefundLine `json:"lines,omitempty"`
}

// AnnounceReturn announces that goods come back, and returns the return as announced.
func (c *Client) AnnounceReturn(ctx context.Context, orderID string, r ReturnRequest, options ...Option) (Return, error) {
	return post[Return](ctx, c, pathTo("orders", orderID, "returns"), r, options...)
}

// AnnounceReturnAndWait announces a return and waits until it has ended, as PlaceOrderAndWait does.
func (c *Client) AnnounceReturnAndWait(ctx context.Context, orderID string, r ReturnRequest, options ...Option) (Return, error) {
	return wait[Return](ctx, c, pathTo("orders", orderID, "returns"), r, options)
}

// ReceiveReturn reports that goods of a return arrived at the warehouse.
func (c *Client) ReceiveReturn(ctx context.Context, orderID, returnID string, r Receipt, options ...Option) (Return, error) {
	return post[Return](ctx, c, pathTo("orders", orderID, "returns", returnID, "receipts"), r, options...)
}

// Return returns a return of an order.
func (c *Client) Return(ctx context.Context, orderID, returnID string) (Return, error) {
	return get[Return](ctx, c, pathTo("orders", orderID, "returns", returnID), nil)
}

// Returns lists the returns of an order, oldest first.
func (c *Client) Returns(ctx context.Context, orderID string) iter.Seq2[Return, error] {
	return list[Return](ctx, c, pathTo("orders", orderID, "returns"), nil)
}
