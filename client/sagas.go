package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"time"
)

// SagaItem is a saga in a list.
type SagaItem struct {
	Flow           string    `json:"flow"`
	ID             string    `json:"id"`
	Status         string    `json:"status"`
	Reason         string    `json:"reason"`
	NeedsAttention bool      `json:"needsAttention"`
	Version        int64     `json:"version"`
	CreatedAt      time.Time `json:"createdAt"`
	UpdatedAt      time.Time `json:"updatedAt"`
	CorrelationID  string    `json:"correlationId"`
	// CustomerID, Currency and TotalAmount are those of an order.
	CustomerID  string `json:"customerId,omitempty"`
	Currency    string `json:"currency,omitempty"`
	TotalAmount int64  `json:"totalAmount,omitempty"`
	// Links is nil if the service does not have the flow.
	Links *Links `json:"links"`
}

// Saga is a saga with its steps.
type Saga struct {
	Flow           string    `json:"flow"`
	ID             string    `json:"id"`
	Status         string    `json:"status"`
	Reason         string    `json:"reason"`
	NeedsAttention bool      `json:"needsAttention"`
	Version        int64     `json:"version"`
	CreatedAt      time.Time `json:"createdAt"`
	UpdatedAt      time.Time `json:"updatedAt"`
	CorrelationID  string    `json:"correlationId"`
	Links          Links     `json:"links"`
	// Attention is the open attention.
	Attention *Attention `json:"attention"`
	Steps     []Step     `json:"steps"`
}

// Ended reports whether nothing more happens to the saga by itself.
func (s Saga) Ended() bool { return ended(s.Status) }

// Step is a step of a saga.
type Step struct {
	Name string `json:"name"`
	// Kind is compensable, await, pivot or forward.
	Kind string `json:"kind"`
	// State is pending, running, done, refused, unknown, compensating, compensated, skipped or substituted.
	State     string     `json:"state"`
	Attempts  int        `json:"attempts"`
	StartedAt *time.Time `json:"startedAt"`
	EndedAt   *time.Time `json:"endedAt"`
	Error     string     `json:"error"`
}

// Attention is why a saga needs attention.
type Attention struct {
	// Number counts from 1 in each saga.
	Number int    `json:"attention"`
	Step   string `json:"step"`
	// Undo reports whether the compensation of the step is stuck.
	Undo     bool       `json:"undo"`
	Error    string     `json:"error"`
	Attempts int        `json:"attempts"`
	NextTry  *time.Time `json:"nextTry"`
	Since    time.Time  `json:"since"`
	// Actions are the allowed actions.
	Actions []string `json:"actions"`
}

// AttentionItem is a saga that needs attention.
type AttentionItem struct {
	ID string `json:"id"`
	// Flow is empty for orders.
	Flow   string `json:"flow,omitempty"`
	Status string `json:"status"`
	Attention
	// ParcelID is the parcel that it is about, if any.
	ParcelID string `json:"parcelId,omitempty"`
	// Links is nil if the service does not have the flow.
	Links *Links `json:"links"`
}

// SagaFilter selects sagas. The zero value selects all.
type SagaFilter struct {
	Filter
	Flow string
	// NeedsAttention selects sagas that need attention, or those that do not; nil selects both.
	NeedsAttention *bool
}

// Sagas lists the sagas that a filter selects: orders, newest first, then those of other flows. The list has a short delay.
func (c *Client) Sagas(ctx context.Context, f SagaFilter) iter.Seq2[SagaItem, error] {
	q := f.query()
	if f.Flow != "" {
		q.Set("flow", f.Flow)
	}
	if f.NeedsAttention != nil {
		q.Set("needsAttention", strconv.FormatBool(*f.NeedsAttention))
	}
	return list[SagaItem](ctx, c, pathTo("sagas"), q)
}

// Saga returns a saga. Orders are sagas of the flow order.
func (c *Client) Saga(ctx context.Context, flow, id string) (Saga, error) {
	return get[Saga](ctx, c, pathTo("sagas", flow, id), nil)
}

// SagaRequest is a saga to be started.
type SagaRequest struct {
	// ID is the caller's own ID. If it is empty, the service derives one from the idempotency key.
	ID string `json:"id,omitempty"`
	// Input is the input of the flow, as a JSON object.
	Input any `json:"input"`
}

// StartSaga starts a saga and returns it as accepted.
func (c *Client) StartSaga(ctx context.Context, flow string, r SagaRequest, options ...Option) (Saga, error) {
	return post[Saga](ctx, c, pathTo("sagas", flow), r, options...)
}

// StartSagaAndWait starts a saga and waits until it has ended, as PlaceOrderAndWait does.
func (c *Client) StartSagaAndWait(ctx context.Context, flow string, r SagaRequest, options ...Option) (Saga, error) {
	return wait[Saga](ctx, c, pathTo("sagas", flow), r, options)
}

// CancelSaga requests the cancellation of a saga. It is refused with CodeCancellationRefused after its pivot.
func (c *Client) CancelSaga(ctx context.Context, flow, id, reason string, options ...Option) (Saga, error) {
	return post[Saga](ctx, c, pathTo("sagas", flow, id, "cancellation"), cancellation{reason}, options...)
}

// Attention lists the orders and other sagas that need attention. The list has a short delay.
func (c *Client) Attention(ctx context.Context) iter.Seq2[AttentionItem, error] {
	return list[AttentionItem](ctx, c, pathTo("attention"), nil)
}

// Resolution is an intervention of an operator.
type Resolution struct {
	// Action is retry, skip, substitute, compensate, refund or resend.
	Action string `json:"action"`
	// Attention is the number of the attention; 0 is the open one.
	Attention int `json:"attention,omitempty"`
	// By is the person who decides. It is refused if callers are authenticated.
	By string `json:"by,omitempty"`
	// Note is the reason, required for skip.
	Note string `json:"note,omitempty"`
	// Reference is what was done instead, required for substitute.
	Reference string `json:"reference,omitempty"`
}

// ResolveOrder records an intervention for an order and returns the order.
func (c *Client) ResolveOrder(ctx context.Context, id string, r Resolution, options ...Option) (Order, error) {
	answer, err := post[struct{ Order Order }](ctx, c, pathTo("orders", id, "resolutions"), r, options...)
	return answer.Order, err
}

// ResolveSaga records an intervention for a saga and returns the saga.
func (c *Client) ResolveSaga(ctx context.Context, flow, id string, r Resolution, options ...Option) (Saga, error) {
	answer, err := post[struct{ Saga Saga }](ctx, c, pathTo("sagas", flow, id, "resolutions"), r, options...)
	return answer.Saga, err
}

// Stock is the stock of a SKU.
type Stock struct {
	SKU string `json:"sku"`
	// OnHand includes what is reserved.
	OnHand    int64 `json:"onHand"`
	Reserved  int64 `json:"reserved"`
	Available int64 `json:"available"`
	// Shortfall is reserved minus on hand, after a count that found too few.
	Shortfall int64 `json:"shortfall,omitempty"`
	Version   int64 `json:"version"`
}

// StockList lists the stock of every SKU.
func (c *Client) StockList(ctx context.Context) iter.Seq2[Stock, error] {
	return list[Stock](ctx, c, pathTo("stock"), nil)
}

// Stock returns the stock of a SKU.
func (c *Client) Stock(ctx context.Context, sku string) (Stock, error) {
	return get[Stock](ctx, c, pathTo("stock", sku), nil)
}

// ReceiveStock adds received stock.
func (c *Client) ReceiveStock(ctx context.Context, sku string, quantity int64, options ...Option) (Stock, error) {
	return post[Stock](ctx, c, pathTo("stock", sku, "receipts"), map[string]any{"quantity": quantity}, options...)
}

// AdjustStock corrects the stock by a difference. The note may be empty.
func (c *Client) AdjustStock(ctx context.Context, sku string, quantity int64, note string, options ...Option) (Stock, error) {
	body := map[string]any{"quantity": quantity}
	if note != "" {
		body["note"] = note
	}
	return post[Stock](ctx, c, pathTo("stock", sku, "adjustments"), body, options...)
}

// CountStock sets the stock to the counted quantity, reserved goods included.
func (c *Client) CountStock(ctx context.Context, sku string, counted int64, options ...Option) (Stock, error) {
	return post[Stock](ctx, c, pathTo("stock", sku, "counts"), map[string]any{"counted": counted}, options...)
}

// DeadLetter is a message that could not be handled. Lists have neither its properties, headers and payload nor its history.
type DeadLetter struct {
	ID string `json:"id"`
	// Status is open, retrying, retried, replaying, replayed or discarded.
	Status           string     `json:"status"`
	Reason           string     `json:"reason"`
	Detail           string     `json:"detail"`
	Type             string     `json:"type"`
	EventID          string     `json:"eventId"`
	Subject          string     `json:"subject"`
	OriginExchange   string     `json:"originExchange"`
	OriginRoutingKey string     `json:"originRoutingKey"`
	Attempts         int        `json:"attempts"`
	Parked           int        `json:"parked"`
	Queue            string     `json:"queue"`
	ReplayOf         string     `json:"replayOf"`
	Replays          int        `json:"replays"`
	PayloadHash      string     `json:"payloadHash"`
	Size             int        `json:"size"`
	FirstSeen        *time.Time `json:"firstSeen"`
	FailedAt         time.Time  `json:"failedAt"`
	KeptAt           time.Time  `json:"keptAt"`
	KeptUntil        *time.Time `json:"keptUntil,omitempty"`
	CorrelationID    string     `json:"correlationId"`
	Links            Links      `json:"links"`

	Properties map[string]any `json:"properties,omitempty"`
	Headers    map[string]any `json:"headers,omitempty"`
	// Payload is text or base64, as PayloadEncoding says; nil if it is too large.
	Payload         *string `json:"payload,omitempty"`
	PayloadEncoding string  `json:"payloadEncoding,omitempty"`
	History         []Event `json:"history,omitempty"`
}

// DeadLetterFilter selects dead letters. The zero value selects all.
type DeadLetterFilter struct {
	Reasons, Types, Statuses []string
	// FailedFrom and FailedTo bound the time of the failure: FailedFrom is included, FailedTo is not.
	FailedFrom, FailedTo time.Time
}

// DeadLetters lists dead letters, newest failure first.
func (c *Client) DeadLetters(ctx context.Context, f DeadLetterFilter) iter.Seq2[DeadLetter, error] {
	q := make(url.Values)
	for name, values := range map[string][]string{"reason": f.Reasons, "type": f.Types, "status": f.Statuses} {
		if len(values) > 0 {
			q[name] = values
		}
	}
	setTime(q, "failedFrom", f.FailedFrom)
	setTime(q, "failedTo", f.FailedTo)
	return list[DeadLetter](ctx, c, pathTo("dead-letters"), q)
}

// DeadLetter returns a dead letter.
func (c *Client) DeadLetter(ctx context.Context, id string) (DeadLetter, error) {
	return get[DeadLetter](ctx, c, pathTo("dead-letters", id), nil)
}

// ReplayRequest is how to replay a dead letter.
type ReplayRequest struct {
	// By is the person who decides. It is refused if callers are authenticated.
	By   string `json:"by,omitempty"`
	Note string `json:"note,omitempty"`
	// Force replays a letter although that is refused.
	Force bool `json:"force,omitempty"`
	// Body is the payload to send instead of the original one: a JSON object, or a string that is sent unchanged; nil keeps it.
	Body any `json:"body,omitempty"`
}

// DryRun is what a replay would come to.
type DryRun struct {
	ID      string `json:"id"`
	DryRun  bool   `json:"dryRun"`
	Outcome string `json:"outcome"`
	// Would is the outcome for people, such as: would start order shop-1001.
	Would   string `json:"would"`
	OrderID string `json:"orderId"`
	// Refusal is why the letter would not be replayed.
	Refusal string `json:"refusal"`
}

// ReplayDeadLetter sends a dead letter to its queue again.
func (c *Client) ReplayDeadLetter(ctx context.Context, id string, r ReplayRequest, options ...Option) (DeadLetter, error) {
	return post[DeadLetter](ctx, c, pathTo("dead-letters", id, "replay"), r, options...)
}

// DryRunDeadLetter returns what a replay would come to, and changes nothing.
func (c *Client) DryRunDeadLetter(ctx context.Context, id string, r ReplayRequest) (DryRun, error) {
	p := posted(pathTo("dead-letters", id, "replay"), r, nil)
	p.query = url.Values{"dryRun": {"true"}}
	run, _, err := send[DryRun](ctx, c, p)
	return run, err
}

// DiscardDeadLetter discards a dead letter, which stays readable. The note is required.
func (c *Client) DiscardDeadLetter(ctx context.Context, id, by, note string, options ...Option) (DeadLetter, error) {
	return post[DeadLetter](ctx, c, pathTo("dead-letters", id, "discard"), ReplayRequest{By: by, Note: note}, options...)
}
