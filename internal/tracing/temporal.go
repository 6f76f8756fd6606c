package tracing

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
)

// headerKey is the header with the span of a sender. Histories have it: it is never renamed.
const headerKey = "_tracer-data"

// Interceptors have Temporal's SDK make spans: of starts, signals and Updates, of runs, and of the attempts of their activities, local ones
// included. They add headers and change nothing else: histories replay with and without them. None when traces are not exported.
func (t *Tracing) Interceptors() ([]interceptor.ClientInterceptor, error) {
	if t == nil {
		return nil, nil
	}
	spans, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{
		Tracer: t.Tracer(), HeaderKey: headerKey, DisableQueryTracing: true, DisableBaggage: true, AllowInvalidParentSpans: true,
		SpanStarter: func(ctx context.Context, tracer oteltrace.Tracer, name string, opts ...oteltrace.SpanStartOption) oteltrace.Span {
			if strings.HasPrefix(name, "RunWorkflow:") {
				ctx = context.WithValue(ctx, runKey{}, name)
			}
			_, span := tracer.Start(ctx, name, opts...)
			return span
		},
	})
	if err != nil {
		return nil, err
	}
	return []interceptor.ClientInterceptor{spans, &links{}}, nil
}

// links joins the traces of what a run is told, perhaps days after it began, with its own: the spans of signals and Updates have a link to
// that of the run, and it to them.
type links struct{ interceptor.InterceptorBase }

// InterceptWorkflow implements interceptor.WorkerInterceptor.
func (*links) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	l := &linkedRun{}
	l.Next = next
	return l
}

type linkedRun struct {
	interceptor.WorkflowInboundInterceptorBase
	// span is the run's; nil before it has begun. Early are the spans of what it was sent before that.
	span  oteltrace.Span
	early []oteltrace.SpanContext
}

// ExecuteWorkflow implements interceptor.WorkflowInboundInterceptor.
func (l *linkedRun) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	if span, ok := opentelemetry.SpanFromWorkflowContext(ctx); ok {
		l.span = span
		for _, sender := range l.early {
			l.span.AddLink(oteltrace.Link{SpanContext: sender})
		}
	}
	return l.Next.ExecuteWorkflow(ctx, in)
}

// HandleSignal implements interceptor.WorkflowInboundInterceptor.
func (l *linkedRun) HandleSignal(ctx workflow.Context, in *interceptor.HandleSignalInput) error {
	l.link(ctx)
	return l.Next.HandleSignal(ctx, in)
}

// ExecuteUpdate implements interceptor.WorkflowInboundInterceptor.
func (l *linkedRun) ExecuteUpdate(ctx workflow.Context, in *interceptor.UpdateInput) (any, error) {
	l.link(ctx)
	return l.Next.ExecuteUpdate(ctx, in)
}

// link joins the span of the run with that of a signal or Update. A run that was interrupted has lost its links: when it is replayed, it is
// linked with the span of the sender, which the history has.
func (l *linkedRun) link(ctx workflow.Context) {
	span, began := opentelemetry.SpanFromWorkflowContext(ctx)
	of := span.SpanContext()
	if workflow.IsReplaying(ctx) || !began {
		of = senderOf(ctx)
	}
	switch {
	case !of.IsValid():
	case l.span == nil:
		l.early = append(l.early, of)
	default:
		l.span.AddLink(oteltrace.Link{SpanContext: of})
		span.AddLink(oteltrace.Link{SpanContext: l.span.SpanContext()})
	}
}

// senderOf is the span in the header of a signal or Update; invalid when there is none.
func senderOf(ctx workflow.Context) oteltrace.SpanContext {
	var carried propagation.MapCarrier
	payload := interceptor.WorkflowHeader(ctx)[headerKey]
	if payload == nil || converter.GetDefaultDataConverter().FromPayload(payload, &carried) != nil {
		return oteltrace.SpanContext{}
	}
	return oteltrace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carried))
}
