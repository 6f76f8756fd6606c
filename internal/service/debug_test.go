package service

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProfilerListensOnLoopback(t *testing.T) {
	handler := fromHere(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	for host, want := range map[string]int{
		"127.0.0.1:6060": 200, "localhost:6060": 200, "localhost": 200, "[::1]:6060": 200,
		"evil.example:6060": 403, "10.0.0.1:6060": 403, "": 403, "127.0.0.1.evil.example": 403,
	} {
		request := httptest.NewRequest(http.MethodGet, "/debug/pprof/", nil)
		request.Host = host
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		require.Equal(t, want, answer.Code, host)
	}
}

func TestProfilerIsOffByDefault(t *testing.T) {
	server, err := listenDebug(t.Context(), "")
	require.NoError(t, err)
	require.Nil(t, server)
}
