package activities

import (
	"context"

	"github.com/ordersaga/ordersaga/internal/trace"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// about has what is logged under a context say which saga it is about.
func (f *Flow[S, P]) about(ctx context.Context, id, correlationID string) context.Context {
	return trace.WithSaga(ctx, trace.Saga{Flow: f.Table.Name, Key: f.idKey(), ID: id, CorrelationID: correlationID})
}

// idKey is the name of the saga's ID in logs.
func (f *Flow[S, P]) idKey() string {
	if f.Table.Subject == "orderId" {
		return "order_id"
	}
	return "saga_id"
}

// startSpan begins the span of an attempt.
func startSpan(ctx context.Context, step string, kind saga.ActionKind) (context.Context, trace.Span) {
	if !trace.Recorded(ctx) {
		return ctx, trace.Span{}
	}
	return trace.Start(ctx, string(kind)+" "+step, trace.Client)
}

// endSpan ends the span of an attempt.
func (f *Flow[S, P]) endSpan(ctx context.Context, span trace.Span, step string, kind saga.ActionKind, o saga.Outcome, err error) {
	if span.Recorded() {
		about, _ := trace.SagaOf(ctx)
		span.Set("ordersaga.flow", f.Table.Name)
		span.Set("ordersaga."+f.idKey(), about.ID)
		span.Set("ordersaga.correlation_id", about.CorrelationID)
		span.Set("ordersaga.step", step)
		span.Set("ordersaga.kind", string(kind))
		span.Set("ordersaga.outcome", string(resultOf(o, err)))
	}
	span.End(err)
}
