// Package tracing exports traces with OpenTelemetry, as its standard variables say (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER and so
// on; https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), and has Temporal's SDK make spans.
//
// It sets no global provider: the first span of a trace is made with Tracer or by the interceptors, and the others inside it, by internal/trace.
package tracing

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/ordersaga/ordersaga/internal/trace"
)

// Config is what an export needs besides the standard variables.
type Config struct {
	// Protocol is http/protobuf or grpc.
	Protocol string
	// Version is the version of the service.
	Version string
	// OnError is called with what goes wrong with the export. It must not block.
	OnError func(error)
}

// serviceName is the name of the service in traces, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES has another one.
const serviceName = "ordersaga"

// Wanted reports whether the variables have traces exported: an endpoint is set, and the SDK is not disabled.
func Wanted(lookup func(name string) string) bool {
	endpoint := cmp.Or(lookup("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), lookup("OTEL_EXPORTER_OTLP_ENDPOINT"))
	return endpoint != "" && lookup("OTEL_SDK_DISABLED") != "true" && lookup("OTEL_TRACES_EXPORTER") != "none"
}

// Tracing is an export of traces. A nil one exports nothing.
type Tracing struct{ provider *sdktrace.TracerProvider }

// New returns an export of traces; nil when the variables of the process do not have them exported. It does not wait for the collector: spans
// are kept for it, as many as OTEL_BSP_MAX_QUEUE_SIZE says.
func New(ctx context.Context, c Config) (*Tracing, error) {
	if !Wanted(os.Getenv) {
		return nil, nil //nolint:nilnil // none is what no endpoint means
	}
	var client otlptrace.Client
	switch c.Protocol {
	case "grpc":
		client = otlptracegrpc.NewClient()
	default:
		client = otlptracehttp.NewClient()
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(c.OnError))
	exporter, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("export of traces: %w", err)
	}
	t, err := start(ctx, c, sdktrace.WithBatcher(exporter))
	if err != nil {
		return nil, fmt.Errorf("export of traces: %w", err)
	}
	return t, nil
}

// To exports each span to an exporter as it ends, for tests.
func To(ctx context.Context, exporter sdktrace.SpanExporter) (*Tracing, error) {
	return start(ctx, Config{}, sdktrace.WithSyncer(exporter))
}

func start(ctx context.Context, c Config, o sdktrace.TracerProviderOption) (*Tracing, error) {
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", serviceName), attribute.String("service.version", c.Version)), resource.WithFromEnv())
	if err != nil {
		return nil, err
	}
	return &Tracing{sdktrace.NewTracerProvider(o, sdktrace.WithResource(about), sdktrace.WithIDGenerator(ids{}))}, nil
}

// Tracer makes the first spans; nil when traces are not exported.
func (t *Tracing) Tracer() oteltrace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer(trace.Scope)
}

// Stop exports what is left, until the context ends.
func (t *Tracing) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}
