package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// secret is a text that occurs nowhere else, of letters and digits alone: no encoding but base64 and hex changes it.
func secret() string {
	raw := make([]byte, 12)
	_, _ = rand.Read(raw) // never fails
	return "s" + hex.EncodeToString(raw)
}

// contains reports whether data has a secret, as it is, in hex, or in base64 at any position.
func contains(data []byte, secret string) bool {
	forms := []string{secret, hex.EncodeToString([]byte(secret))}
	for skipped := range 3 {
		inner := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", skipped) + secret))
		// The first and the last characters depend on what is beside the secret.
		first := (skipped*8 + 5) / 6
		forms = append(forms, inner[first:len(inner)-1])
	}
	return slices.ContainsFunc(forms, func(form string) bool { return bytes.Contains(data, []byte(form)) })
}

// recorded keeps everything that is written to it.
type recorded struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *recorded) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *recorded) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.text.Bytes())
}

// privateRun is a run with secrets and personal data, and everything that it left.
type privateRun struct {
	// personal are data of a customer, in the profile; sent are what senders wrote into messages that became dead letters; secrets are passwords
	// and keys; sku is what an order is about.
	personal, sent, secrets []string
	sku                     string
	// left are the places.
	left map[string][]byte
}

// found are the secrets that a place has.
func (r *privateRun) found(place string, secrets ...string) (found []string) {
	for _, s := range secrets {
		if contains(r.left[place], s) {
			found = append(found, s)
		}
	}
	return found
}

// Places that a run leaves something in.
const (
	inLog      = "the log, with a dump of the goroutines"
	inMetrics  = "metrics"
	inTraces   = "traces"
	inConfig   = "the output of config"
	inMongoDB  = "MongoDB"
	inFiles    = "the files of MongoDB"
	inTemporal = "the files of Temporal"
	inEvents   = "published events"
	inErrors   = "answers with errors, and lists"
	inBroker   = "the files of RabbitMQ"
	inServers  = "the logs of the servers"
)

// keyFile writes a new key, and returns the file and the key.
func keyFile(t *testing.T) (name, key string) {
	t.Helper()
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	key = base64.StdEncoding.EncodeToString(raw)
	name = filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(name, []byte("2026 "+key+"\n"), 0o600))
	return name, key
}

// runPrivately has a customer register, buy, pay and cancel; some messages become dead letters; then the service ends with a dump of its goroutines.
func runPrivately(t *testing.T, protected bool) *privateRun {
	s := newMailed(t)
	collected, log := newSpans(t, nil), &recorded{}
	email, name, password := secret(), secret(), secret()
	r := &privateRun{personal: []string{email, name}, secrets: []string{password}, left: make(map[string][]byte)}
	env := append(slices.Clone(s.env), collected.env()...)
	env = append(env, "MONGODB_DATABASE="+s.database, "LOG_LEVEL=debug", "LOG_FORMAT=json", "RECONCILE_EVERY=0", "API_AUTH=keys", "GOTRACEBACK=all",
		"SMTP_URL=smtp://shop@"+s.server.Addr(), "SMTP_PASSWORD="+password, "OTEL_EXPORTER_OTLP_HEADERS=authorization="+password)
	if protected {
		for _, setting := range []string{"PAYLOAD_KEYS_FILE", "SEAL_MASTER_KEY_FILE"} {
			file, key := keyFile(t)
			env, r.secrets = append(env, setting+"="+file), append(r.secrets, key)
		}
	}
	service, err := harness.Start(s.ctx, harness.Options{Binary: binary, Env: env, Output: log})
	require.NoError(t, err)
	t.Cleanup(service.Kill)
	env = append(environ(), env...)
	token := strings.TrimSpace(printed(t, env, "keys", "create", "--name", "all", "--scopes", "orders:read,orders:write,stock:read,stock:write,operate"))
	r.secrets = append(r.secrets, token)
	s.service, s.client = service, harness.Client{URL: service.URL, Token: token, Patient: true}
	s.listens()

	who := customer()
	s.registersAs(who, email+"@example.org", name)
	s.awaitEnds([]string{"notice-welcome-" + who}, "notice.sent")
	r.sku = s.sku(10)
	bought := s.buys(who, r.sku, "tok_visa")
	require.Equal(t, "completed", bought.Status)
	require.Equal(t, "rejected", s.buys(who, r.sku, "tok_declined").Status)
	o := harness.NewOrder(r.sku, 1, "tok_visa")
	o.CustomerID, o.Fulfillment = who, "shipment"
	open, err := s.client.Place(s.ctx, o, 0)
	require.NoError(t, err)
	answer, err := s.client.Cancel(s.ctx, open.ID, "requested")
	require.NoError(t, err)
	require.NoError(t, answer.Into(http.StatusOK, nil))
	s.ends(open.ID, "cancelled", "requested")

	r.left[inErrors] = s.deadPrivately(r, who)
	if protected {
		require.Contains(t, printed(t, env, "seal", "rotate-master"), "customers: 0 keys wrapped, 1 were already")
	}
	s.asks(r, bought.ID)
	r.left[inConfig] = printedSettings(t, env, password)
	for _, subject := range []string{who, bought.ID, open.ID} {
		for _, m := range harness.Outbound(s.tap.Of(subject)) {
			r.left[inEvents] = append(append(r.left[inEvents], fmt.Sprint(m.Headers)...), m.Body...)
		}
	}

	require.Eventually(t, func() bool { return bytes.Contains(collected.text(t), []byte(bought.ID)) }, patience, tick, "the order's spans are exported")
	require.NoError(t, service.Signal(syscall.SIGQUIT))
	select {
	case <-service.Done():
	case <-s.ctx.Done():
		require.FailNow(t, "the service does not end")
	}
	r.left[inLog], r.left[inTraces] = log.bytes(), collected.text(t)
	require.Contains(t, string(r.left[inLog]), "goroutine 1 ")
	marker := s.stores(r, protected)
	// The search finds what may be in each place.
	for place, known := range map[string]string{
		inLog: bought.ID, inMetrics: "ordersaga_sagas_ended_total", inTraces: bought.ID, inConfig: "MONGODB_URI", inMongoDB: who, inFiles: who,
		inTemporal: "order-" + bought.ID, inEvents: bought.ID, inErrors: bought.ID, inBroker: marker, inServers: marker,
	} {
		require.True(t, contains(r.left[place], known), "%s has %s", place, known)
	}
	return r
}

// asks has the API answer with lists and errors, one of them about a body with personal data. Metrics are read, too.
func (s *mailed) asks(r *privateRun, orderID string) {
	for _, request := range []struct {
		method, path string
		body         any
	}{
		{http.MethodGet, "/v1/orders?limit=x", nil}, {http.MethodGet, "/v1/dead-letters", nil}, {http.MethodGet, "/v1/orders/" + orderID + "/events", nil},
		{http.MethodGet, "/v1/sagas", nil}, {http.MethodPost, "/v1/orders", map[string]any{"customerId": map[string]string{"name": r.personal[0]}, "lines": r.personal[1]}},
		{http.MethodPost, "/v1/stock/tea/receipts", map[string]string{"quantity": r.personal[0]}},
	} {
		answer, err := s.client.Do(s.ctx, request.method, request.path, request.body)
		require.NoError(s.t, err)
		r.left[inErrors] = append(r.left[inErrors], answer.Body...)
	}
	answer, err := s.client.Do(s.ctx, http.MethodGet, "/metrics", nil)
	require.NoError(s.t, err)
	r.left[inMetrics] = answer.Body
}

// printedSettings is what the command config prints of settings with passwords, valid and invalid ones.
func printedSettings(t *testing.T, env []string, password string) []byte {
	t.Helper()
	masked := append(slices.Clone(env), "MONGODB_URI=mongodb://user:"+password+"@127.0.0.1/", "AMQP_URL=amqp://user:"+password+"@127.0.0.1/")
	valid := printed(t, masked, "config")
	refused, err := command(t, append(masked, "HTTP_ADDR=wrong", "PAYLOAD_KEYS_FILE=", "PAYLOAD_KEYS="+password, "SEAL_MASTER_KEY_FILE=", "SEAL_MASTER_KEY="+password), "config")
	require.Error(t, err)
	return []byte(valid + refused)
}

// registersAs publishes the registration of a customer.
func (s *mailed) registersAs(customerID, email, name string) {
	s.t.Helper()
	require.NoError(s.t, s.bus.PublishJSON(s.ctx, harness.Exchange, "UserRegistered", "application/json", map[string]any{
		"id": customerID + "-1", "aggregateId": customerID, "eventType": "UserRegistered", "occurredAt": time.Now().UTC().Format(time.RFC3339Nano),
		"data": map[string]string{"email": email, "username": name},
	}))
}

// deadPrivately has messages with personal data become dead letters: two that nothing can be done about, one of them a registration. Callers with
// the scope operate, and the command line, see the content of a letter. It returns the list, as it is shown without content.
func (s *mailed) deadPrivately(r *privateRun, who string) []byte {
	t := s.t
	t.Helper()
	body, header, address := secret(), secret(), secret()
	r.sent = []string{body, header, address}
	lost := uuid.NewString()
	require.NoError(t, s.bus.PublishRaw(s.ctx, harness.Exchange, "order.created", amqp.Publishing{
		ContentType: "application/json", MessageId: lost, AppId: header, Headers: amqp.Table{"x-customer": header},
		Body: fmt.Appendf(nil, `{"id":%q,"type":"order.created","subject":%q,"data":{"customerId":%q,"address":%q}}`, lost, "o-"+lost, who, body),
	}))
	refused := uuid.NewString()
	require.NoError(t, s.bus.PublishJSON(s.ctx, harness.Exchange, "UserRegistered", "application/json", map[string]any{
		"id": refused, "aggregateId": who, "eventType": "UserRegistered", "data": map[string]string{"email": address + " is no address", "username": address},
	}))
	letter := s.dead(lost)
	s.dead(refused)
	answer, err := s.client.Do(s.ctx, http.MethodGet, "/v1/dead-letters/"+letter.ID, nil)
	require.NoError(t, err)
	require.Contains(t, string(answer.Body), body)
	require.Contains(t, string(answer.Body), header)
	listed, err := s.client.Do(s.ctx, http.MethodGet, "/v1/dead-letters", nil)
	require.NoError(t, err)
	return listed.Body
}

// text is everything that the collector got.
func (s *spans) text(t *testing.T) []byte {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var text []byte
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		raw, err := json.Marshal(s.byID[id])
		require.NoError(t, err)
		text = append(append(text, raw...), '\n')
	}
	return text
}

// TestSecretsAreFoundInEveryForm: the search of this file finds a text as it is, in hex, and in base64 at any position.
func TestSecretsAreFoundInEveryForm(t *testing.T) {
	s := secret()
	for before := range 7 {
		text := strings.Repeat("a", before) + s + "zz"
		for _, form := range []string{text, hex.EncodeToString([]byte(text)), base64.StdEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text))} {
			require.True(t, contains([]byte(form), s), form)
			require.False(t, contains([]byte(form), secret()))
		}
	}
}

// TestNothingPrivateIsLeft: after a run with keys for payloads and sealed data, no secret and no personal data is in logs, dumps of goroutines,
// metrics, traces, errors, settings as they are printed, published events, MongoDB, or Temporal. Without keys the search finds what is stored as it is.
//
// Messages that others publish with personal data are the broker's: its files have them until they are written anew. make long has the broker do that.
func TestNothingPrivateIsLeft(t *testing.T) {
	t.Run("without keys", func(t *testing.T) {
		r := runPrivately(t, false)
		require.NotEmpty(t, r.found(inTemporal, r.sku), "histories are not encrypted")
		require.Equal(t, r.sent, r.found(inMongoDB, r.sent...), "dead letters are not sealed")
		for _, place := range []string{inLog, inMetrics, inTraces, inConfig, inEvents, inErrors} {
			require.Empty(t, r.found(place, slices.Concat(r.personal, r.sent, r.secrets)...), place)
		}
		for _, place := range []string{inMongoDB, inFiles, inTemporal} {
			require.Empty(t, r.found(place, slices.Concat(r.personal, r.secrets)...), "profiles are sealed in any case: %s", place)
		}
	})
	t.Run("with keys", func(t *testing.T) {
		r := runPrivately(t, true)
		for place := range r.left {
			if place == inBroker && !ownBroker {
				continue
			}
			require.Empty(t, r.found(place, slices.Concat(r.personal, r.sent, r.secrets)...), place)
		}
		require.Empty(t, r.found(inTemporal, r.sku), "histories are encrypted")
	})
}
