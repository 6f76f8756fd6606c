package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics counts requests. Labels are routes, never paths: their number is bounded.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	streams  prometheus.Gauge
	// routes are the labels that routes may have.
	routes map[string]bool
}

// RegisterMetrics registers the metrics of a Server that serves nothing, for the documentation.
func RegisterMetrics(registry prometheus.Registerer) error {
	_, err := newMetrics(registry, nil)
	return err
}

// newMetrics registers the metrics, and Go's and the process's own unless they are registered.
func newMetrics(registry prometheus.Registerer, routes []route) (*metrics, error) {
	m := &metrics{
		routes: make(map[string]bool, len(routes)),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordersaga_http_requests_total",
			Help: "Answered HTTP requests, by method, route and status.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ordersaga_http_request_duration_seconds",
			Help: "Time from a request to the end of its answer, by method and route. Event streams are not included.",
			// To the longest Prefer: wait.
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"method", "route"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordersaga_http_event_streams",
			Help: "Open event streams.",
		}),
	}
	for _, r := range routes {
		m.routes[pathOf(r.path)] = true
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.streams} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the api: %w", err)
		}
	}
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &already) {
			return nil, fmt.Errorf("register metrics of the process: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) observe(c echo.Context, took time.Duration) {
	method, route := methodLabel(c.Request().Method), m.routeLabel(c)
	m.requests.WithLabelValues(method, route, strconv.Itoa(c.Response().Status)).Inc()
	if c.Response().Header().Get(echo.HeaderContentType) != typeEventStream {
		m.duration.WithLabelValues(method, route).Observe(took.Seconds())
	}
}

// methodLabel keeps made-up methods out of the labels.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// routeLabel is the route of the request. It is one of the routes that are served, or none, whatever the router makes of a path.
func (m *metrics) routeLabel(c echo.Context) string {
	if label := pathOf(c.Path()); m.routes[label] {
		return label
	}
	return "none"
}
