package tracing

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// TestSignalsAreLinkedWithTheirRun: the spans of a signal and of the run that it is sent to have links to each other, and what the run does
// after it is part of the run's trace.
func TestSignalsAreLinkedWithTheirRun(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	traces, err := To(t.Context(), exporter)
	require.NoError(t, err)
	all, err := traces.Interceptors()
	require.NoError(t, err)
	var interceptors []interceptor.WorkerInterceptor
	for _, i := range all {
		interceptors = append(interceptors, i.(interceptor.WorkerInterceptor))
	}
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: interceptors})
	env.RegisterActivity(step)
	env.RegisterWorkflow(waiting)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow("dispatched", "dhl") }, time.Hour)
	env.ExecuteWorkflow(waiting)
	require.NoError(t, env.GetWorkflowError())

	spans := exporter.GetSpans().Snapshots()
	named := func(prefix string) sdktrace.ReadOnlySpan {
		i := slices.IndexFunc(spans, func(s sdktrace.ReadOnlySpan) bool { return strings.HasPrefix(s.Name(), prefix) })
		require.GreaterOrEqual(t, i, 0, "no span %s", prefix)
		return spans[i]
	}
	run, signal, activity := named("RunWorkflow:"), named("HandleSignal:dispatched"), named("RunActivity:")
	links := func(of, to sdktrace.ReadOnlySpan) bool {
		return slices.ContainsFunc(of.Links(), func(l sdktrace.Link) bool { return l.SpanContext.SpanID() == to.SpanContext().SpanID() })
	}
	require.True(t, links(run, signal))
	require.True(t, links(signal, run))
	require.Equal(t, run.SpanContext().TraceID(), activity.SpanContext().TraceID())
	require.NoError(t, traces.Stop(t.Context()))
}

func waiting(ctx workflow.Context) error {
	workflow.GetSignalChannel(ctx, "dispatched").Receive(ctx, nil)
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute})
	return workflow.ExecuteLocalActivity(ctx, step).Get(ctx, nil)
}

func step(context.Context) error { return nil }
