package service

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

const profileTimeout = 10 * time.Minute

// listenDebug serves Go's profiler; nil when there is no address. It has a listener of its own: clients that may place orders
// may not look into the process.
func listenDebug(ctx context.Context, addr string) (*http.Server, error) {
	if addr == "" {
		return nil, nil //nolint:nilnil // none is what no address means
	}
	open, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("DEBUG_ADDR: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	// pprof refuses profiles that would take longer than the write timeout.
	server := &http.Server{Handler: fromHere(mux), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: profileTimeout, WriteTimeout: profileTimeout, IdleTimeout: 2 * time.Minute}
	go func() { _ = server.Serve(open) }()
	return server, nil
}

// fromHere refuses requests that name another host: a web page in a browser on this machine may have its own name lead here.
func fromHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "the profiler is only available from this machine", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
