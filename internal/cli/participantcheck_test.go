package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/participantcheck"
)

// participantCheck runs the command, and returns its standard output.
func participantCheck(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := root("test")
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs(append([]string{"participant-check"}, args...))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// TestParticipantCheck: a service that reserves nothing fails, and the output says where and what to do.
func TestParticipantCheck(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/traits" {
			_, _ = io.WriteString(w, `{"name": "test", "contract": 1, "provides": ["inventory"]}`)
			return
		}
		_, _ = io.WriteString(w, `{"result": "undone"}`)
	}))
	defer server.Close()
	t.Setenv("PARTICIPANT_SECRET", "")
	t.Setenv("PARTICIPANT_SECRET_FILE", "")

	out, err := participantCheck(t, "inventory", server.URL)
	require.ErrorIs(t, err, errRulesBroken)
	assert.Equal(t, 1, exitCode(err))
	assert.Regexp(t, `(?m)^ok    traits `, out)
	assert.Regexp(t, `(?m)^FAIL  test-data `, out)
	assert.Regexp(t, `sent      PUT /reservations/[0-9a-f-]{36} \{"lines":\[\{"sku":"tea","quantity":10\}\],"orderId":"check-`, out)
	assert.Contains(t, out, `came      200 {"result": "undone"}`)
	assert.Contains(t, out, `expected  200 with "result": "done"`)
	assert.Contains(t, out, "fix       Check the test data: --sku")
	assert.Regexp(t, `(?m)^skip  oversell .*\(rule test-data failed\)$`, out)
	assert.Contains(t, out, "1 rules passed, 1 failed, ")

	out, err = participantCheck(t, "inventory", server.URL, "--json", "--rule", "traits")
	require.NoError(t, err)
	var report participantcheck.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.True(t, report.Passed)
	require.Len(t, report.Results, 1)

	_, err = participantCheck(t, "payment", "nowhere")
	require.ErrorContains(t, err, "expected http:// or https://")
}
