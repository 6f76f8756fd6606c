package config

import (
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Payment gateways, for PAYMENT_GATEWAY.
const (
	GatewaySimulator = "simulator"
)

var gateways = oneOf(GatewaySimulator)

// Ways to notify customers, for NOTIFICATIONS.
const (
	NotificationsLog  = "log"
	NotificationsSMTP = "smtp"
	NotificationsOff  = "off"
)

// LogFormat is how log lines are written.
type LogFormat string

// The log formats: LogAuto is text on a terminal and JSON elsewhere, LogJSON one JSON object a line, LogText key=value, for people.
const (
	LogAuto LogFormat = "auto"
	LogJSON LogFormat = "json"
	LogText LogFormat = "text"
)

// For returns LogJSON or LogText: what the format means for lines that go to f.
func (l LogFormat) For(f *os.File) LogFormat {
	switch {
	case l != LogAuto:
		return l
	case IsTerminal(f):
		return LogText
	}
	return LogJSON
}

// IsTerminal reports whether f is a terminal, or another device.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// queues are the values of WORKER_QUEUES: the task queues of package workflows, as a test checks.
var queues = []string{"orders", "payments", "notifications"}

// Config is what the environment says, checked. Load makes it; the table in settings.go says what each field means.
type Config struct {
	MongoDBURI      Secret
	MongoDBDatabase string

	AMQPURL          Secret
	EventExchange    string
	BrokerPrefix     string
	ConsumerPrefetch int

	HTTPAddr string
	// HTTPHosts is what HTTP_HOSTS lists; see Hosts. HTTPCORSOrigins are origins as browsers send them.
	HTTPHosts       []string
	HTTPCORSOrigins []string
	// DebugAddr is empty when there is no profiler.
	DebugAddr string

	TemporalAddress     string
	TemporalNamespace   string
	TemporalUIURL       string
	TemporalCompression string

	PaymentGateway  string
	SimulatorOutage time.Duration
	SimulatorFast   bool

	// Timing is how long orders wait.
	Timing        order.Timing
	SignalParkMax time.Duration

	WorkerQueues      []string
	WorkerConcurrency int
	WorkerCache       int
	ShutdownGrace     time.Duration

	// TracesProtocol is the protocol of the collector of traces.
	TracesProtocol string

	// ReconcileEvery is 0 when nothing is scheduled.
	ReconcileEvery  time.Duration
	ReconcileRepair bool

	DeadLetterMaxReplays  int
	Notifications         string
	NotificationTemplates string
	NotificationWindow    time.Duration
	SMTPURL               Secret
	SMTPPassword          Secret
	SMTPTLS               string
	SMTPTimeout           time.Duration
	MailFrom              string

	LogLevel  slog.Level
	LogFormat LogFormat

	// settings are the effective settings, in the order of the table.
	settings []Setting
	// temporal is what the SDK's envconfig gets to see: TEMPORAL_* with files read and defaults filled in.
	temporal environment
}

// CheckGateway holds the settings against the gateway that they name: goods must not leave for an authorization
// that has lapsed, so SHIPMENT_DEADLINE must be below the lifetime of the gateway's authorizations. A lifetime
// of zero says that authorizations do not lapse. The error is an *Error.
func (c Config) CheckGateway(traits payment.Traits) error {
	if traits.AuthorizationLifetime == 0 || c.Timing.Shipment < traits.AuthorizationLifetime {
		return nil
	}
	return &Error{Problems: []Problem{{
		Name:  "SHIPMENT_DEADLINE",
		Value: FormatDuration(c.Timing.Shipment),
		Expected: "less than " + FormatDuration(traits.AuthorizationLifetime) + ", which is how long an authorization of the gateway " +
			traits.Name + " stands",
	}}}
}

// Settings returns the effective settings in the order of the table, secrets masked.
func (c Config) Settings() []Setting { return slices.Clone(c.settings) }

// LogValue keeps secrets out of logs.
func (c Config) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, len(c.settings))
	for _, s := range c.settings {
		attrs = append(attrs, slog.String(s.Name, s.Value))
	}
	return slog.GroupValue(attrs...)
}
