package config

import "strings"

// Setting is a variable with its effective value.
type Setting struct {
	// Name is the environment variable. A name that ends with * is a prefix.
	Name string
	// Default is used if the variable is not set; it may be empty.
	Default string
	// Meaning is one sentence for operators.
	Meaning string
	// Value is the effective value, masked if it is a secret; it may be empty.
	Value string
	// Source is the origin of the value.
	Source Source
	kind
}

// Source is the origin of a setting.
type Source string

// The sources of settings.
const (
	FromDefault     Source = "default"
	FromEnvironment Source = "environment"
	FromFile        Source = "file"
	// Unset means neither a value nor a default.
	Unset Source = "not set"
)

func setting(name, fallback string, k kind, meaning string) Setting {
	return Setting{Name: name, Default: fallback, Meaning: meaning, kind: k}
}

// table defines all settings: each with its default, its kind, the field of c that it sets, and its meaning. Load, Print and the documentation use
// it.
func table(c *Config) []Setting {
	return []Setting{
		setting("HTTP_ADDR", "127.0.0.1:8080", text(&c.HTTPAddr, address), "Address on which the API listens."),
		setting("HTTP_HOSTS", "", hostNames(&c.HTTPHosts),
			"Host names under which the API may be called, besides localhost, IP addresses and the name in HTTP_ADDR. *.example.com allows every name below example.com, * every name. Other names are refused, to prevent DNS rebinding by web pages. `/livez`, `/readyz` and `/metrics` respond under every name."),
		setting("HTTP_CORS_ORIGINS", "", origins(&c.HTTPCORSOrigins),
			"Origins whose web pages may call the API from a browser, such as https://shop.example.com. None by default."),
		setting("HTTP_TLS_CERT_FILE", "", text(&c.HTTPTLSCertFile, readable),
			"Certificate of the API in PEM, with its chain: turns TLS on. It is read again when the file changes."),
		setting("HTTP_TLS_KEY_FILE", "", text(&c.HTTPTLSKeyFile, readable), keyMeaning),
		setting("API_AUTH", authNone, authModes(&c.Auth),
			"How callers of the API are authenticated: keys (API keys), oidc (tokens of an OpenID Connect provider), or both. none requires that HTTP_ADDR is loopback; insecure is none on any address."),
		setting("OIDC_ISSUER", "", issuer(&c.OIDCIssuer), "URL of the OpenID Connect provider, exactly as its tokens contain it. Required with oidc."),
		setting("OIDC_AUDIENCE", "", text(&c.OIDCAudience, trimmed), "Audience that tokens must contain. Required with oidc."),
		setting("OIDC_SCOPES_CLAIM", "scope", text(&c.OIDCScopesClaim, trimmed), "Claim that contains the scopes of a token: a string with spaces between them, or an array."),
		setting("OIDC_CUSTOMER_CLAIM", "", text(&c.OIDCCustomerClaim, trimmed),
			"Claim that limits a token to the orders of one customer; its value is the customer ID. Tokens without the claim are not limited."),
		setting("OIDC_TLS_CA_FILE", "", text(&c.OIDCTLS.CA, readable), caMeaning("OIDC_ISSUER")),
		setting("RATE_LIMIT", "", rateLimit(&c.RateLimit),
			"How many requests each caller may send to one process, such as 100/1s or 3000/1m. No limit by default."),
		setting("METRICS_ADDR", "", text(&c.MetricsAddr, address),
			"Address on which `/metrics` is served instead of HTTP_ADDR, without authentication."),
		setting("METRICS_TLS_CERT_FILE", "", text(&c.MetricsTLSCertFile, readable),
			"Certificate of METRICS_ADDR in PEM, with its chain: turns TLS on there. It is read again when the file changes."),
		setting("METRICS_TLS_KEY_FILE", "", text(&c.MetricsTLSKeyFile, readable), keyMeaning),
		setting("DEBUG_ADDR", "", text(&c.DebugAddr, address, onLoopback),
			"Address of Go's profiler, on loopback only. Off by default."),

		setting("MONGODB_URI", "mongodb://127.0.0.1:27017", text(&c.MongoDBURI, uriOf("mongodb", "mongodb+srv")).secret(),
			"The MongoDB deployment that holds the event log."),
		setting("MONGODB_DATABASE", "ordersaga", text(&c.MongoDBDatabase, database), "The database of the event log and the read model."),
		setting("MONGODB_TLS_CA_FILE", "", text(&c.MongoDBTLS.CA, readable), caMeaning("MONGODB_URI")+turnsOn),
		setting("MONGODB_TLS_CERT_FILE", "", text(&c.MongoDBTLS.Cert, readable), clientMeaning("MongoDB")+turnsOn),
		setting("MONGODB_TLS_KEY_FILE", "", text(&c.MongoDBTLS.Key, readable), keyMeaning),
		setting("SEAL_MASTER_KEY", "", keys(&c.SealMasterKeys).secret(),
			"Master keys that wrap the keys of sealed data, one on each line: an ID and the base64 of 32 bytes. The first one wraps, all unwrap. With it dead letters are sealed, too."),

		setting("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/", text(&c.AMQPURL, uriOf("amqp", "amqps")).secret(),
			"The RabbitMQ broker, with its virtual host."),
		setting("AMQP_TLS_CA_FILE", "", text(&c.AMQPTLS.CA, readable), caMeaning("AMQP_URL")+" For amqps:// only; cacertfile in the URL has precedence."),
		setting("AMQP_TLS_CERT_FILE", "", text(&c.AMQPTLS.Cert, readable), clientMeaning("RabbitMQ")),
		setting("AMQP_TLS_KEY_FILE", "", text(&c.AMQPTLS.Key, readable), keyMeaning),
		setting("EVENT_EXCHANGE", "domain_events", text(&c.EventExchange, brokerName),
			"The topic exchange that events are published to and read from."),
		setting("BROKER_PREFIX", "ordersaga", text(&c.BrokerPrefix, brokerName),
			"Prefix of the names of the service's own queues and exchanges."),
		setting("CONSUMER_PREFETCH", "64", count(&c.ConsumerPrefetch, "messages", 1, 65535),
			"Maximum number of unacknowledged messages of the consumer."),

		setting("TEMPORAL_ADDRESS", "localhost:7233", text(&c.TemporalAddress, target), "Address of the Temporal frontend."),
		setting("TEMPORAL_NAMESPACE", "default", text(&c.TemporalNamespace, trimmed), "The Temporal namespace; it must exist."),
		// These are read by the SDK; see TemporalOptions.
		setting("TEMPORAL_API_KEY", "", unchecked("").secret(), "The API key for Temporal; it turns TLS on."),
		setting("TEMPORAL_TLS", "", flag(new(bool)), "Whether to use TLS. On if another TLS setting or an API key is set."),
		setting("TEMPORAL_TLS_SERVER_NAME", "", unchecked("name"), "Expected name in the server's certificate."),
		setting("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "", unchecked("path"), "The certificates of the authority that signed the server's."),
		setting("TEMPORAL_TLS_SERVER_CA_CERT_DATA", "", unchecked("PEM").secret(), "The same as content instead of a path."),
		setting("TEMPORAL_TLS_CLIENT_CERT_PATH", "", unchecked("path"), "The client's certificate, for mutual TLS."),
		setting("TEMPORAL_TLS_CLIENT_CERT_DATA", "", unchecked("PEM").secret(), "The same as content instead of a path."),
		setting("TEMPORAL_TLS_CLIENT_KEY_PATH", "", unchecked("path"), "The key of the client's certificate."),
		setting("TEMPORAL_TLS_CLIENT_KEY_DATA", "", unchecked("PEM").secret(), "The same as content instead of a path."),
		setting("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "", flag(new(bool)), "Whether to accept any certificate; for tests."),
		setting("TEMPORAL_CLIENT_AUTHORITY", "", unchecked("name"), ":authority header of calls to Temporal."),
		setting("TEMPORAL_GRPC_META_*", "", unchecked("").secret(), "Headers of calls to Temporal."),
		setting("TEMPORAL_COMPRESSION", "none", text(&c.TemporalCompression, oneOf("none", "gzip")),
			"Compression of calls to Temporal. gzip costs processor time on both sides, and is useful over slow networks."),
		setting("TEMPORAL_UI_URL", "", webURL(&c.TemporalUIURL),
			"URL of the Temporal Web UI, for links in API answers; without it there are none."),
		setting("PAYLOAD_KEYS", "", keys(&c.PayloadKeys).secret(),
			"Keys that encrypt what Temporal stores, one on each line: an ID and the base64 of 32 bytes. The first one encrypts, all decrypt. Nothing is encrypted by default, or when the first line is `plain`."),

		setting("CONSOLE_KEYS", "", keys(&c.ConsoleKeys).secret(),
			"Keys that encrypt the logins of the console in browsers, in the format of PAYLOAD_KEYS. Set them if several processes serve the API: by default each process has a key of its own, and a login ends with its process."),

		setting("PAYMENT_GATEWAY", GatewaySimulator, text(&c.PaymentGateway, gateways),
			"Payment gateway: simulator, stripe, or http for a payment service of your own. It must be set explicitly if HTTP_ADDR is not loopback."),
		setting("STRIPE_API_KEY", "", text(&c.StripeAPIKey, stripeKey).secret(), "Stripe's secret API key, for PAYMENT_GATEWAY=stripe."),
		setting("STRIPE_WEBHOOK_SECRET", "", text(&c.StripeWebhookSecret, stripeSecret).secret(),
			"The signing secret of the webhook endpoint at Stripe. Required for PAYMENT_GATEWAY=stripe."),
		setting("STRIPE_API_BASE", "", webURL(&c.StripeAPIBase), "Address of Stripe's API, for tests. Default: that of Stripe."),
		setting("PAYMENT_URL", "", webURL(&c.PaymentURL), "URL of the payment service that implements api/participant.yaml. Required with PAYMENT_GATEWAY=http."),
		setting("INVENTORY", InventoryBuiltin, text(&c.Inventory, oneOf(InventoryBuiltin, InventoryHTTP)),
			"What reserves stock: builtin (the stock ledger), or http for an inventory service of your own. Orders that are open keep their reservations where they were made: change it when there are none."),
		setting("INVENTORY_URL", "", webURL(&c.InventoryURL), "URL of the inventory service that implements api/participant.yaml. Required with INVENTORY=http."),
		setting("PARTICIPANT_SECRET", "", secrets(&c.ParticipantSecrets).secret(),
			"Secret that signs requests to PAYMENT_URL and INVENTORY_URL: whsec_ and the base64 of 24 to 64 random bytes; several, one on each line, while it is replaced. Required unless both are on this machine."),
		setting("PARTICIPANT_TIMEOUT", "5s", participantTimeout(&c.ParticipantTimeout),
			"Time limit for one request to PAYMENT_URL or INVENTORY_URL; at most 9s. A request without an answer is sent again."),
		setting("PARTICIPANT_TLS_CA_FILE", "", text(&c.ParticipantTLS.CA, readable), caMeaning("PAYMENT_URL and INVENTORY_URL")),
		setting("PARTICIPANT_TLS_CERT_FILE", "", text(&c.ParticipantTLS.Cert, readable), clientMeaning("PAYMENT_URL and INVENTORY_URL")),
		setting("PARTICIPANT_TLS_KEY_FILE", "", text(&c.ParticipantTLS.Key, readable), keyMeaning),
		setting("SIMULATOR_OUTAGE", "10s", duration(&c.SimulatorOutage),
			"How long the simulator is unavailable for a payment with tok_unavailable."),
		setting("SIMULATOR_FAST", "true", flag(&c.SimulatorFast),
			"Whether the simulator is called inside workflow tasks, or with regular activities. Without it, no call of a service runs inside workflow tasks."),

		setting("RESERVE_DEADLINE", "2m", duration(&c.Timing.Reserve),
			"How long the stock ledger may be unavailable before the order fails, and how long an order waits for stock that other orders hold temporarily."),
		setting("AUTHORIZE_DEADLINE", "2m", duration(&c.Timing.Authorize),
			"How long the authorization may be unavailable before the order fails."),
		setting("PAYMENT_PENDING_DEADLINE", "30m", duration(&c.Timing.PaymentPending), "How long a pending payment waits for its payer."),
		setting("SHIPMENT_DEADLINE", "6d", duration(&c.Timing.Shipment),
			"How long a confirmed order waits for its dispatch. Must be shorter than the lifetime of the gateway's authorizations."),
		setting("DELIVERY_DEADLINE", "30d", duration(&c.Timing.Delivery),
			"How long a dispatched order waits for its delivery before it needs attention."),
		setting("RETURN_DEADLINE", "30d", duration(&c.Timing.Return),
			"How long a return waits for its goods. Then what was received is refunded and restocked; without any, the return has expired."),
		setting("ATTENTION_AFTER", "5m", duration(&c.Timing.Attention),
			"How long a step that must succeed may fail before the order needs attention."),
		setting("SIGNAL_PARK_MAX", "5m", duration(&c.SignalParkMax),
			"How long an event about an unknown order waits before it becomes a dead letter."),

		setting("DEAD_LETTER_MAX_REPLAYS", "3", count(&c.DeadLetterMaxReplays, "replays", 1, 1000),
			"How often a message may be replayed before further replays must be forced."),
		setting("DEAD_LETTER_RETENTION", "90d", durationOrOff(&c.DeadLetterRetention),
			"How long a dead letter is stored after it was replayed, retried or discarded; 0 is forever. The decisions stay in the event log."),
		setting("DEAD_LETTER_OPEN_RETENTION", "0", durationOrOff(&c.DeadLetterOpenRetention),
			"How long after its failure a dead letter may be open before the service discards it, with an event and a log line; 0 is forever."),

		setting("WORKER_QUEUES", strings.Join(queues, ","), listOf(&c.WorkerQueues, queues), "The task queues that this process works on."),
		setting("WORKER_CONCURRENCY", "96", count(&c.WorkerConcurrency, "tasks", 2, 10000),
			"Maximum number of concurrent workflow tasks, and of concurrent activities of each queue, in this process. Further tasks wait in Temporal."),
		setting("WORKER_CACHE", "2000", count(&c.WorkerCache, "sagas", 0, 1000000),
			"Number of running sagas in the workflow cache of this process. Other sagas are replayed from their history; 0 always replays, for tests."),
		setting("REMOTE_INLINE_BUDGET", "2s", inlineBudget(&c.RemoteInlineBudget),
			"A call of Stripe, PAYMENT_URL or INVENTORY_URL runs inside the workflow task, once, while 95% of the last 100 calls of the same operation by this process took less than this, and a quarter of WORKER_CONCURRENCY is not used up; otherwise it is a regular activity. At most 5s; 0 is never."),
		setting("SHUTDOWN_DELAY", "0", durationOrOff(&c.ShutdownDelay),
			"How long a stopping process with the API serves requests after `/readyz` has begun to answer 503, so that load balancers stop sending new ones. SHUTDOWN_GRACE begins after it."),
		setting("WORKER_DEPLOYMENT_NAME", "", text(&c.WorkerDeployment, deploymentName),
			"Name of the Temporal Worker Deployment of this process: turns worker versioning on, and eager starts off. Off by default."),
		setting("WORKER_BUILD_ID", "", text(&c.WorkerBuildID, trimmed),
			"Build ID of this process in its Worker Deployment; the version of the binary by default. Two binaries must not have the same."),
		setting("SHUTDOWN_GRACE", "30s", duration(&c.ShutdownGrace), "How long a stopping process may finish running work."),

		setting("RECONCILE_EVERY", "1h", durationOrOff(&c.ReconcileEvery),
			"Interval of the scheduled reconcile check in Temporal; 0 removes the schedule."),
		setting("RECONCILE_REPAIR", "true", flag(&c.ReconcileRepair),
			"Whether the scheduled check starts recovery runs and writes list entries, or only reports."),

		setting("AUDIT_SIGNING_KEY", "", signer(&c.AuditSigner).secret(),
			"Private keys of `ordersaga audit key new` that sign audit checkpoints, one on each line, all with the same name. Several sign while a key is replaced. Without it there are no checkpoints."),
		setting("AUDIT_VERIFIER_KEYS", "", publicKeys(&c.AuditVerifierKeys),
			"Public keys, separated by spaces, for proofs of processes without the private key, and of former keys."),
		setting("AUDIT_CHECKPOINT_EVERY", "1h", durationOrOff(&c.AuditEvery),
			"Interval of audit checkpoints in Temporal, if AUDIT_SIGNING_KEY is set; 0 removes the schedule."),
		setting("AUDIT_CHECKPOINT_DIR", "", text(&c.AuditDir, folder),
			"Folder to which each signed checkpoint is written, too."),

		setting("NOTIFICATIONS", NotificationsLog, text(&c.Notifications, oneOf(NotificationsLog, NotificationsSMTP, NotificationsOff)),
			"How customers are notified: log writes a log line without personal data, smtp sends e-mail, off does nothing."),
		setting("NOTIFICATION_TEMPLATES", "", text(&c.NotificationTemplates, folder),
			"Folder with templates that replace the built-in ones of the same names."),
		setting("NOTIFICATION_WINDOW", "1d", duration(&c.NotificationWindow),
			"How long after an event its message is retried. Older events cause no message."),
		setting("SMTP_URL", "", text(&c.SMTPURL, uriOf("smtp", "smtps"), mailURL).secret(),
			"Mail server, with the user if required: smtp://user@mail.example.com:587, or smtps:// for TLS from the first byte."),
		setting("SMTP_PASSWORD", "", text(&c.SMTPPassword).secret(), "Password of the user in SMTP_URL, unless the URL contains it."),
		setting("SMTP_TLS", "mandatory", text(&c.SMTPTLS, oneOf("mandatory", "opportunistic", "none")), // smtps is implicit TLS
			"STARTTLS for smtp://: required, used if available, or not used. Without encryption a password is only sent to the same machine."),
		setting("SMTP_TLS_CA_FILE", "", text(&c.SMTPFiles.CA, readable), caMeaning("SMTP_URL")),
		setting("SMTP_TIMEOUT", "10s", smtpTimeout(&c.SMTPTimeout), "Time limit for sending one message; at most 25s."),
		setting("MAIL_FROM", "", text(&c.MailFrom, mailAddress),
			"Sender of e-mail, an address with or without a name. Required with NOTIFICATIONS=smtp."),

		// These are read by OpenTelemetry's SDK; see internal/tracing.
		setting("OTEL_EXPORTER_OTLP_ENDPOINT", "", webURL(new(string)),
			"URL of the OpenTelemetry collector that traces are sent to, such as http://localhost:4318. Without it there are no traces."),
		setting("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", text(&c.TracesProtocol, oneOf("http/protobuf", "grpc")), "Protocol of the collector."),
		setting("OTEL_EXPORTER_OTLP_HEADERS", "", unchecked("name=value, …").secret(), "Headers of what is sent to the collector."),
		setting("OTEL_EXPORTER_OTLP_CERTIFICATE", "", text(&c.TracesTLS.CA, readable), caMeaning("the collector")),
		setting("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "", text(&c.TracesTLS.Cert, readable), clientMeaning("the collector")),
		setting("OTEL_EXPORTER_OTLP_CLIENT_KEY", "", text(&c.TracesTLS.Key, readable), keyMeaning),
		setting("OTEL_SERVICE_NAME", "ordersaga", unchecked("name"), "Name of the service in traces."),
		setting("OTEL_RESOURCE_ATTRIBUTES", "", unchecked("name=value, …"), "Further attributes of the service in traces."),
		setting("OTEL_TRACES_SAMPLER", "parentbased_always_on", text(new(string), oneOf("always_on", "always_off", "traceidratio",
			"parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")),
			"Which traces are recorded. The parentbased ones record what the caller records, and choose for requests without a trace."),
		setting("OTEL_TRACES_SAMPLER_ARG", "", unchecked("0 to 1"), "Share of the traces that a traceidratio sampler records."),
		setting("OTEL_SDK_DISABLED", "false", flag(new(bool)), "Turns traces off."),

		setting("LOG_LEVEL", "info", logLevel(&c.LogLevel), "Lowest level that is logged."),
		setting("LOG_FORMAT", string(LogAuto), text(&c.LogFormat, oneOf(string(LogAuto), string(LogJSON), string(LogText))),
			"Format of log lines; auto is text on a terminal and JSON elsewhere."),
	}
}

// Meanings of files for TLS.
const (
	keyMeaning = "Key of the certificate, in PEM."
	turnsOn    = " Turns TLS on."
)

func caMeaning(server string) string {
	return "Certificates of the authorities that may sign the certificate of " + server + ", in PEM. Those of the system by default."
}

func clientMeaning(server string) string {
	return "The client's certificate for " + server + " in PEM, with its chain, for mutual TLS. It is read for every connection."
}

// fileSuffix is the suffix of a variable that names a file with a secret.
const fileSuffix = "_FILE"

// Variables returns the table without values.
func Variables() []Setting { return table(new(Config)) }

// show returns a value for display. A URI is masked even if the setting is not secret.
func (s Setting) show(value string) string {
	if s.Secret || (s.Unit == unitURI && strings.Contains(value, "://")) {
		return mask(value)
	}
	return value
}
