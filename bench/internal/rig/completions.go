package rig

import (
	"context"
	"encoding/json"
	"sync"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// completions tells when the server has taken the completion of a workflow: it looks at what this process's workers say
// to the server. A client that asked the server for the end would make one request more for each workflow, which
// ordersaga does not make, and the floor would be lower for it. Workflows here return their id.
type completions struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// expect returns a channel that is closed when the workflow has completed. Call it before the start.
func (c *completions) expect(id string) <-chan struct{} {
	done := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[id] = done
	return done
}

func (c *completions) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// intercept is a grpc.UnaryClientInterceptor.
func (c *completions) intercept(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	err := invoke(ctx, method, request, reply, conn, options...)
	completed, ok := request.(*workflowservice.RespondWorkflowTaskCompletedRequest)
	if err != nil || !ok {
		return err
	}
	for _, command := range completed.GetCommands() {
		payloads := command.GetCompleteWorkflowExecutionCommandAttributes().GetResult().GetPayloads()
		var id string
		if len(payloads) != 1 || json.Unmarshal(payloads[0].GetData(), &id) != nil {
			continue
		}
		c.mu.Lock()
		if done, waits := c.waiting[id]; waits {
			delete(c.waiting, id)
			close(done)
		}
		c.mu.Unlock()
	}
	return nil
}
