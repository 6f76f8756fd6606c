package matrix

import (
	"context"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ordersaga/ordersaga/workflows/order"
)

// Work of a killed process is found by timeouts: shorter ones than in production make the same happen
// sooner.
const (
	workflowTaskTimeout = 2 * time.Second
	activityAttempt     = 2 * time.Second
	stickyTimeout       = 200 * time.Millisecond
)

// wire is every request of a process to Temporal, including each retry.
func (proc *process) wire(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	gone := status.Error(codes.Canceled, "the process is gone")
	if proc.connected.Err() != nil {
		return gone
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(proc.connected, cancel)()
	send := func() error { return invoke(ctx, method, req, reply, conn, options...) }

	orderID, what, token := "", wireTask, []byte(nil)
	switch r := req.(type) {
	case *workflowservice.RespondWorkflowTaskCompletedRequest:
		hurry(r)
		orderID = orderOf(r.GetResourceId())
	case *workflowservice.RespondActivityTaskCompletedRequest:
		orderID, what, token = orderOf(r.GetResourceId()), wireActivity, r.GetTaskToken()
	}
	if orderID == "" {
		return send()
	}
	t := proc.environment.triggered(proc, orderID, what, token)
	if t == nil {
		return send()
	}
	err := t.faultKind.inject(proc.environment, proc, t)
	switch {
	case proc.hold(func() { _ = invoke(context.WithoutCancel(ctx), method, req, reply, conn, options...) }):
		return gone
	case proc.connected.Err() != nil:
		return gone
	case t.faultKind == faultTimeout:
		_ = send()
		return status.Error(codes.Unavailable, "the answer is lost")
	case err != nil:
		return status.Error(codes.Unavailable, err.Error())
	}
	return send()
}

// hold keeps a request until the process is resumed; it reports whether the process is paused.
func (proc *process) hold(packet func()) bool {
	proc.mu.Lock()
	defer proc.mu.Unlock()
	if proc.state == paused {
		proc.pendingRequests = append(proc.pendingRequests, packet)
	}
	return proc.state == paused
}

// wireTask and wireActivity are the completions of workflow tasks and of regular activities.
const (
	wireTask     op = "complete the workflow task"
	wireActivity op = "complete the activity"
)

// orderOf returns the order whose workflow a request is about.
func orderOf(resource string) string {
	at := strings.Index(resource, order.Flow.WorkflowID(""))
	if at < 0 {
		return ""
	}
	id, _ := order.Flow.IDOf(resource[at:])
	return id
}

// hurry shortens the timeouts by which the server notices that a worker is gone.
func hurry(r *workflowservice.RespondWorkflowTaskCompletedRequest) {
	if r.GetStickyAttributes() != nil {
		r.StickyAttributes.ScheduleToStartTimeout = durationpb.New(stickyTimeout)
	}
	for _, c := range r.GetCommands() {
		if a := c.GetScheduleActivityTaskCommandAttributes(); a != nil && a.GetStartToCloseTimeout().AsDuration() > activityAttempt {
			a.StartToCloseTimeout = durationpb.New(activityAttempt)
		}
	}
}

// hurryStarts is for the client that starts workflows.
func (l *environment) hurryStarts(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if r, ok := req.(*workflowservice.StartWorkflowExecutionRequest); ok {
		l.mu.Lock()
		r.WorkflowTaskTimeout = durationpb.New(l.taskTimeout)
		l.mu.Unlock()
	}
	return invoke(ctx, method, req, reply, conn, options...)
}
