package matrix

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/ordersaga/ordersaga/workflows/order"
)

// golden is where the histories are written to, for `make golden`.
var golden = flag.String("golden", "", "write the histories of sagas with regular activities to this folder")

// TestRegularActivityTakesOver: the Temporal Web UI shows the failed step inside the workflow task under the step's name,
// the regular activity that has taken over under the same name, and which step is being retried while it runs.
func TestRegularActivityTakesOver(t *testing.T) {
	environments := newPool(t, 1, 1, 1000)
	for name, c := range map[string]struct {
		environment *environment
		mode        mode
		script      []scriptEvent
		end         order.Status
		// failed are the steps that have failed in a local activity, over those that a regular activity did; details are the
		// workflow's details during these activities.
		failed, over, details []string
	}{
		"every step gone regular": {
			<-environments.fast, regular, []scriptEvent{dispatch, deliver}, order.StatusCompleted,
			[]string{
				"open the order's stream", "reserve every line", "authorize the payment", "record order.confirmed",
				"record order.shipped, order.settling", "capture the payment", "commit the stock",
				"record order.delivered, order.completed",
			},
			nil,
			[]string{
				"retrying: open the order's stream", "retrying: reserve every line", "retrying: authorize the payment",
				"retrying: record order.confirmed", "retrying: record order.shipped, order.settling", "retrying: capture the payment",
				"retrying: commit the stock", "retrying: record order.delivered, order.completed",
			},
		},
		"gateway far away": {
			<-environments.slow, inline, []scriptEvent{recall}, order.StatusCancelled,
			nil, []string{"authorize the payment", "undo: void the payment"},
			[]string{"authorize the payment", "undo: void the payment"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := c.environment
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			o := l.tea(ctx, order.Shipment)
			details := map[string]bool{}
			l.set(detour{mode: c.mode}, l.listeners(t, o.ID, details)...)
			require.NoError(t, l.place(ctx, o))
			require.NoError(t, l.drive(ctx, o.ID, c.script))
			require.Equal(t, c.end, l.state(o.ID).Status)
			require.Empty(t, l.takeErrors())
			require.Empty(t, l.violations([]order.Order{o}))
			for _, words := range c.details {
				assert.True(t, details[words], "no summary is %q, there are %v", words, details)
			}

			history := l.history(ctx, t, o.ID)
			failed, over := takeOvers(t, history)
			assert.Equal(t, c.failed, failed)
			if c.over == nil {
				c.over = c.failed
			}
			assert.Equal(t, c.over, over)
			write(t, name, history)
		})
	}
}

// listeners record the details of an order's saga during each call of a regular activity.
func (l *environment) listeners(t *testing.T, orderID string, details map[string]bool) []*injection {
	var injections []*injection
	listen := func(what op) {
		injections = append(injections, &injection{orderID: orderID, what: what, meanwhile: func(ctx context.Context) {
			answer, err := l.control.QueryWorkflow(ctx, order.Flow.WorkflowID(orderID), "", "__temporal_workflow_metadata")
			var metadata sdk.WorkflowMetadata
			if assert.NoError(t, err) && assert.NoError(t, answer.Get(&metadata)) {
				details[note(metadata.GetCurrentDetails())] = true
			}
		}})
	}
	if l.fast {
		for _, s := range forward(goods(order.Shipment)) {
			listen(record(s.slot))
		}
		return injections
	}
	listen(opAuthorize)
	listen(opVoid)
	return injections
}

// note is the text of the details without the status and the steps.
func note(details string) string {
	first, _, _ := strings.Cut(details, "\n")
	_, words, _ := strings.Cut(first, ", ")
	return words
}

// history is the Temporal history of an order's saga.
func (l *environment) history(ctx context.Context, t *testing.T, orderID string) *historypb.History {
	t.Helper()
	history := &historypb.History{}
	for events := l.control.GetWorkflowHistory(ctx, order.Flow.WorkflowID(orderID), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		e, err := events.Next()
		require.NoError(t, err)
		history.Events = append(history.Events, e)
	}
	return history
}

// takeOvers returns the names of the local activities that failed, and those of the regular activities. The workflow task with
// the failure schedules the regular activity under the same name.
func takeOvers(t *testing.T, history *historypb.History) (failed, over []string) {
	t.Helper()
	open, task := "", int64(0)
	for _, e := range history.Events {
		if marker := e.GetMarkerRecordedEventAttributes(); marker.GetFailure() != nil && summary(t, e) != "publish" {
			require.Empty(t, open, "no regular activity has taken over")
			open, task = summary(t, e), marker.GetWorkflowTaskCompletedEventId()
			failed = append(failed, open)
		}
		scheduled := e.GetActivityTaskScheduledEventAttributes()
		if scheduled == nil {
			continue
		}
		over = append(over, summary(t, e))
		if open != "" {
			require.Equal(t, open, summary(t, e))
			require.Equal(t, task, scheduled.GetWorkflowTaskCompletedEventId(), "another workflow task has taken over %s", open)
			open = ""
		}
	}
	require.Empty(t, open, "no regular activity has taken over")
	return failed, over
}

// summary is the name of an event in the Temporal Web UI.
func summary(t *testing.T, e *historypb.HistoryEvent) (name string) {
	t.Helper()
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(e.GetUserMetadata().GetSummary(), &name))
	return name
}

// write writes a golden history, when they are recorded.
func write(t *testing.T, name string, history *historypb.History) {
	t.Helper()
	if *golden == "" {
		return
	}
	raw, err := protojson.MarshalOptions{Indent: " "}.Marshal(history)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(*golden, strings.ReplaceAll(name, " ", "-")+".json"), append(raw, '\n'), 0o600))
}
