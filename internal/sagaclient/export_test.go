package sagaclient

import (
	"context"

	"github.com/ordersaga/ordersaga/workflows/saga"
)

// NewFlowClient returns a client for the sagas of any flow.
func NewFlowClient[S, P any](c Config, flow *saga.Flow[S, P], rule StartRule[S]) *FlowClient[S, P] {
	return newFlowClient(c, flow, rule)
}

type (
	// FlowClient is the client of a flow.
	FlowClient[S, P any] = flowClient[S, P]
	// StartRule is how the sagas of a flow start.
	StartRule[S any] = startRule[S]
)

// Start starts a saga with data that makes a state.
func (c *flowClient[S, P]) Start(ctx context.Context, id string, s S, check func() error) (replayed bool, err error) {
	return c.start(ctx, c.input(id, &s), false, check)
}
