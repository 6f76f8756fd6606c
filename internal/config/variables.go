package config

import (
	"slices"
	"strings"
	"time"
)

// Variable is one row of the table: what a setting is called and means.
type Variable struct {
	// Name is the environment variable. A name that ends with * stands for every variable that begins so.
	Name string
	// Default is used when the variable is not set; empty when there is none.
	Default string
	// Secret values are masked wherever they are shown, and may come from the file that <Name>_FILE names.
	Secret bool
	// Unit is what the value is, such as duration or URI.
	Unit string
	// Meaning is one sentence for operators.
	Meaning string
}

// row is a variable and how its value gets into a Config. set answers with what was expected instead, or "".
type row struct {
	Variable
	set func(c *Config, value string) (expected string)
}

// Units of the table.
const (
	unitDuration = "duration"
	unitURI      = "URI"
	unitAddress  = "host:port"
	unitName     = "name"
	unitPath     = "path"
	unitPEM      = "PEM"
	unitBool     = "true or false"
)

// table is the one place where the settings are defined. Load, Print, the documentation and the compose file's
// test go by it.
var table = []row{
	{Variable{"HTTP_ADDR", "127.0.0.1:8080", false, unitAddress, "Where the API listens."},
		address(func(c *Config) *string { return &c.HTTPAddr })},
	{Variable{"HTTP_HOSTS", "", false, "list of host names", "Under which names the API may be addressed, besides localhost, IP addresses and the name in HTTP_ADDR; *.example.com stands for every name below example.com, * for every name. Other names are refused: a web page could have its own name lead here. `/livez`, `/readyz` and `/metrics` answer under every name."},
		hostNames(func(c *Config) *[]string { return &c.HTTPHosts })},
	{Variable{"HTTP_CORS_ORIGINS", "", false, "list of origins", "The origins whose web pages may use the API from a browser, such as https://shop.example.com; none by default."},
		origins(func(c *Config) *[]string { return &c.HTTPCORSOrigins })},
	{Variable{"DEBUG_ADDR", "", false, unitAddress, "Where Go's profiler listens, on loopback only; nowhere by default."},
		loopback(func(c *Config) *string { return &c.DebugAddr })},

	{Variable{"MONGODB_URI", "mongodb://127.0.0.1:27017", true, unitURI, "The MongoDB deployment that holds the event log."},
		uri(func(c *Config) *Secret { return &c.MongoDBURI }, "mongodb", "mongodb+srv")},
	{Variable{"MONGODB_DATABASE", "ordersaga", false, unitName, "The database of the event log and the read model."},
		database(func(c *Config) *string { return &c.MongoDBDatabase })},

	{Variable{"AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/", true, unitURI, "The RabbitMQ broker, with its virtual host."},
		uri(func(c *Config) *Secret { return &c.AMQPURL }, "amqp", "amqps")},
	{Variable{"EVENT_EXCHANGE", "domain_events", false, unitName, "The topic exchange that events are published to and read from."},
		brokerName(func(c *Config) *string { return &c.EventExchange })},
	{Variable{"BROKER_PREFIX", "ordersaga", false, unitName, "What the names of our own queues and exchanges begin with."},
		brokerName(func(c *Config) *string { return &c.BrokerPrefix })},
	{Variable{"CONSUMER_PREFETCH", "64", false, "messages", "How many messages the consumer may hold unacknowledged."},
		count(func(c *Config) *int { return &c.ConsumerPrefetch }, 1, 65535)},

	{Variable{"TEMPORAL_ADDRESS", "localhost:7233", false, unitAddress, "The Temporal server's frontend."},
		target(func(c *Config) *string { return &c.TemporalAddress })},
	{Variable{"TEMPORAL_NAMESPACE", "default", false, unitName, "The Temporal namespace; it must exist."},
		text(func(c *Config) *string { return &c.TemporalNamespace })},
	{Variable{"TEMPORAL_API_KEY", "", true, "", "The API key for Temporal; it turns TLS on."}, accept},
	{Variable{"TEMPORAL_TLS", "", false, unitBool, "Whether to use TLS; on as soon as another TLS setting or an API key is there."}, boolean},
	{Variable{"TEMPORAL_TLS_SERVER_NAME", "", false, unitName, "The name to expect in the server's certificate."}, accept},
	{Variable{"TEMPORAL_TLS_SERVER_CA_CERT_PATH", "", false, unitPath, "The certificates of the authority that signed the server's."}, accept},
	{Variable{"TEMPORAL_TLS_SERVER_CA_CERT_DATA", "", true, unitPEM, "The same, itself instead of its path."}, accept},
	{Variable{"TEMPORAL_TLS_CLIENT_CERT_PATH", "", false, unitPath, "The client's certificate, for mutual TLS."}, accept},
	{Variable{"TEMPORAL_TLS_CLIENT_CERT_DATA", "", true, unitPEM, "The same, itself instead of its path."}, accept},
	{Variable{"TEMPORAL_TLS_CLIENT_KEY_PATH", "", false, unitPath, "The key of the client's certificate."}, accept},
	{Variable{"TEMPORAL_TLS_CLIENT_KEY_DATA", "", true, unitPEM, "The same, itself instead of its path."}, accept},
	{Variable{"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "", false, unitBool, "Whether to believe any certificate; for tests."}, boolean},
	{Variable{"TEMPORAL_CLIENT_AUTHORITY", "", false, unitName, "The :authority of the calls to Temporal."}, accept},
	{Variable{"TEMPORAL_GRPC_META_*", "", true, "", "Headers of the calls to Temporal."}, accept},
	{Variable{"TEMPORAL_COMPRESSION", compressions[0], false, oneOf(compressions), "How calls to Temporal are compressed. gzip costs processor time here and at the server, and pays where the way between them is long or narrow."},
		choice(func(c *Config) *string { return &c.TemporalCompression }, compressions)},
	{Variable{"TEMPORAL_UI_URL", "", false, unitURI, "The Temporal Web UI, for the links that the API returns; without it there are none."},
		webURL(func(c *Config) *string { return &c.TemporalUIURL })},

	{Variable{"PAYMENT_GATEWAY", GatewaySimulator, false, oneOf(gateways), "Who moves the money. It must be named when HTTP_ADDR is not loopback."},
		choice(func(c *Config) *string { return &c.PaymentGateway }, gateways)},
	{Variable{"SIMULATOR_OUTAGE", "10s", false, unitDuration, "How long the simulator is down for a payment with tok_unavailable."},
		duration(func(c *Config) *time.Duration { return &c.SimulatorOutage })},
	{Variable{"SIMULATOR_FAST", "true", false, unitBool, "Whether the simulator says that it is fast enough to be called inside a workflow task, or is called like a provider far away."},
		flag(func(c *Config) *bool { return &c.SimulatorFast })},

	{Variable{"RESERVE_DEADLINE", "2m", false, unitDuration, "How long reserving stock may be unavailable before the order fails, and how long an order waits for stock that other orders hold for now."},
		duration(func(c *Config) *time.Duration { return &c.ReserveDeadline })},
	{Variable{"AUTHORIZE_DEADLINE", "2m", false, unitDuration, "How long authorizing the payment may be unavailable before the order fails."},
		duration(func(c *Config) *time.Duration { return &c.AuthorizeDeadline })},
	{Variable{"PAYMENT_PENDING_DEADLINE", "30m", false, unitDuration, "How long a pending payment waits for its payer."},
		duration(func(c *Config) *time.Duration { return &c.PaymentPendingDeadline })},
	{Variable{"SHIPMENT_DEADLINE", "6d", false, unitDuration, "How long a confirmed order waits for its dispatch; less than the gateway's authorizations live."},
		duration(func(c *Config) *time.Duration { return &c.ShipmentDeadline })},
	{Variable{"DELIVERY_DEADLINE", "30d", false, unitDuration, "How long a dispatched order waits for its delivery before somebody has to look."},
		duration(func(c *Config) *time.Duration { return &c.DeliveryDeadline })},
	{Variable{"ATTENTION_AFTER", "5m", false, unitDuration, "How long a step that must succeed may be stuck before somebody has to look."},
		duration(func(c *Config) *time.Duration { return &c.AttentionAfter })},
	{Variable{"SIGNAL_PARK_MAX", "5m", false, unitDuration, "How long an event for an order that is not known yet is kept before it becomes a dead letter."},
		duration(func(c *Config) *time.Duration { return &c.SignalParkMax })},

	{Variable{"DEAD_LETTER_MAX_REPLAYS", "3", false, "replays", "How often a message that dies again and again is replayed before somebody has to insist."},
		count(func(c *Config) *int { return &c.DeadLetterMaxReplays }, 1, 1000)},

	{Variable{"WORKER_QUEUES", strings.Join(queues, ","), false, "list of " + oneOf(queues), "The task queues that this process works on."},
		list(func(c *Config) *[]string { return &c.WorkerQueues }, queues)},
	{Variable{"WORKER_CONCURRENCY", "96", false, "tasks", "How many workflow tasks, and how many activities of each queue, run at once in this process. What is over waits in Temporal, where it costs nothing; in here it would only slow the database down."},
		count(func(c *Config) *int { return &c.WorkerConcurrency }, 2, 10000)},
	{Variable{"WORKER_CACHE", "2000", false, "sagas", "How many running sagas this process remembers between their tasks. One that it has forgotten is replayed from its history; 0 replays always, for tests."},
		count(func(c *Config) *int { return &c.WorkerCache }, 0, 1000000)},
	{Variable{"SHUTDOWN_GRACE", "30s", false, unitDuration, "How long a stopping process may finish what it has begun."},
		duration(func(c *Config) *time.Duration { return &c.ShutdownGrace })},

	{Variable{"RECONCILE_EVERY", "1h", false, unitDuration, "How often everything that must hold is checked, on a schedule of Temporal's; 0 removes the schedule."},
		durationOrOff(func(c *Config) *time.Duration { return &c.ReconcileEvery })},
	{Variable{"RECONCILE_REPAIR", "true", false, unitBool, "Whether the scheduled check starts recovery runs and rewrites list entries, or only reports."},
		flag(func(c *Config) *bool { return &c.ReconcileRepair })},

	{Variable{"NOTIFICATIONS", NotificationsLog, false, oneOf(notifications), "How customers are notified: log writes a line without personal data instead of sending, smtp sends e-mail, off does nothing."},
		choice(func(c *Config) *string { return &c.Notifications }, notifications)},
	{Variable{"NOTIFICATION_TEMPLATES", "", false, unitPath, "A folder of templates that take the place of the built-in ones of the same names."},
		folder(func(c *Config) *string { return &c.NotificationTemplates })},
	{Variable{"NOTIFICATION_WINDOW", "1d", false, unitDuration, "For how long after an event its message is tried; what is older is not told."},
		duration(func(c *Config) *time.Duration { return &c.NotificationWindow })},
	{Variable{"SMTP_URL", "", true, unitURI, "The mail server, with the user if it wants one: smtp://user@mail.example.com:587, or smtps:// for TLS from the first byte."},
		uri(func(c *Config) *Secret { return &c.SMTPURL }, "smtp", "smtps")},
	{Variable{"SMTP_PASSWORD", "", true, "", "The password of the user in SMTP_URL, unless it stands there."},
		func(c *Config, value string) string { c.SMTPPassword = Secret(value); return "" }},
	{Variable{"SMTP_TLS", "mandatory", false, oneOf(tlsPolicies), "Whether a connection to smtp:// must, may or may not be encrypted with STARTTLS. A password never leaves this machine in the clear."},
		choice(func(c *Config) *string { return &c.SMTPTLS }, tlsPolicies)},
	{Variable{"SMTP_TIMEOUT", "10s", false, unitDuration, "How long sending one message may take; at most 25s."},
		smtpTimeout},
	{Variable{"MAIL_FROM", "", false, "address", "The sender of e-mail, an address with or without a name; mandatory with NOTIFICATIONS=smtp."},
		mailAddress(func(c *Config) *string { return &c.MailFrom })},

	{Variable{"LOG_LEVEL", "info", false, "debug, info, warn or error", "The lowest level that is logged."}, logLevel},
	{Variable{"LOG_FORMAT", string(LogAuto), false, oneOf(logFormats), "How log lines are written; auto is text on a terminal and JSON elsewhere."},
		logFormat},
}

var logFormats = []string{string(LogAuto), string(LogJSON), string(LogText)}

// fileSuffix makes the name of the variable that names the file of a secret.
const fileSuffix = "_FILE"

// Variables returns the table.
func Variables() []Variable {
	variables := make([]Variable, len(table))
	for i, r := range table {
		variables[i] = r.Variable
	}
	return variables
}

// Known reports whether name is a variable of the table, or names the file of one of its secrets.
func Known(name string) bool {
	return slices.ContainsFunc(table, func(r row) bool {
		return r.matches(name) || (r.Secret && name == r.Name+fileSuffix)
	})
}

func (v Variable) matches(name string) bool {
	if prefix, ok := strings.CutSuffix(v.Name, "*"); ok {
		return len(name) > len(prefix) && strings.HasPrefix(name, prefix)
	}
	return name == v.Name
}

// show returns a value of the variable as it may be shown. An address is masked even where no credentials belong.
func (v Variable) show(value string) string {
	if v.Secret || (v.Unit == unitURI && strings.Contains(value, "://")) {
		return mask(value)
	}
	return value
}
