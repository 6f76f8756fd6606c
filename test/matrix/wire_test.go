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

// wire is every request of an incarnation to Temporal, retries one by one.
func (inc *incarnation) wire(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	gone := status.Error(codes.Canceled, "the process is gone")
	if inc.cut.Err() != nil {
		return gone
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(inc.cut, cancel)()
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
	t := inc.lane.triggered(inc, orderID, what, token)
	if t == nil {
		return send()
	}
	err := t.harm.strike(inc.lane, inc, t)
	switch {
	case inc.hold(func() { _ = invoke(context.WithoutCancel(ctx), method, req, reply, conn, options...) }):
		return gone
	case inc.cut.Err() != nil:
		return gone
	case t.harm == harmTimeout:
		_ = send()
		return status.Error(codes.Unavailable, "the answer is lost")
	case err != nil:
		return status.Error(codes.Unavailable, err.Error())
	}
	return send()
}

// hold keeps a request for when the incarnation is thawed; it reports whether the incarnation is frozen.
func (inc *incarnation) hold(packet func()) bool {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	if inc.state == frozen {
		inc.packets = append(inc.packets, packet)
	}
	return inc.state == frozen
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
func (l *lane) hurryStarts(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if r, ok := req.(*workflowservice.StartWorkflowExecutionRequest); ok {
		l.mu.Lock()
		r.WorkflowTaskTimeout = durationpb.New(l.taskTimeout)
		l.mu.Unlock()
	}
	return invoke(ctx, method, req, reply, conn, options...)
}
