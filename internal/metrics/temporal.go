package metrics

import (
	"fmt"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	bridge "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// temporalBuckets are for all times that the SDK measures.
var temporalBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600}

// NewTemporal makes a handler that shows the metrics of Temporal's SDK, under its names.
func NewTemporal(registry prometheus.Registerer) (client.MetricsHandler, error) {
	exporter, err := bridge.New(bridge.WithRegisterer(registry), bridge.WithoutScopeInfo(), bridge.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("metrics of Temporal's SDK: %w", err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter), sdkmetric.WithView(sdkmetric.NewView(
		sdkmetric.Instrument{Kind: sdkmetric.InstrumentKindHistogram},
		sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: temporalBuckets, NoMinMax: true}},
	)))
	return &remembering{handler: opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: provider.Meter("temporal-sdk-go"), UseMonotonicCounters: true, OnError: func(error) {},
	})}, nil
}

// remembering remembers what a handler makes: the SDK requests the same counters with the same tags for every task, and the handler makes
// each of them anew. The number of tags and names is bounded.
type remembering struct {
	handler client.MetricsHandler
	// tagged are the handlers with more tags, by these; the others are counters, gauges and timers by name.
	tagged, counters, gauges, timers sync.Map
}

func (r *remembering) WithTags(tags map[string]string) client.MetricsHandler {
	names := make([]string, 0, 8)
	for name := range tags {
		names = append(names, name)
	}
	slices.Sort(names)
	key := make([]byte, 0, 128)
	for _, name := range names {
		key = append(append(append(append(key, name...), 0), tags[name]...), 0)
	}
	return remember(&r.tagged, string(key), func() *remembering { return &remembering{handler: r.handler.WithTags(tags)} })
}

func (r *remembering) Counter(name string) client.MetricsCounter {
	return remember(&r.counters, name, func() client.MetricsCounter { return r.handler.Counter(name) })
}

func (r *remembering) Gauge(name string) client.MetricsGauge {
	return remember(&r.gauges, name, func() client.MetricsGauge { return r.handler.Gauge(name) })
}

func (r *remembering) Timer(name string) client.MetricsTimer {
	return remember(&r.timers, name, func() client.MetricsTimer { return r.handler.Timer(name) })
}

func remember[T any](in *sync.Map, key string, fresh func() T) T {
	known, ok := in.Load(key)
	if !ok {
		known, _ = in.LoadOrStore(key, fresh())
	}
	return known.(T)
}
