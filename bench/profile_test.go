package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// profiler is a process that profiles itself on request.
func profiler(t *testing.T, answer http.HandlerFunc) process {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	return process{name: "serve-2", role: "serve", profiler: u.Host}
}

func TestFirstTimedRoundIsProfiled(t *testing.T) {
	now := &round{runner: &runner{o: options{profile: "somewhere"}, paces: map[string]time.Duration{}}}
	require.False(t, now.profiles(), "counting is not timed")
	now.number = 1
	require.True(t, now.profiles())
	now.number = 2
	require.False(t, now.profiles())
	now.number, now.o.profile = 1, ""
	require.Nil(t, now.newProfile(&turn{}))
}

// A profile is as long as the scenario should take.
func TestProfileOfTheService(t *testing.T) {
	folder := t.TempDir()
	now := &round{runner: &runner{o: options{profile: folder}, paces: map[string]time.Duration{"rest": 30 * time.Millisecond}}, number: 1}
	served := profiler(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s for %s s", r.URL.Path, r.FormValue("seconds"))
	})
	p := now.newProfile(&turn{scenario: scenario{name: "rest"}, n: 100, service: &service{processes: []process{served}}})
	p.start(t.Context())
	require.NoError(t, p.finish())
	p.drop()
	text, err := os.ReadFile(filepath.Join(folder, "rest-serve-2.pprof"))
	require.NoError(t, err)
	require.Equal(t, "/debug/pprof/profile for 3 s", string(text))

	require.Equal(t, 1, (&profile{}).seconds())
	require.Equal(t, 60, (&profile{length: time.Hour}).seconds())
}

func TestFailedProfile(t *testing.T) {
	refused := profiler(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	p := &profile{folder: t.TempDir(), scenario: "rest", processes: []process{refused}}
	p.start(t.Context())
	require.ErrorContains(t, p.finish(), "profile ordersaga serve-2")

	// A turn that fails does not wait for its profile.
	asked := make(chan struct{})
	endless := profiler(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	p = &profile{folder: t.TempDir(), scenario: "rest", processes: []process{endless}}
	p.start(t.Context())
	<-asked
	p.drop()
	require.ErrorIs(t, p.failed, context.Canceled)
}

func TestProfileOfThisProcess(t *testing.T) {
	folder := t.TempDir()
	p := &profile{folder: folder, scenario: "floor"}
	p.start(t.Context())
	require.NoError(t, p.finish())
	p.drop()
	raw, err := os.ReadFile(filepath.Join(folder, "floor-bench.pprof"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(raw), "\x1f\x8b"), "profiles are compressed")
}
