package api

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Sagas starts, cancels and finds order sagas. internal/sagaclient has it.
type Sagas interface {
	// Place starts the saga of an order. Replayed is true when the order was there already. Errors: Conflict
	// when it was there with other content, Unavailable.
	Place(ctx context.Context, p sagaclient.Placement) (replayed bool, err error)
	// Cancel requests the cancellation of an order and waits for the answer. Errors: NotFound, Unavailable.
	Cancel(ctx context.Context, orderID string, request saga.Cancellation) (saga.CancelAnswer, error)
	// Resolve passes on an operator's decision and waits for the answer. It returns the decision with its ID and the number
	// of the attention that it is about. Errors: NotFound, Unavailable.
	Resolve(ctx context.Context, orderID string, d saga.Resolution, key string) (saga.Resolution, saga.ResolveAnswer, error)
	// Find returns an order that the log does not have yet. Errors: NotFound, Unavailable.
	Find(ctx context.Context, orderID string) (sagaclient.Found, error)
	// SettleShortage has a saga ask the orders that hold more of a SKU than is on hand. Errors: Unavailable.
	SettleShortage(ctx context.Context, sku string) error
}

// Log reads streams and follows them. The Follower of internal/eventlog has it.
type Log interface {
	// Read returns the records of stream with versions above after, at most limit of them; 0 is no limit.
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
	// Head returns the newest record of stream; ok is false when the stream is empty.
	Head(ctx context.Context, stream string) (record event.Record, ok bool, err error)
	// Follow yields the records of stream with versions above after, those that stand there and those that
	// come, until the context ends or a read fails: both yield an error at the end.
	Follow(ctx context.Context, stream string, after int64) iter.Seq2[event.Record, error]
	// Watch begins to watch what this process appends to stream, for a caller that is about to start what appends to it.
	Watch(stream string) *eventlog.Watch
}

// Orders lists orders. The read model has it.
type Orders interface {
	// List returns a page of the orders that match, newest first, and where to continue: empty after the last
	// page. Errors: Invalid for a cursor that is none, Unavailable.
	List(ctx context.Context, filter readmodel.Filter) (orders []readmodel.Order, next string, err error)
	// Sagas returns a page of the sagas of flows that a team has added; an entry's ID is the name of its stream. Errors: as of List.
	Sagas(ctx context.Context, filter readmodel.Filter) (sagas []readmodel.Order, next string, err error)
	// Counts counts orders and sagas by status, those of one flow or of all; each count ends at readmodel.MaxCount. Errors: Unavailable.
	Counts(ctx context.Context, flow string) (map[saga.Status]int64, error)
	// NeedsAttention returns a page of the orders, and of other sagas, that need attention. Errors: as of List.
	NeedsAttention(ctx context.Context, cursor string, limit int) (orders []readmodel.Order, next string, err error)
}

// Stock is the stock ledger. internal/inventory has it.
type Stock interface {
	Balance(ctx context.Context, sku string) (inventory.Balance, error)
	List(ctx context.Context, after string, limit int) (balances []inventory.Balance, next string, err error)
	Receive(ctx context.Context, sku string, quantity int64, id string) (inventory.Balance, error)
	Adjust(ctx context.Context, sku string, quantity int64, id string, why inventory.Remark) (inventory.Balance, error)
	Count(ctx context.Context, sku string, counted int64, id string, why inventory.Remark) (inventory.Balance, error)
}

// Flow is a flow, with its sagas.
type Flow struct {
	saga.Definer
	Sagas sagaclient.Sagas
}

// Check is the result of checking one dependency; /readyz shows it.
type Check struct {
	// Name is the dependency, such as mongodb.
	Name string `json:"name"`
	// Status is ok or failing, and Detail the safe message of Err. ReadinessOf fills them in.
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Connection describes a supervised connection, without credentials: all of it is shown. Optional.
	Connection any `json:"connection,omitempty"`
	// Err is nil when it answers. It is logged; clients see no more than its safe message.
	Err error `json:"-"`
	// Optional dependencies are shown, and do not count: the service does what it is there for without them.
	Optional bool `json:"-"`
}

// Defaults of Config.
const (
	DefaultMaxBody           = 1 << 20
	DefaultHeartbeat         = 15 * time.Second
	DefaultMaxStreams        = 1024
	DefaultMaxRequests       = 8192
	DefaultMaxCallerStreams  = 128
	DefaultMaxCallerWaits    = 512
	DefaultRecheck           = 5 * time.Second
	DefaultDependencyTimeout = 10 * time.Second
)

// Config is what a Server needs. Sagas, Log, Orders, Stock and Ready are mandatory.
type Config struct {
	Sagas  Sagas
	Log    Log
	Orders Orders
	Stock  Stock
	// Flows are the flows whose sagas are shown and started under /v1/sagas, orders among them.
	Flows []Flow
	// DeadLetters is mandatory, too.
	DeadLetters DeadLetters
	// Ready looks at every dependency, for /readyz. Its context is bounded.
	Ready func(ctx context.Context) []Check

	// StripeWebhook handles a webhook of Stripe: the body as it was received, and its signature. Nil if there are none. Errors: Unauthenticated for
	// a wrong signature, Malformed, Unavailable.
	StripeWebhook func(ctx context.Context, body []byte, signature string) error
	// ClientSecret returns what the payer's device needs to act on a pending payment; empty if nothing. Nil if the gateway has no such payments.
	ClientSecret func(ctx context.Context, p payment.Payment) (string, error)

	// TemporalUIURL is where people find the Temporal Web UI. Resources have no link to it when it is empty.
	TemporalUIURL string
	// TemporalNamespace is part of that link. Default: default.
	TemporalNamespace string

	// Hosts are the names, besides localhost and IP addresses, under which the service may be addressed, without ports:
	// a browser would let any web page in that has its own name lead here. *.example.com allows every name below
	// example.com, * every name.
	Hosts []string
	// CORSOrigins are the origins, such as https://shop.example.com, whose web pages may use the API. None by default.
	CORSOrigins []string

	// Checkpoints are optional.
	Checkpoints Checkpoints
	// LastReconcile returns the last check of the schedule that has ended; without it there is none. Errors: NotFound when there is none, Unavailable.
	LastReconcile func(ctx context.Context) (ReconcileReport, error)
	// Console makes the handler of /console out of the API, which it asks as its callers. Without it there is no console.
	Console func(rest http.Handler) (http.Handler, error)

	// Auth authenticates callers. Without it every caller may do everything, and all are one.
	Auth auth.Authenticator
	// RateLimit is for each caller. Default: none.
	RateLimit RateLimit
	// Tracer makes the spans of requests. None by default.
	Tracer oteltrace.Tracer
	// Registry gets the metrics, and is served as /metrics. Default: one of its own.
	Registry *prometheus.Registry
	// HideMetrics is for a process that serves /metrics elsewhere.
	HideMetrics bool
	// Logger gets one line a request, and every error that clients do not see. Default: nothing is logged.
	Logger *slog.Logger
	// Clock returns the current time. Default: time.Now.
	Clock func() time.Time
	// NewID makes ids of orders, cancellations, stock changes and correlations. Default: random UUIDs.
	NewID func() string

	// MaxBody is the most bytes that a request's body may have. Default: 1 MiB.
	MaxBody int64
	// Heartbeat is the time between the comments that keep idle event streams open. Default: 15 s.
	Heartbeat time.Duration
	// MaxStreams is the most event streams that are open at once. Default: 1024.
	MaxStreams int
	// MaxRequests is the most requests that are in progress at once, waiting ones and streams included; probes and documents do not count.
	// Default: 8192.
	MaxRequests int
	// MaxCallerStreams and MaxCallerWaits are the most event streams, and requests that wait for the end of a saga, of one authenticated caller.
	// Default: 128 and 512.
	MaxCallerStreams, MaxCallerWaits int
	// Recheck is how often the credentials of a stream, or of a request that waits, are looked at again. Default: 5 s.
	Recheck time.Duration
	// DependencyTimeout bounds what is asked of the saga client, the log, the read model and the ledger, the
	// wait for a worker's answer to a cancellation included. Default: 10 s.
	DependencyTimeout time.Duration
}

// Validate fills in the defaults. The error is Invalid and names every field that is wrong.
func (c *Config) Validate() error {
	c.setDefaults()
	var wrong []fault.Field
	for _, need := range []struct {
		pointer string
		missing bool
	}{
		{"/sagas", c.Sagas == nil}, {"/log", c.Log == nil}, {"/orders", c.Orders == nil},
		{"/stock", c.Stock == nil}, {"/deadLetters", c.DeadLetters == nil}, {"/ready", c.Ready == nil},
	} {
		if need.missing {
			wrong = append(wrong, fault.Fieldf(need.pointer, "is missing"))
		}
	}
	wrong = append(wrong, c.wrongFlows()...)
	if c.TemporalUIURL != "" {
		if u, err := url.Parse(c.TemporalUIURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			wrong = append(wrong, fault.Fieldf("/temporalUIURL", "must be an http or https URL"))
		}
	}
	if min(c.MaxBody, int64(c.MaxStreams), int64(c.MaxRequests), int64(c.MaxCallerStreams), int64(c.MaxCallerWaits), int64(c.RateLimit.Requests)) < 0 ||
		min(c.Heartbeat, c.DependencyTimeout, c.Recheck, c.RateLimit.Per) < 0 || c.RateLimit.Requests > 0 && c.RateLimit.Per < time.Second {
		wrong = append(wrong, fault.Fieldf("", "limits must not be negative"))
	}
	return fault.NewInvalid("api configuration", wrong)
}

func (c *Config) wrongFlows() (wrong []fault.Field) {
	names := make(map[string]bool)
	for i, f := range c.Flows {
		at := "/flows/" + strconv.Itoa(i)
		if f.Definer == nil || f.Sagas == nil {
			wrong = append(wrong, fault.Fieldf(at, "is missing"))
			continue
		}
		if name := f.Info().Name; names[name] {
			wrong = append(wrong, fault.Fieldf(at, "is another flow %s", name))
		} else {
			names[name] = true
		}
	}
	return wrong
}

func (c *Config) setDefaults() {
	c.TemporalNamespace = cmp.Or(c.TemporalNamespace, "default")
	c.Registry = cmp.Or(c.Registry, prometheus.NewRegistry())
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.NewID == nil {
		c.NewID = uuid.NewString
	}
	c.MaxBody = cmp.Or(c.MaxBody, DefaultMaxBody)
	c.Heartbeat = cmp.Or(c.Heartbeat, DefaultHeartbeat)
	c.MaxStreams = cmp.Or(c.MaxStreams, DefaultMaxStreams)
	c.MaxRequests = cmp.Or(c.MaxRequests, DefaultMaxRequests)
	c.MaxCallerStreams = cmp.Or(c.MaxCallerStreams, DefaultMaxCallerStreams)
	c.MaxCallerWaits = cmp.Or(c.MaxCallerWaits, DefaultMaxCallerWaits)
	c.Recheck = cmp.Or(c.Recheck, DefaultRecheck)
	c.DependencyTimeout = cmp.Or(c.DependencyTimeout, DefaultDependencyTimeout)
}
