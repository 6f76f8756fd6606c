package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// problemsOf loads an environment that must not load.
func problemsOf(t *testing.T, environ ...string) []config.Problem {
	t.Helper()
	_, err := config.Load(environ)
	var problems *config.Error
	require.ErrorAs(t, err, &problems)
	return problems.Problems
}

func TestEmptyEnvironmentLoadsDefaults(t *testing.T) {
	c, err := config.Load(nil)
	require.NoError(t, err)
	assert.Equal(t, "mongodb://127.0.0.1:27017", c.MongoDBURI.Reveal())
	assert.Equal(t, "ordersaga", c.MongoDBDatabase)
	assert.Equal(t, "amqp://guest:guest@127.0.0.1:5672/", c.AMQPURL.Reveal())
	assert.Equal(t, "127.0.0.1:8080", c.HTTPAddr)
	assert.Equal(t, config.GatewaySimulator, c.PaymentGateway)
	assert.Equal(t, 10*time.Second, c.SimulatorOutage)
	assert.Equal(t, 5*time.Minute, c.SignalParkMax)
	assert.Zero(t, c.ShutdownDelay)
	assert.Equal(t, 30*time.Second, c.ShutdownGrace)
	assert.Equal(t, 64, c.ConsumerPrefetch)
	assert.Equal(t, time.Hour, c.ReconcileEvery)
	assert.True(t, c.ReconcileRepair)
	assert.Equal(t, 3, c.DeadLetterMaxReplays)
	assert.Equal(t, 90*24*time.Hour, c.DeadLetterRetention)
	assert.Zero(t, c.DeadLetterOpenRetention, "open dead letters are kept")
	assert.Equal(t, "domain_events", c.EventExchange)
	assert.Equal(t, "ordersaga", c.BrokerPrefix)
	assert.Equal(t, slog.LevelInfo, c.LogLevel)
	assert.Equal(t, config.LogAuto, c.LogFormat)
	assert.Empty(t, c.TemporalUIURL)

	options, err := c.TemporalOptions()
	require.NoError(t, err)
	assert.Equal(t, "localhost:7233", options.HostPort)
	assert.Equal(t, "default", options.Namespace)
}

func TestDefaultTimingMatchesOrderFlow(t *testing.T) {
	c, err := config.Load(nil)
	require.NoError(t, err)
	assert.Equal(t, order.DefaultTiming(), c.Timing)
}

func TestDefaultQueuesMatchWorkflows(t *testing.T) {
	c, err := config.Load(nil)
	require.NoError(t, err)
	assert.Equal(t, []string{saga.QueueOrders, saga.QueuePayments, saga.QueueNotifications}, c.WorkerQueues)
}

func TestValuesAreRead(t *testing.T) {
	c, err := config.Load([]string{
		"MONGODB_URI=mongodb://u:p@a:27017,b:27017/?replicaSet=rs0", "MONGODB_DATABASE=shop",
		"AMQP_URL=amqps://u:p@broker/vhost", "EVENT_EXCHANGE=events", "BROKER_PREFIX=shop", "CONSUMER_PREFETCH=8",
		"HTTP_ADDR=[::1]:9000", "TEMPORAL_UI_URL=https://temporal.example/",
		"PAYMENT_PENDING_DEADLINE=1s", "SHIPMENT_DEADLINE=1d12h", "DELIVERY_DEADLINE=3d", "RETURN_DEADLINE=2d", "RESERVE_DEADLINE=4s",
		"AUTHORIZE_DEADLINE=5s", "ATTENTION_AFTER=6s", "SIGNAL_PARK_MAX=7s", "SIMULATOR_OUTAGE=8s", "SHUTDOWN_DELAY=10s", "SHUTDOWN_GRACE=9s",
		"WORKER_QUEUES=payments, orders", "LOG_LEVEL=warn", "LOG_FORMAT=json", "TEMPORAL_NAMESPACE=shop",
		"RECONCILE_EVERY=0", "RECONCILE_REPAIR=False",
	})
	require.NoError(t, err)
	assert.Equal(t, "mongodb://u:p@a:27017,b:27017/?replicaSet=rs0", c.MongoDBURI.Reveal())
	assert.Equal(t, "https://temporal.example", c.TemporalUIURL)
	assert.Equal(t, order.Timing{
		PaymentPending: time.Second, Shipment: 36 * time.Hour, Delivery: 72 * time.Hour, Return: 48 * time.Hour,
		Reserve: 4 * time.Second, Authorize: 5 * time.Second, Attention: 6 * time.Second,
	}, c.Timing)
	assert.Equal(t, []string{"payments", "orders"}, c.WorkerQueues)
	assert.Equal(t, slog.LevelWarn, c.LogLevel)
	assert.Equal(t, config.LogJSON, c.LogFormat)
	assert.Equal(t, 8, c.ConsumerPrefetch)
	assert.Equal(t, 10*time.Second, c.ShutdownDelay)
	assert.Zero(t, c.ReconcileEvery)
	assert.False(t, c.ReconcileRepair)
	assert.Equal(t, "shop", c.TemporalNamespace)
}

func TestEmptyValueIsUnset(t *testing.T) {
	c, err := config.Load([]string{"HTTP_ADDR=", "TEMPORAL_ADDRESS=", "MONGODB_URI_FILE="})
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:8080", c.HTTPAddr)
	assert.Equal(t, "localhost:7233", c.TemporalAddress)
}

// Every rule of every variable must be able to fail, and say so under the variable's name.
func TestWrongValuesAreRefused(t *testing.T) {
	for name, values := range map[string][]string{
		"DEBUG_ADDR":                             {"6060", "0.0.0.0:6060", ":6060", "10.0.0.1:6060"},
		"SIMULATOR_FAST":                         {"yes"},
		"HTTP_ADDR":                              {"8080", "localhost", "127.0.0.1:http", "127.0.0.1:70000", "http://127.0.0.1:8080"},
		"MONGODB_URI":                            {"localhost:27017", "http://localhost", "mongodb://", "mongodb://u:p@/db", "mongodb://a b"},
		"MONGODB_DATABASE":                       {"a b", "a.b", "a$b", strings.Repeat("x", 64)},
		"AMQP_URL":                               {"127.0.0.1:5672", "mongodb://localhost", "amqp://", "amqp://u:p@"},
		"WORKER_DEPLOYMENT_NAME":                 {"a b", "shop.eu", "shop:eu"},
		"EVENT_EXCHANGE":                         {"amq.topic", "a b", strings.Repeat("x", 101)},
		"BROKER_PREFIX":                          {"amq.x", "a/b"},
		"CONSUMER_PREFETCH":                      {"0", "-1", "65536", "many", "1.5"},
		"TEMPORAL_ADDRESS":                       {"localhost", "http://localhost:7233", ":7233", "localhost:grpc"},
		"TEMPORAL_NAMESPACE":                     {" shop"},
		"TEMPORAL_TLS":                           {"yes"},
		"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION": {"maybe"},
		"TEMPORAL_UI_URL":                        {"localhost:8233", "ftp://ui", "http://", "http://u:p@ui", "http://ui/?x=1"},
		"PAYMENT_GATEWAY":                        {"Simulator", "paypal"},
		"INVENTORY":                              {"HTTP", "none"},
		"PARTICIPANT_SECRET":                     {"secret", "whsec_", "whsec_c2hvcnQ=", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz secret"},
		"PARTICIPANT_TIMEOUT":                    {"0s", "10s", "soon"},
		"REMOTE_INLINE_BUDGET":                   {"6s", "-1s", "soon"},
		"SIMULATOR_OUTAGE":                       {"0s", "-1s", "10"},
		"RESERVE_DEADLINE":                       {"0"},
		"AUTHORIZE_DEADLINE":                     {"soon"},
		"PAYMENT_PENDING_DEADLINE":               {"d", "1d-1h", "1d+1h", "1.5d", "-1d", "1dd", "999999d"},
		"SHIPMENT_DEADLINE":                      {"6D"},
		"DELIVERY_DEADLINE":                      {"30 d"},
		"RETURN_DEADLINE":                        {"30 d"},
		"ATTENTION_AFTER":                        {"5"},
		"SIGNAL_PARK_MAX":                        {"-5m"},
		"DEAD_LETTER_MAX_REPLAYS":                {"0", "1001", "thrice"},
		"RECONCILE_EVERY":                        {"-1h", "1", "500ms", "hourly"},
		"RECONCILE_REPAIR":                       {"yes", "2"},
		"SHUTDOWN_DELAY":                         {"-1s", "500ms", "soon"},
		"SHUTDOWN_GRACE":                         {"0d"},
		"WORKER_QUEUES":                          {"order", "orders,orders", "orders,", ","},
		"LOG_LEVEL":                              {"trace", "info+2"},
		"LOG_FORMAT":                             {"logfmt"},
	} {
		for _, value := range values {
			problems := problemsOf(t, name+"="+value)
			assert.Len(t, problems, 1, "%s=%s", name, value)
			assert.Equal(t, name, problems[0].Name, "%s=%s", name, value)
			assert.NotEmpty(t, problems[0].Value)
			assert.NotEmpty(t, problems[0].Expected)
		}
	}
}

func TestAllProblemsAreReported(t *testing.T) {
	_, err := config.Load([]string{
		"MONGODB_URI=http://root:hunter2@db", "SHIPMENT_DEADLINE=never", "HTTP_ADDR=nowhere", "LOG_LEVEL=",
		"TEMPORAL_TLS_CLIENT_CERT_PATH=/nowhere/cert.pem",
	})
	assert.EqualError(t, err, `the configuration is invalid:
  HTTP_ADDR=nowhere: expected host:port, such as 127.0.0.1:8080 or :8080
  MONGODB_URI=http://root:***@db: expected a URI that begins with mongodb:// or mongodb+srv:// and names a host
  SHIPMENT_DEADLINE=never: expected a duration above zero, such as 90s, 5m, 2h30m or 6d
  TEMPORAL_TLS_*=(set): expected valid client settings: invalid TLS config: if either client cert or key path is present, other must be present too`)
}

func TestPaymentGatewayIsRequiredOffLoopback(t *testing.T) {
	for _, address := range []string{"127.0.0.1:8080", "127.9.9.9:1", "localhost:8080", "[::1]:8080", "[::ffff:127.0.0.1]:8080"} {
		_, err := config.Load([]string{"HTTP_ADDR=" + address})
		assert.NoError(t, err, address)
	}
	for _, address := range []string{":8080", "0.0.0.0:8080", "[::]:8080", "10.0.0.1:8080", "localhost.example:8080", "127.0.0.1.example:80"} {
		problems := problemsOf(t, "HTTP_ADDR="+address)
		require.Len(t, problems, 1, address)
		assert.Equal(t, "PAYMENT_GATEWAY", problems[0].Name)
		assert.Contains(t, problems[0].String(), "PAYMENT_GATEWAY is not set: expected simulator, stripe or http, set explicitly")

		c, err := config.Load([]string{"HTTP_ADDR=" + address, "PAYMENT_GATEWAY=simulator"})
		require.NoError(t, err, address)
		assert.Equal(t, config.GatewaySimulator, c.PaymentGateway)
	}
}

func TestShipmentDeadlineIsBelowAuthorization(t *testing.T) {
	traits := payment.Traits{Name: "simulator", AuthorizationLifetime: 7 * 24 * time.Hour}
	for deadline, ok := range map[string]bool{"6d": true, "6d23h59m59s": true, "7d": false, "8d": false} {
		c, err := config.Load([]string{"SHIPMENT_DEADLINE=" + deadline})
		require.NoError(t, err)
		err = c.CheckGateway(traits)
		if ok {
			assert.NoError(t, err, deadline)
			continue
		}
		assert.EqualError(t, err, "the configuration is invalid:\n  SHIPMENT_DEADLINE="+deadline+
			": expected less than 7d, the lifetime of authorizations of the gateway simulator")
		assert.NoError(t, c.CheckGateway(payment.Traits{Name: "cash"}), "authorizations that do not lapse")
	}
}

func TestSecretFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uri")
	require.NoError(t, os.WriteFile(path, []byte("mongodb://root:hunter2@db\r\n"), 0o600))
	c, err := config.Load([]string{"MONGODB_URI_FILE=" + path})
	require.NoError(t, err)
	assert.Equal(t, "mongodb://root:hunter2@db", c.MongoDBURI.Reveal())
	for _, s := range c.Settings() {
		if s.Name == "MONGODB_URI" {
			assert.Equal(t, config.FromFile, s.Source)
			assert.Equal(t, "mongodb://root:***@db", s.Value)
		}
	}

	problems := problemsOf(t, "MONGODB_URI_FILE="+path, "MONGODB_URI=mongodb://root:hunter2@db")
	require.Len(t, problems, 1)
	assert.Equal(t, "MONGODB_URI=mongodb://root:***@db: expected only one of MONGODB_URI and MONGODB_URI_FILE", problems[0].String())
}

func TestEmptySecretFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	empty, large, wrong := filepath.Join(dir, "empty"), filepath.Join(dir, "large"), filepath.Join(dir, "wrong")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	require.NoError(t, os.WriteFile(large, nil, 0o600))
	require.NoError(t, os.Truncate(large, 2<<20))
	require.NoError(t, os.WriteFile(wrong, []byte("amqp://u:hunter2@"), 0o600))
	for _, path := range []string{empty, large, dir, filepath.Join(dir, "missing")} {
		problems := problemsOf(t, "AMQP_URL_FILE="+path)
		require.Len(t, problems, 1, path)
		assert.Equal(t, "AMQP_URL_FILE", problems[0].Name)
		assert.Equal(t, path, problems[0].Value)
	}
	problems := problemsOf(t, "AMQP_URL_FILE="+wrong)
	require.Len(t, problems, 1)
	assert.Equal(t, "AMQP_URL", problems[0].Name)
	assert.Equal(t, "amqp://u:***@", problems[0].Value)
}

func TestTemporalSettingsOfSDK(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte("hunter2\n"), 0o600))
	c, err := config.Load([]string{
		"TEMPORAL_ADDRESS=temporal:7233", "TEMPORAL_NAMESPACE=shop", "TEMPORAL_API_KEY_FILE=" + key,
		"TEMPORAL_TLS_SERVER_NAME=temporal.example", "TEMPORAL_GRPC_META_X_TENANT=hunter2",
		"TEMPORAL_CONFIG_FILE=/nowhere/temporal.toml", "TEMPORAL_PROFILE=nowhere",
	})
	require.NoError(t, err)
	options, err := c.TemporalOptions()
	require.NoError(t, err)
	assert.Equal(t, "temporal:7233", options.HostPort)
	assert.Equal(t, "shop", options.Namespace)
	assert.NotNil(t, options.Credentials)
	require.NotNil(t, options.ConnectionOptions.TLS)
	assert.Equal(t, "temporal.example", options.ConnectionOptions.TLS.ServerName)
	headers, err := options.HeadersProvider.GetHeaders(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"x-tenant": "hunter2"}, headers)
	assert.NotContains(t, c.String(), "hunter2")
}

func TestSecretsAreNeverShown(t *testing.T) {
	environ := []string{
		"MONGODB_URI=mongodb://root:hunter2@db:27017/?authMechanismProperties=AWS_SESSION_TOKEN:hunter2&tlsCertificateKeyFilePassword=hunter2&appName=x",
		"AMQP_URL=amqp://app:hunter2/@?hunter2@broker/", "TEMPORAL_API_KEY=hunter2", "TEMPORAL_GRPC_META_AUTHORIZATION=hunter2",
	}
	c, err := config.Load(environ)
	require.NoError(t, err)
	var printed strings.Builder
	require.NoError(t, c.Print(&printed))
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("configuration", "config", c, "uri", c.MongoDBURI)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("configuration", "config", c, "uri", c.MongoDBURI)
	for name, shown := range map[string]string{
		"Print": printed.String(), "JSON": string(encoded), "logs": logged.String(),
		"%v": fmt.Sprintf("%v", c), "%+v": fmt.Sprintf("%+v", c), "%s": fmt.Sprintf("%s %q", c, c.AMQPURL),
		"%#v": fmt.Sprintf("%#v", c.MongoDBURI), "pointer": fmt.Sprintf("%+v", &c),
		"wrong": config.Secret("hunter2").String() + config.Secret("x hunter2://hunter2").String(),
	} {
		assert.NotContains(t, shown, "hunter2", name)
	}
	assert.Contains(t, printed.String(), "mongodb://root:***@db:27017/?authMechanismProperties=***&tlsCertificateKeyFilePassword=***&appName=x")
	assert.Empty(t, config.Secret("").String())
	assert.Equal(t, "mongodb://127.0.0.1:27017", config.Secret("mongodb://127.0.0.1:27017").String())

	for _, p := range problemsOf(t, append(environ, "MONGODB_URI_FILE=x", "AMQP_URL_FILE=x", "TEMPORAL_API_KEY_FILE=x",
		"TEMPORAL_UI_URL=http://me:hunter2@ui")...) {
		assert.NotContains(t, p.String(), "hunter2")
	}
}

func TestPrintIsAnAlignedTable(t *testing.T) {
	c, err := config.Load([]string{"SHIPMENT_DEADLINE=5d"})
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, c.Print(&b))
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	column := strings.Index(lines[0], "FROM")
	settings := c.Settings()
	require.Len(t, lines, len(settings)+1)
	for i, s := range settings {
		assert.Equal(t, string(s.Source), lines[i+1][column:])
		assert.True(t, strings.HasPrefix(lines[i+1], s.Name+" "), lines[i+1])
	}
}

func TestPrintReportsWriteError(t *testing.T) {
	c, err := config.Load(nil)
	require.NoError(t, err)
	assert.ErrorIs(t, c.Print(brokenWriter{}), errBroken)
	assert.ErrorIs(t, config.WriteMarkdown(brokenWriter{}), errBroken)
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestSettingsTableIsComplete(t *testing.T) {
	var markdown strings.Builder
	require.NoError(t, config.WriteMarkdown(&markdown))
	seen := make(map[string]bool)
	for _, v := range config.Variables() {
		assert.NotEmpty(t, v.Meaning, v.Name)
		assert.True(t, strings.HasSuffix(v.Meaning, "."), v.Name)
		assert.False(t, seen[v.Name], v.Name)
		seen[v.Name] = true
		assert.Contains(t, markdown.String(), "| `"+v.Name+"` |")
	}
}

// known reports whether name is a variable of the table, or names the file of one of its secrets.
func known(name string) bool {
	return slices.ContainsFunc(config.Variables(), func(s config.Setting) bool { return name == s.Name || s.Secret && name == s.Name+"_FILE" })
}

func TestDurationsRoundTrip(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"6d": 144 * time.Hour, "1d12h": 36 * time.Hour, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour,
		"1d1s": 24*time.Hour + time.Second, "1.5h": 90 * time.Minute, "10ms": 10 * time.Millisecond, "0d": 0,
	} {
		got, err := config.ParseDuration(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
		back, err := config.ParseDuration(config.FormatDuration(got))
		require.NoError(t, err, text)
		assert.Equal(t, got, back, text)
	}
	for d, want := range map[time.Duration]string{
		30 * time.Minute: "30m", 144 * time.Hour: "6d", 36 * time.Hour: "1d12h", time.Minute + time.Second: "1m1s",
		10 * time.Minute: "10m", 10 * time.Hour: "10h", 0: "0s", 24*time.Hour + 20*time.Second: "1d20s", 25*time.Hour + time.Second: "1d1h0m1s",
	} {
		assert.Equal(t, want, config.FormatDuration(d))
	}
}

func TestLogFormatDependsOnTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	assert.Equal(t, config.LogJSON, config.LogAuto.For(f))
	assert.Equal(t, config.LogText, config.LogText.For(f))
	require.NoError(t, f.Close())
	assert.Equal(t, config.LogJSON, config.LogAuto.For(f))
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	assert.Equal(t, config.LogText, config.LogAuto.For(null), "a device, as a terminal is")
}

func ExampleLoad() {
	_, err := config.Load([]string{"HTTP_ADDR=0.0.0.0:8080", "ATTENTION_AFTER=soon"})
	fmt.Println(err)
	// Output:
	// the configuration is invalid:
	//   ATTENTION_AFTER=soon: expected a duration above zero, such as 90s, 5m, 2h30m or 6d
	//   PAYMENT_GATEWAY is not set: expected simulator, stripe or http, set explicitly, because HTTP_ADDR=0.0.0.0:8080 can be reached from other machines
}
