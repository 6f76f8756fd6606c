package sagaclient_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// TestRequestForOrderOfEarlierVersion: earlier versions merged the lines of an order, and accepted capital letters only.
func TestRequestForOrderOfEarlierVersion(t *testing.T) {
	again := tea()
	again.Currency = "eur"
	again.Lines = []order.Line{{SKU: "tea", Quantity: 1, UnitAmount: 450}, {SKU: "tea", Quantity: 1, UnitAmount: 450}}
	other := again
	other.Lines = append(other.Lines, order.Line{SKU: "tea", Quantity: 1, UnitAmount: 450})
	for name, prepare := range map[string]func(*world){
		"open": func(w *world) { w.open(tea()); w.ran(tea(), true) }, "ended": func(w *world) { w.rejected(tea()) },
		"in Temporal alone": func(w *world) { w.ran(tea(), true) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			replayed, err := w.client.Place(t.Context(), placement(again.Normalize()))
			require.NoError(t, err)
			require.True(t, replayed)
			_, err = w.client.Place(t.Context(), placement(other.Normalize()))
			require.ErrorIs(t, err, fault.Conflict)
		})
	}
}

// starter records starts and lists them.
type starter struct {
	client.Client
	options []client.StartWorkflowOptions
}

func (s *starter) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	s.options = append(s.options, o)
	return nil, nil
}

func (s *starter) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	listed := &workflowservice.ListWorkflowExecutionsResponse{}
	for _, o := range s.options {
		info := &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: o.ID}}
		for name, value := range o.Memo {
			payload, err := converter.GetDefaultDataConverter().ToPayload(value)
			if err != nil {
				return nil, err
			}
			info.Memo = &commonpb.Memo{Fields: map[string]*commonpb.Payload{name: payload}}
		}
		listed.Executions = append(listed.Executions, info)
	}
	return listed, nil
}

// TestOrdersAreFoundByTheirWorkflows: the workflow ID contains the ID of the order, or the memo does if the workflow ID was shortened.
func TestOrdersAreFoundByTheirWorkflows(t *testing.T) {
	s := &starter{}
	c := sagaclient.New(sagaclient.Config{Temporal: s})
	ids := []string{"42", "gid://shopify/Order/123", "T3JkZXI6MjU=", strings.Repeat("注", 66), strings.Repeat("注", 65) + "文"}
	for _, id := range ids {
		o := tea()
		o.ID = id
		p := placement(o)
		p.Fresh = true
		_, err := c.Place(t.Context(), p)
		require.NoError(t, err)
	}
	require.Equal(t, "order-gid%3A%2F%2Fshopify%2FOrder%2F123", s.options[1].ID)
	require.Empty(t, s.options[1].Memo)
	require.Equal(t, map[string]any{saga.MemoID: ids[3]}, s.options[3].Memo)
	require.NotEqual(t, s.options[3].ID, s.options[4].ID)
	var found []string
	for id, err := range c.All(t.Context(), time.Time{}) {
		require.NoError(t, err)
		found = append(found, id)
	}
	require.Equal(t, ids, found)
}

func TestDetailsShowUnchangedIDs(t *testing.T) {
	w := newWorld(t)
	o := tea()
	o.Lines[0].SKU, o.CustomerID = "a|b `c`", "auth0|5f"
	_, err := w.client.Place(t.Context(), placement(o))
	require.NoError(t, err)
	require.Contains(t, w.temporal.starts[0].StaticDetails, "| a\\|b \\`c\\` | 2 | 450 |")
	require.Contains(t, w.temporal.starts[0].StaticDetails, "by customer auth0\\|5f.")
}
