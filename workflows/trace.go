package workflows

import (
	"context"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/internal/trace"
)

// TraceParent carries the trace parent of whoever starts a workflow through the workflow into its activities, which
// publish under it. It travels in Temporal's headers: no input has to mention it, and a run that continues as new hands
// it on. A trace is never a reason to fail.
type TraceParent struct{}

var _ workflow.ContextPropagator = TraceParent{}

type traceKey struct{}

// Inject writes the caller's.
func (TraceParent) Inject(ctx context.Context, to workflow.HeaderWriter) error {
	setTrace(to, trace.Parent(ctx))
	return nil
}

// InjectFromWorkflow writes the run's.
func (TraceParent) InjectFromWorkflow(ctx workflow.Context, to workflow.HeaderWriter) error {
	parent, _ := ctx.Value(traceKey{}).(string)
	setTrace(to, parent)
	return nil
}

// Extract reads it for an activity.
func (TraceParent) Extract(ctx context.Context, from workflow.HeaderReader) (context.Context, error) {
	return trace.With(ctx, getTrace(from)), nil
}

// ExtractToWorkflow reads it for a run.
func (TraceParent) ExtractToWorkflow(ctx workflow.Context, from workflow.HeaderReader) (workflow.Context, error) {
	parent := getTrace(from)
	if !trace.Valid(parent) {
		return ctx, nil
	}
	return workflow.WithValue(ctx, traceKey{}, parent), nil
}

func setTrace(to workflow.HeaderWriter, parent string) {
	if parent == "" {
		return
	}
	if payload, err := converter.GetDefaultDataConverter().ToPayload(parent); err == nil {
		to.Set(trace.Header, payload)
	}
}

func getTrace(from workflow.HeaderReader) string {
	payload, ok := from.Get(trace.Header)
	if !ok {
		return ""
	}
	var parent string
	if converter.GetDefaultDataConverter().FromPayload(payload, &parent) != nil {
		return ""
	}
	return parent
}
