package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/client"
)

// api answers every request of a command, and keeps the last one.
type fakeAPI struct {
	path, body, key, prefer, authorization string
	status                                 int
	answer, contentType                    string
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	f.path, f.body, f.key = r.URL.EscapedPath(), string(raw), r.Header.Get("Idempotency-Key")
	if f.contentType != "" {
		w.Header().Set("Content-Type", f.contentType)
	}
	f.prefer, f.authorization = r.Header.Get("Prefer"), r.Header.Get("Authorization")
	w.WriteHeader(f.status)
	_, _ = io.WriteString(w, f.answer)
}

// runREST runs a command with an API that answers.
func runREST(t *testing.T, f *fakeAPI, args ...string) (string, error) {
	t.Helper()
	server := httptest.NewServer(f)
	defer server.Close()
	t.Setenv("ORDERSAGA_URL", server.URL+"/")
	t.Setenv("ORDERSAGA_API_KEY", "secret")
	var out bytes.Buffer
	cmd := root("test")
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestRefundCommand(t *testing.T) {
	f := &fakeAPI{status: http.StatusAccepted, answer: `{"id":"r-1","status":"accepted","amount":450,"currency":"EUR","refusal":null}`}
	out, err := runREST(t, f, "refund", "shop 1", "--amount", "450", "--reason", "late", "--key", "k")
	require.NoError(t, err)
	require.Equal(t, "refund r-1 of 450 EUR: accepted\n", out)
	require.Equal(t, "/v1/orders/shop%201/refunds", f.path)
	require.JSONEq(t, `{"amount":450,"reason":"late"}`, f.body)
	require.Equal(t, "k", f.key)
	require.Equal(t, "Bearer secret", f.authorization)

	f.status, f.answer = http.StatusCreated, `{"id":"r-1","status":"refused","amount":450,"currency":"EUR","refusal":{"reason":"refused_by_gateway"}}`
	out, err = runREST(t, f, "refund", "o", "--line", "1:2", "--line", "a:b:1", "--restock", "--wait")
	require.ErrorIs(t, err, errNotCompleted)
	require.Contains(t, out, "refused, refused_by_gateway")
	require.JSONEq(t, `{"lines":[{"line":1,"quantity":2},{"sku":"a:b","quantity":1}],"restock":true}`, f.body)
	require.Regexp(t, "^wait=(59|60)$", f.prefer)
	require.NotEmpty(t, f.key)

	for _, args := range [][]string{{"refund", "o"}, {"refund", "o", "--amount", "1", "--line", "1:1"}, {"refund", "o", "--line", "1"}, {"refund", "o", "--line", "1:0"}} {
		_, err = runREST(t, f, args...)
		require.Error(t, err, "%q", args)
	}
}

func TestReturnCommands(t *testing.T) {
	f := &fakeAPI{status: http.StatusAccepted, answer: `{"id":"r-1","status":"announced","lines":[{"line":1,"sku":"tea","quantity":2,"received":0}]}`}
	out, err := runREST(t, f, "return", "o", "--line", "1:2", "--no-restock", "--id", "r-1")
	require.NoError(t, err)
	require.Equal(t, "return r-1: announced\nLINE  SKU  ANNOUNCED  RECEIVED\n1     tea  2          0\n", out)
	require.Equal(t, "/v1/orders/o/returns", f.path)
	require.JSONEq(t, `{"id":"r-1","lines":[{"line":1,"quantity":2}],"refund":true,"restock":false}`, f.body)

	f.status, f.answer = http.StatusOK, `{"id":"r-1","status":"completed","refundedAmount":900,"currency":"EUR","lines":[]}`
	out, err = runREST(t, f, "return", "receive", "o", "r-1", "--json")
	require.NoError(t, err)
	var answer client.Return
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.Equal(t, []any{"r-1", "completed", int64(900)}, []any{answer.ID, answer.Status, answer.RefundedAmount})
	require.Equal(t, "/v1/orders/o/returns/r-1/receipts", f.path)
	require.JSONEq(t, `{}`, f.body)
}

func TestProblemsOfTheAPIAreErrors(t *testing.T) {
	f := &fakeAPI{
		status: http.StatusConflict, contentType: "application/problem+json",
		answer: `{"title":"Less can still be returned","detail":"only 1 of line 1","code":"return_exceeds_delivered"}`,
	}
	_, err := runREST(t, f, "return", "o", "--line", "1:2")
	require.EqualError(t, err, "Less can still be returned: only 1 of line 1 (return_exceeds_delivered)")
	require.Equal(t, exitRefused, exitCode(err))
	f.status, f.answer = http.StatusNotImplemented, "<html>"
	_, err = runREST(t, f, "return", "o", "--line", "1:2")
	require.ErrorContains(t, err, "501")
	t.Setenv("ORDERSAGA_URL", "example.com")
	_, err = openRemote()
	require.ErrorContains(t, err, "https://")
}
