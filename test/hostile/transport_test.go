package hostile_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/hostile"
)

// answers answers every request.
type answers http.HandlerFunc

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	a(w, r)
	return w.Result(), nil
}

func TestTransportReportsWhatIsNotAsDescribed(t *testing.T) {
	document, err := os.ReadFile("../../api/openapi.yaml")
	require.NoError(t, err)
	spec, err := hostile.Load(document)
	require.NoError(t, err)
	const stock, found = `{"sku":"tea","onHand":5,"reserved":0,"available":5,"version":1}`, http.StatusOK
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		answer             string
		problem            string
	}{
		"as described":       {http.MethodGet, "/v1/stock/tea", "", found, stock, ""},
		"unknown field":      {http.MethodGet, "/v1/stock/tea", "", found, strings.Replace(stock, "{", `{"colour":"green",`, 1), "colour"},
		"unknown status":     {http.MethodGet, "/v1/stock/tea", "", http.StatusCreated, stock, "status 201 is not documented"},
		"unknown path":       {http.MethodGet, "/v1/tea", "", found, stock, "no operation"},
		"accepted request":   {http.MethodPost, "/v1/stock/tea/receipts", `{"quantity":0}`, http.StatusCreated, stock, "not as described"},
		"page of others":     {http.MethodGet, "/api/queues", "", found, "[]", ""},
		"error without code": {http.MethodGet, "/v1/stock/tea", "", http.StatusNotFound, `{"status":404}`, "content type"},
	} {
		t.Run(name, func(t *testing.T) {
			var reported []string
			client := http.Client{Transport: &hostile.Transport{Spec: spec, Report: func(err error) { reported = append(reported, err.Error()) }, Base: answers(
				func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					w.Header().Set("X-Correlation-Id", "1")
					w.WriteHeader(test.status)
					_, _ = io.WriteString(w, test.answer)
				})}}
			r, err := http.NewRequestWithContext(t.Context(), test.method, "http://service"+test.path, strings.NewReader(test.body))
			require.NoError(t, err)
			if test.body != "" {
				r.Header.Set("Content-Type", "application/json")
			}
			response, err := client.Do(r)
			require.NoError(t, err)
			raw, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, test.answer, string(raw))
			if test.problem == "" {
				require.Empty(t, reported)
				return
			}
			require.Len(t, reported, 1)
			require.Contains(t, reported[0], test.problem)
		})
	}
}
