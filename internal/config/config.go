package config

import (
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/keyset"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Payment gateways, for PAYMENT_GATEWAY.
const (
	GatewaySimulator = "simulator"
	GatewayStripe    = "stripe"
	GatewayHTTP      = "http"
)

var gateways = oneOf(GatewaySimulator, GatewayStripe, GatewayHTTP)

// The forms of Stripe's secrets. Publishable keys (pk_) cannot move money.
var (
	stripeKey    = startsWith("sk_", "rk_")
	stripeSecret = startsWith("whsec_")
)

// Ways to reserve stock, for INVENTORY.
const (
	InventoryBuiltin = "builtin"
	InventoryHTTP    = "http"
)

// Ways to notify customers, for NOTIFICATIONS.
const (
	NotificationsLog  = "log"
	NotificationsSMTP = "smtp"
	NotificationsOff  = "off"
)

// LogFormat is the format of log lines.
type LogFormat string

// The log formats: LogAuto is text on a terminal and otherwise JSON, LogJSON is one JSON object per line, LogText is key=value.
const (
	LogAuto LogFormat = "auto"
	LogJSON LogFormat = "json"
	LogText LogFormat = "text"
)

// For returns the effective format, LogJSON or LogText, for logs that are written to f.
func (l LogFormat) For(f *os.File) LogFormat {
	switch {
	case l != LogAuto:
		return l
	case IsTerminal(f):
		return LogText
	}
	return LogJSON
}

// IsTerminal reports whether f is a terminal or another character device.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// queues are the values of WORKER_QUEUES: the task queues of package workflows. A test checks that they are equal.
var queues = []string{"orders", "payments", "notifications"}

// Config is the validated configuration. Load returns it; the table in settings.go documents its fields.
type Config struct {
	MongoDBURI      Secret
	MongoDBTLS      TLSFiles
	MongoDBDatabase string

	AMQPURL          Secret
	AMQPTLS          TLSFiles
	EventExchange    string
	BrokerPrefix     string
	ConsumerPrefetch int

	HTTPAddr string
	// HTTPHosts are the names in HTTP_HOSTS; see Hosts. HTTPCORSOrigins are origins as browsers send them.
	HTTPHosts       []string
	HTTPCORSOrigins []string
	// HTTPTLSCertFile and HTTPTLSKeyFile are both empty when the API is served without TLS.
	HTTPTLSCertFile string
	HTTPTLSKeyFile  string
	// Auth says how callers of the API are authenticated, the OIDC fields which tokens are accepted.
	Auth              Auth
	OIDCIssuer        string
	OIDCAudience      string
	OIDCScopesClaim   string
	OIDCCustomerClaim string
	OIDCTLS           TLSFiles
	RateLimit         RateLimit
	// MetricsAddr is empty when /metrics is served on HTTPAddr.
	MetricsAddr string
	// MetricsTLSCertFile and MetricsTLSKeyFile are both empty when MetricsAddr is served without TLS.
	MetricsTLSCertFile string
	MetricsTLSKeyFile  string
	// DebugAddr is empty if the profiler is off.
	DebugAddr string

	TemporalAddress     string
	TemporalNamespace   string
	TemporalUIURL       string
	TemporalCompression string
	// PayloadKeys encrypt what Temporal stores.
	PayloadKeys keyset.Set
	// ConsoleKeys encrypt logins of the console.
	ConsoleKeys keyset.Set
	// SealMasterKeys wrap the keys of sealed data.
	SealMasterKeys keyset.Set

	PaymentGateway string
	// StripeAPIKey and StripeWebhookSecret are required for GatewayStripe; StripeAPIBase is empty for Stripe's own address.
	StripeAPIKey, StripeWebhookSecret Secret
	StripeAPIBase                     string
	// PaymentURL and InventoryURL are those of the shop's own services; empty without them.
	PaymentURL, Inventory, InventoryURL string
	// ParticipantSecrets sign requests to them; there may be several.
	ParticipantSecrets []string
	ParticipantTimeout time.Duration
	ParticipantTLS     TLSFiles
	SimulatorOutage    time.Duration
	SimulatorFast      bool

	// Timing has the deadlines of orders.
	Timing        order.Timing
	SignalParkMax time.Duration

	WorkerQueues      []string
	WorkerConcurrency int
	WorkerCache       int
	// RemoteInlineBudget is 0 if calls of external services never run inside workflow tasks.
	RemoteInlineBudget time.Duration
	// ShutdownDelay is 0 if a stopping process drains at once.
	ShutdownDelay time.Duration
	// WorkerDeployment turns worker versioning on; WorkerBuildID is the version of the binary if it is empty.
	WorkerDeployment, WorkerBuildID string
	ShutdownGrace                   time.Duration

	// TracesProtocol is the protocol of the collector of traces.
	TracesProtocol string
	// TracesTLS is read by OpenTelemetry's SDK.
	TracesTLS TLSFiles

	// ReconcileEvery is 0 if there is no schedule.
	ReconcileEvery  time.Duration
	ReconcileRepair bool

	// AuditSigner signs checkpoints; it is not configured without a key. AuditVerifierKeys are public keys.
	AuditSigner       audit.Signer
	AuditVerifierKeys string
	// AuditEvery is 0 if there is no schedule. AuditDir is empty if notes are not written to files.
	AuditEvery time.Duration
	AuditDir   string

	DeadLetterMaxReplays int
	// DeadLetterRetention and DeadLetterOpenRetention are 0 for letters that are stored forever.
	DeadLetterRetention, DeadLetterOpenRetention time.Duration

	Notifications         string
	NotificationTemplates string
	NotificationWindow    time.Duration
	SMTPURL               Secret
	SMTPPassword          Secret
	SMTPTLS               string
	SMTPFiles             TLSFiles
	SMTPTimeout           time.Duration
	MailFrom              string

	LogLevel  slog.Level
	LogFormat LogFormat

	// settings are the effective settings, in the order of the table.
	settings []Setting
	// temporal has the TEMPORAL_* variables for the SDK's envconfig, with files read and defaults set.
	temporal environment
}

// CheckGateway checks the settings against the payment gateway: goods must not be dispatched after the authorization has expired, so
// SHIPMENT_DEADLINE must be shorter than the lifetime of authorizations; zero means that they do not expire. The error is an *Error.
func (c Config) CheckGateway(traits payment.Traits) error {
	if traits.AuthorizationLifetime == 0 || c.Timing.Shipment < traits.AuthorizationLifetime {
		return nil
	}
	return &Error{Problems: []Problem{{
		Name:  "SHIPMENT_DEADLINE",
		Value: FormatDuration(c.Timing.Shipment),
		Expected: "less than " + FormatDuration(traits.AuthorizationLifetime) + ", the lifetime of authorizations of the gateway " +
			traits.Name,
	}}}
}

// Settings returns the effective settings in the order of the table, with secrets masked.
func (c Config) Settings() []Setting { return slices.Clone(c.settings) }

// LogValue keeps secrets out of logs.
func (c Config) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, len(c.settings))
	for _, s := range c.settings {
		attrs = append(attrs, slog.String(s.Name, s.Value))
	}
	return slog.GroupValue(attrs...)
}
