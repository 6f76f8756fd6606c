package api_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/auth/authtest"
	"github.com/ordersaga/ordersaga/internal/keyset"
	"github.com/ordersaga/ordersaga/internal/payloads"
)

const webUI = "https://temporal.example.com"

// codecOf is a codec with a key that is its ID, repeated.
func codecOf(t testing.TB, id string) payloads.Codec {
	t.Helper()
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(id, keyset.KeyBytes)[:keyset.KeyBytes]))
	set, err := keyset.Parse(id + " " + key)
	require.NoError(t, err)
	return payloads.NewCodec(set)
}

// codecServer is a codec server, whose callers have tokens.
type codecServer struct {
	t       testing.TB
	server  *api.Server
	codec   payloads.Codec
	log     *strings.Builder
	payload *commonpb.Payload
}

func newCodecServer(t testing.TB, change ...func(*api.Config)) *codecServer {
	t.Helper()
	s := &codecServer{t: t, codec: codecOf(t, "a"), log: new(strings.Builder)}
	var err error
	s.payload, err = converter.GetDefaultDataConverter().ToPayload("ada.lovelace@example.com")
	require.NoError(t, err)
	c := api.Config{
		Ready: func(context.Context) []api.Check { return nil }, CORSOrigins: []string{webUI},
		Auth: auth.Combined{Keys: auth.NewKeyring(new(authtest.Store), nil), Tokens: tokens{
			"operator": {Actor: "operator", Scopes: []auth.Scope{auth.Operate}},
			"shop":     {Actor: "shop", Scopes: []auth.Scope{auth.OrdersRead, auth.OrdersWrite}},
			"customer": {Actor: "customer", CustomerID: "c-1", Scopes: []auth.Scope{auth.Operate}},
		}},
		Logger: slog.New(slog.NewJSONHandler(&locked{w: s.log}, nil)),
	}
	for _, do := range change {
		do(&c)
	}
	s.server, err = api.NewCodec(c, s.codec)
	require.NoError(t, err)
	return s
}

func (s *codecServer) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	r := httptest.NewRequest(method, "http://localhost:8081"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, r)
	return answer{status: w.Code, header: w.Header(), body: w.Body.String()}
}

// encoded is a body with the payload as a codec encrypts it.
func (s *codecServer) encoded(codec payloads.Codec) string {
	s.t.Helper()
	encrypted, err := codec.Encode([]*commonpb.Payload{s.payload, s.payload})
	require.NoError(s.t, err)
	raw, err := protojson.Marshal(&commonpb.Payloads{Payloads: append(encrypted, s.payload)})
	require.NoError(s.t, err)
	require.Contains(s.t, string(raw), "encryption-key-id")
	return string(raw)
}

// TestCodecServesTheSDK: the SDK's own client of remote codecs encrypts and decrypts.
func TestCodecServesTheSDK(t *testing.T) {
	s := newCodecServer(t)
	listening := httptest.NewServer(s.server)
	defer listening.Close()
	remote := converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{
		Endpoint: listening.URL, ModifyRequest: func(r *http.Request) error {
			r.Header.Set("Authorization", "Bearer operator")
			r.Header.Set("X-Namespace", "default")
			return nil
		},
	})
	encrypted, err := remote.Encode([]*commonpb.Payload{s.payload})
	require.NoError(t, err)
	require.NotContains(t, encrypted[0].String(), "ada.lovelace")
	local, err := s.codec.Decode(encrypted)
	require.NoError(t, err)
	require.True(t, proto.Equal(s.payload, local[0]))
	plain, err := remote.Decode(append(encrypted, s.payload))
	require.NoError(t, err)
	require.Len(t, plain, 2)
	for _, p := range plain {
		require.True(t, proto.Equal(s.payload, p), "what is not encrypted is passed on")
	}
	_, err = converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{Endpoint: listening.URL}).Decode(encrypted)
	require.ErrorContains(t, err, "Unauthorized")
	require.NotContains(t, s.log.String(), "ada.lovelace")
}

func TestCodecRefusesWrongCredentials(t *testing.T) {
	s := newCodecServer(t)
	body := s.encoded(s.codec)
	for name, c := range map[string]struct {
		status  int
		headers []string
	}{
		"none":                        {http.StatusUnauthorized, nil},
		"empty":                       {http.StatusUnauthorized, []string{"Authorization", ""}},
		"another scheme":              {http.StatusUnauthorized, []string{"Authorization", "Basic b3BlcmF0b3I6"}},
		"no scheme":                   {http.StatusUnauthorized, []string{"Authorization", "operator"}},
		"unknown token":               {http.StatusUnauthorized, []string{"Authorization", "Bearer operators"}},
		"unknown key":                 {http.StatusUnauthorized, []string{"Authorization", "Bearer osk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}},
		"two headers":                 {http.StatusUnauthorized, []string{"Authorization", "Bearer operator", "Authorization", "Bearer operator"}},
		"a cookie":                    {http.StatusUnauthorized, []string{"Cookie", "Authorization=Bearer operator"}},
		"too long":                    {http.StatusUnauthorized, []string{"Authorization", "Bearer " + strings.Repeat("a", 20_000)}},
		"no scope":                    {http.StatusForbidden, []string{"Authorization", "Bearer shop"}},
		"limited to one customer":     {http.StatusForbidden, []string{"Authorization", "Bearer customer"}},
		"another origin":              {http.StatusForbidden, []string{"Authorization", "Bearer operator", "Origin", "https://evil.example"}},
		"another port of the origin":  {http.StatusForbidden, []string{"Authorization", "Bearer operator", "Origin", webUI + ":8443"}},
		"a subdomain of the origin":   {http.StatusForbidden, []string{"Authorization", "Bearer operator", "Origin", "https://a.temporal.example.com"}},
		"no origin, from another one": {http.StatusForbidden, []string{"Authorization", "Bearer operator", "Sec-Fetch-Site", "cross-site"}},
		"another host":                {http.StatusMisdirectedRequest, []string{"Authorization", "Bearer operator", "Host", "evil.example"}},
	} {
		for _, path := range []string{"/decode", "/encode", "/decode/"} {
			r := httptest.NewRequest(http.MethodPost, "http://localhost"+path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			for i := 0; i+1 < len(c.headers); i += 2 {
				if c.headers[i] == "Host" {
					r.Host = c.headers[i+1]
					continue
				}
				r.Header.Add(c.headers[i], c.headers[i+1])
			}
			w := httptest.NewRecorder()
			s.server.ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code, name)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), name)
			require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"), name)
			require.NotContains(t, w.Body.String(), "payloads", name)
		}
	}
	require.NotContains(t, s.log.String(), "ada.lovelace")
	require.NotContains(t, s.log.String(), "operators")
}

// TestCodecIsUsedByTheWebUI: a browser asks first, and the answer may be read by the page of the Web UI.
func TestCodecIsUsedByTheWebUI(t *testing.T) {
	s := newCodecServer(t)
	a := s.do(http.MethodOptions, "/decode", "", "Origin", webUI, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,x-namespace")
	require.Equal(t, http.StatusNoContent, a.status)
	require.Equal(t, webUI, a.header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "Authorization, Content-Type, X-Namespace", a.header.Get("Access-Control-Allow-Headers"))
	require.Contains(t, a.header.Get("Access-Control-Allow-Methods"), "POST")
	require.Empty(t, a.header.Get("Access-Control-Allow-Credentials"))
	a = s.do(http.MethodPost, "/decode", s.encoded(s.codec), "Origin", webUI, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors",
		"Authorization", "Bearer operator", "X-Namespace", "default")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, webUI, a.header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	var decoded commonpb.Payloads
	require.NoError(t, protojson.Unmarshal([]byte(a.body), &decoded))
	require.Len(t, decoded.GetPayloads(), 3)
	for _, p := range decoded.GetPayloads() {
		require.True(t, proto.Equal(s.payload, p))
	}
	a = s.do(http.MethodOptions, "/decode", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
	require.Equal(t, http.StatusForbidden, a.status)
	require.Empty(t, a.header.Get("Access-Control-Allow-Origin"))
}

func TestCodecRefusesBadInput(t *testing.T) {
	s := newCodecServer(t, func(c *api.Config) { c.RateLimit = api.RateLimit{Requests: 100, Per: time.Minute} })
	tampered := strings.Replace(s.encoded(s.codec), `"data":"`, `"data":"AAAA`, 1)
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"too large":                     {http.StatusRequestEntityTooLarge, fmt.Sprintf(`{"payloads":[{"data":%q}]}`, strings.Repeat("A", 4<<20))},
		"no JSON":                       {http.StatusBadRequest, "ada.lovelace"},
		"not an object":                 {http.StatusBadRequest, "[]"},
		"no payloads":                   {http.StatusBadRequest, `{"payloads":{}}`},
		"null":                          {http.StatusBadRequest, `{"payloads":[null]}`},
		"no base64":                     {http.StatusBadRequest, `{"payloads":[{"data":"*"}]}`},
		"unknown field":                 {http.StatusBadRequest, `{"payloads":[],"secret":"ada.lovelace"}`},
		"nested too deeply":             {http.StatusBadRequest, strings.Repeat("[", 100_000)},
		"changed":                       {http.StatusUnprocessableEntity, tampered},
		"another key":                   {http.StatusUnprocessableEntity, s.encoded(codecOf(t, "b"))},
		"no key ID":                     {http.StatusUnprocessableEntity, `{"payloads":[{"metadata":{"encoding":"YmluYXJ5L2VuY3J5cHRlZA=="}}]}`},
		"empty body":                    {http.StatusBadRequest, ""},
		"payloads that are no payloads": {http.StatusBadRequest, `{"payloads":["ada.lovelace"]}`},
	} {
		a := s.do(http.MethodPost, "/decode", c.body, "Authorization", "Bearer operator")
		require.Equal(t, c.status, a.status, "%s: %s", name, a.body)
		a.problem(t)
		require.NotContains(t, a.body, "ada.lovelace", name)
	}
	a := s.do(http.MethodPost, "/decode", `{"payloads":[]}`, "Authorization", "Bearer operator", "Content-Type", "text/plain")
	require.Equal(t, http.StatusUnsupportedMediaType, a.status)
	a = s.do(http.MethodPost, "/decode", `{}`, "Authorization", "Bearer operator")
	require.Equal(t, http.StatusOK, a.status)
	require.JSONEq(t, `{}`, a.body)
	require.NotContains(t, s.log.String(), "ada.lovelace")
	for range 100 {
		a = s.do(http.MethodPost, "/decode", `{}`, "Authorization", "Bearer operator")
	}
	require.Equal(t, http.StatusTooManyRequests, a.status)
}

// TestCodecServesNothingElse: of the API it has the probes.
func TestCodecServesNothingElse(t *testing.T) {
	s := newCodecServer(t)
	require.ElementsMatch(t, []string{"POST /decode", "POST /encode", "GET /livez", "GET /readyz", "GET /metrics"}, s.server.RouterRoutes())
	for path, status := range map[string]int{"/livez": http.StatusOK, "/readyz": http.StatusOK, "/metrics": http.StatusOK, "/v1/orders": http.StatusNotFound, "/": http.StatusNotFound} {
		require.Equal(t, status, s.do(http.MethodGet, path, "").status, path)
	}
	require.Equal(t, http.StatusMethodNotAllowed, s.do(http.MethodGet, "/decode", "").status)
}

// FuzzCodec takes any body: it is decrypted, or refused as the caller's fault.
func FuzzCodec(f *testing.F) {
	s := newCodecServer(f, func(c *api.Config) { c.Auth, c.Logger = nil, nil })
	f.Add([]byte(s.encoded(s.codec)))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := *s
		s.t = t
		for _, path := range []string{"/decode", "/encode"} {
			a := s.do(http.MethodPost, path, string(body))
			require.Contains(t, []int{http.StatusOK, http.StatusBadRequest, http.StatusUnprocessableEntity}, a.status, "%s", a.body)
			if a.status == http.StatusOK {
				require.NoError(t, protojson.Unmarshal([]byte(a.body), new(commonpb.Payloads)))
			}
		}
	})
}
