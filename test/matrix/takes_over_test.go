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

// TestRegularActivityTakesOver: whoever opens a saga in the Temporal Web UI sees that a step has failed inside
// the workflow task, under the step's name; the regular activity that has taken over, under the same name; and, while it
// runs, which step is being retried.
func TestRegularActivityTakesOver(t *testing.T) {
	lanes := newPool(t, 1, 1, 1000)
	for name, c := range map[string]struct {
		lane   *lane
		mode   mode
		script []scene
		end    order.Status
		// failed are the steps that have failed in a local activity, over those that a regular one did; told is what the
		// details said meanwhile.
		failed, over, told []string
	}{
		"every step gone regular": {
			<-lanes.fast, regular, []scene{dispatch, deliver}, order.StatusCompleted,
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
			<-lanes.slow, inline, []scene{recall}, order.StatusCancelled,
			nil, []string{"authorize the payment", "undo: void the payment"},
			[]string{"authorize the payment", "undo: void the payment"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := c.lane
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			o := l.tea(ctx, order.Shipment)
			told := map[string]bool{}
			l.set(detour{mode: c.mode}, l.listeners(t, o.ID, told)...)
			require.NoError(t, l.place(ctx, o))
			require.NoError(t, l.drive(ctx, o.ID, c.script))
			require.Equal(t, c.end, l.state(o.ID).Status)
			require.Empty(t, l.take())
			require.Empty(t, l.examine([]order.Order{o}))
			for _, words := range c.told {
				assert.True(t, told[words], "no summary is %q, there are %v", words, told)
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

// listeners note what the details of an order's saga say while each of its calls is made by a regular activity.
func (l *lane) listeners(t *testing.T, orderID string, told map[string]bool) []*trap {
	var traps []*trap
	listen := func(what op) {
		traps = append(traps, &trap{orderID: orderID, what: what, meanwhile: func(ctx context.Context) {
			answer, err := l.control.QueryWorkflow(ctx, order.Flow.WorkflowID(orderID), "", "__temporal_workflow_metadata")
			var metadata sdk.WorkflowMetadata
			if assert.NoError(t, err) && assert.NoError(t, answer.Get(&metadata)) {
				told[note(metadata.GetCurrentDetails())] = true
			}
		}})
	}
	if l.fast {
		for _, s := range forward(goods(order.Shipment)) {
			listen(record(s.slot))
		}
		return traps
	}
	listen(opAuthorize)
	listen(opVoid)
	return traps
}

// note is what the details say besides the status and the steps.
func note(details string) string {
	first, _, _ := strings.Cut(details, "\n")
	_, words, _ := strings.Cut(first, ", ")
	return words
}

// history is what the server has of an order's saga.
func (l *lane) history(ctx context.Context, t *testing.T, orderID string) *historypb.History {
	t.Helper()
	history := &historypb.History{}
	for events := l.control.GetWorkflowHistory(ctx, order.Flow.WorkflowID(orderID), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		e, err := events.Next()
		require.NoError(t, err)
		history.Events = append(history.Events, e)
	}
	return history
}

// takeOvers returns the names of the local activities that failed, and those of the regular activities. What has failed
// is taken over by the workflow task in which it did, under the same name.
func takeOvers(t *testing.T, history *historypb.History) (failed, over []string) {
	t.Helper()
	open, task := "", int64(0)
	for _, e := range history.Events {
		if marker := e.GetMarkerRecordedEventAttributes(); marker.GetFailure() != nil && summary(t, e) != "publish" {
			require.Empty(t, open, "nothing has taken over")
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
	require.Empty(t, open, "nothing has taken over")
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
