package config

import "strings"

// Setting is a variable, what it means, and its effective value.
type Setting struct {
	// Name is the environment variable. A name that ends with * stands for every variable that begins so.
	Name string
	// Default is used when the variable is not set; empty when there is none.
	Default string
	// Meaning is one sentence for operators.
	Meaning string
	// Value is the effective value, masked when it is a secret; empty when there is none.
	Value string
	// Source says where the value comes from.
	Source Source
	kind
}

// Source says where a setting comes from.
type Source string

// The sources of settings.
const (
	FromDefault     Source = "default"
	FromEnvironment Source = "environment"
	FromFile        Source = "file"
	// Unset means that there is no value and no default.
	Unset Source = "not set"
)

func setting(name, fallback string, k kind, meaning string) Setting {
	return Setting{Name: name, Default: fallback, Meaning: meaning, kind: k}
}

// table is the one place where the settings are defined: each with its default, its kind, the field of c that it sets, and its
// meaning. Load, Print and the documentation go by it.
func table(c *Config) []Setting {
	return []Setting{
		setting("HTTP_ADDR", "127.0.0.1:8080", text(&c.HTTPAddr, address), "Where the API listens."),
		setting("HTTP_HOSTS", "", hostNames(&c.HTTPHosts),
			"Under which names the API may be addressed, besides localhost, IP addresses and the name in HTTP_ADDR; *.example.com stands for every name below example.com, * for every name. Other names are refused: a web page could have its own name lead here. `/livez`, `/readyz` and `/metrics` answer under every name."),
		setting("HTTP_CORS_ORIGINS", "", origins(&c.HTTPCORSOrigins),
			"The origins whose web pages may use the API from a browser, such as https://shop.example.com; none by default."),
		setting("DEBUG_ADDR", "", text(&c.DebugAddr, address, onLoopback),
			"Where Go's profiler listens, on loopback only; nowhere by default."),

		setting("MONGODB_URI", "mongodb://127.0.0.1:27017", text(&c.MongoDBURI, uriOf("mongodb", "mongodb+srv")).secret(),
			"The MongoDB deployment that holds the event log."),
		setting("MONGODB_DATABASE", "ordersaga", text(&c.MongoDBDatabase, database), "The database of the event log and the read model."),

		setting("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/", text(&c.AMQPURL, uriOf("amqp", "amqps")).secret(),
			"The RabbitMQ broker, with its virtual host."),
		setting("EVENT_EXCHANGE", "domain_events", text(&c.EventExchange, brokerName),
			"The topic exchange that events are published to and read from."),
		setting("BROKER_PREFIX", "ordersaga", text(&c.BrokerPrefix, brokerName),
			"What the names of our own queues and exchanges begin with."),
		setting("CONSUMER_PREFETCH", "64", count(&c.ConsumerPrefetch, "messages", 1, 65535),
			"How many messages the consumer may hold unacknowledged."),

		setting("TEMPORAL_ADDRESS", "localhost:7233", text(&c.TemporalAddress, target), "The Temporal server's frontend."),
		setting("TEMPORAL_NAMESPACE", "default", text(&c.TemporalNamespace, trimmed), "The Temporal namespace; it must exist."),
		// These are read by the SDK; see TemporalOptions.
		setting("TEMPORAL_API_KEY", "", unchecked("").secret(), "The API key for Temporal; it turns TLS on."),
		setting("TEMPORAL_TLS", "", flag(new(bool)), "Whether to use TLS; on as soon as another TLS setting or an API key is there."),
		setting("TEMPORAL_TLS_SERVER_NAME", "", unchecked("name"), "The name to expect in the server's certificate."),
		setting("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "", unchecked("path"), "The certificates of the authority that signed the server's."),
		setting("TEMPORAL_TLS_SERVER_CA_CERT_DATA", "", unchecked("PEM").secret(), "The same, itself instead of its path."),
		setting("TEMPORAL_TLS_CLIENT_CERT_PATH", "", unchecked("path"), "The client's certificate, for mutual TLS."),
		setting("TEMPORAL_TLS_CLIENT_CERT_DATA", "", unchecked("PEM").secret(), "The same, itself instead of its path."),
		setting("TEMPORAL_TLS_CLIENT_KEY_PATH", "", unchecked("path"), "The key of the client's certificate."),
		setting("TEMPORAL_TLS_CLIENT_KEY_DATA", "", unchecked("PEM").secret(), "The same, itself instead of its path."),
		setting("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "", flag(new(bool)), "Whether to believe any certificate; for tests."),
		setting("TEMPORAL_CLIENT_AUTHORITY", "", unchecked("name"), "The :authority of the calls to Temporal."),
		setting("TEMPORAL_GRPC_META_*", "", unchecked("").secret(), "Headers of the calls to Temporal."),
		setting("TEMPORAL_COMPRESSION", "none", text(&c.TemporalCompression, oneOf("none", "gzip")),
			"How calls to Temporal are compressed. gzip costs processor time here and at the server, and pays where the way between them is long or narrow."),
		setting("TEMPORAL_UI_URL", "", webURL(&c.TemporalUIURL),
			"The Temporal Web UI, for the links that the API returns; without it there are none."),

		setting("PAYMENT_GATEWAY", GatewaySimulator, text(&c.PaymentGateway, gateways),
			"Who moves the money. It must be named when HTTP_ADDR is not loopback."),
		setting("SIMULATOR_OUTAGE", "10s", duration(&c.SimulatorOutage),
			"How long the simulator is down for a payment with tok_unavailable."),
		setting("SIMULATOR_FAST", "true", flag(&c.SimulatorFast),
			"Whether the simulator says that it is fast enough to be called inside a workflow task, or is called like a provider far away."),

		setting("RESERVE_DEADLINE", "2m", duration(&c.Timing.Reserve),
			"How long reserving stock may be unavailable before the order fails, and how long an order waits for stock that other orders hold for now."),
		setting("AUTHORIZE_DEADLINE", "2m", duration(&c.Timing.Authorize),
			"How long authorizing the payment may be unavailable before the order fails."),
		setting("PAYMENT_PENDING_DEADLINE", "30m", duration(&c.Timing.PaymentPending), "How long a pending payment waits for its payer."),
		setting("SHIPMENT_DEADLINE", "6d", duration(&c.Timing.Shipment),
			"How long a confirmed order waits for its dispatch; less than the gateway's authorizations live."),
		setting("DELIVERY_DEADLINE", "30d", duration(&c.Timing.Delivery),
			"How long a dispatched order waits for its delivery before somebody has to look."),
		setting("ATTENTION_AFTER", "5m", duration(&c.Timing.Attention),
			"How long a step that must succeed may be stuck before somebody has to look."),
		setting("SIGNAL_PARK_MAX", "5m", duration(&c.SignalParkMax),
			"How long an event for an order that is not known yet is kept before it becomes a dead letter."),

		setting("DEAD_LETTER_MAX_REPLAYS", "3", count(&c.DeadLetterMaxReplays, "replays", 1, 1000),
			"How often a message that dies again and again is replayed before somebody has to insist."),

		setting("WORKER_QUEUES", strings.Join(queues, ","), listOf(&c.WorkerQueues, queues), "The task queues that this process works on."),
		setting("WORKER_CONCURRENCY", "96", count(&c.WorkerConcurrency, "tasks", 2, 10000),
			"How many workflow tasks, and how many activities of each queue, run at once in this process. What is over waits in Temporal, where it costs nothing; in here it would only slow the database down."),
		setting("WORKER_CACHE", "2000", count(&c.WorkerCache, "sagas", 0, 1000000),
			"How many running sagas this process remembers between their tasks. One that it has forgotten is replayed from its history; 0 replays always, for tests."),
		setting("SHUTDOWN_GRACE", "30s", duration(&c.ShutdownGrace), "How long a stopping process may finish what it has begun."),

		setting("RECONCILE_EVERY", "1h", durationOrOff(&c.ReconcileEvery),
			"How often everything that must hold is checked, on a schedule of Temporal's; 0 removes the schedule."),
		setting("RECONCILE_REPAIR", "true", flag(&c.ReconcileRepair),
			"Whether the scheduled check starts recovery runs and rewrites list entries, or only reports."),

		setting("NOTIFICATIONS", NotificationsLog, text(&c.Notifications, oneOf(NotificationsLog, NotificationsSMTP, NotificationsOff)),
			"How customers are notified: log writes a line without personal data instead of sending, smtp sends e-mail, off does nothing."),
		setting("NOTIFICATION_TEMPLATES", "", text(&c.NotificationTemplates, folder),
			"A folder of templates that take the place of the built-in ones of the same names."),
		setting("NOTIFICATION_WINDOW", "1d", duration(&c.NotificationWindow),
			"For how long after an event its message is tried; what is older is not told."),
		setting("SMTP_URL", "", text(&c.SMTPURL, uriOf("smtp", "smtps"), mailURL).secret(),
			"The mail server, with the user if it wants one: smtp://user@mail.example.com:587, or smtps:// for TLS from the first byte."),
		setting("SMTP_PASSWORD", "", text(&c.SMTPPassword).secret(), "The password of the user in SMTP_URL, unless it stands there."),
		setting("SMTP_TLS", "mandatory", text(&c.SMTPTLS, oneOf("mandatory", "opportunistic", "none")), // smtps is implicit TLS
			"Whether a connection to smtp:// must, may or may not be encrypted with STARTTLS. A password never leaves this machine in the clear."),
		setting("SMTP_TIMEOUT", "10s", smtpTimeout(&c.SMTPTimeout), "How long sending one message may take; at most 25s."),
		setting("MAIL_FROM", "", text(&c.MailFrom, mailAddress),
			"The sender of e-mail, an address with or without a name; mandatory with NOTIFICATIONS=smtp."),

		setting("LOG_LEVEL", "info", logLevel(&c.LogLevel), "The lowest level that is logged."),
		setting("LOG_FORMAT", string(LogAuto), text(&c.LogFormat, oneOf(string(LogAuto), string(LogJSON), string(LogText))),
			"How log lines are written; auto is text on a terminal and JSON elsewhere."),
	}
}

// fileSuffix makes the name of the variable that names the file of a secret.
const fileSuffix = "_FILE"

// Variables returns the table without values.
func Variables() []Setting { return table(new(Config)) }

// show returns a value of the setting as it may be shown. An address is masked even where no credentials belong.
func (s Setting) show(value string) string {
	if s.Secret || (s.Unit == unitURI && strings.Contains(value, "://")) {
		return mask(value)
	}
	return value
}
