// Package workflows is the registry of the flows: what a worker runs, and a history is replayed with. Each flow is a folder; the kit
// that they have in common is workflows/saga.
//
// Flows reach no driver, read no clock but workflow.Now and make no random IDs; workflowcheck holds them to that.
package workflows

import (
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/ordersaga/ordersaga/workflows/dispute"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/shortage"
)

// Types are the workflow functions of the flows by their registered workflow types. Those are part of histories: never rename one.
func Types() map[string]any {
	return map[string]any{
		order.Flow.WorkflowType(): order.Flow.Run,
		latepayment.Workflow:      latepayment.Flow.Run,
		onboarding.Workflow:       onboarding.Flow.Run,
		notification.Workflow:     notification.Flow.Run,
		shortage.Workflow:         shortage.Run,
		refund.Workflow:           refund.Flow.Run,
		dispute.Workflow:          dispute.Flow.Run,
		returns.Workflow:          returns.Flow.Run,
	}
}

// Tables are the flows that are tables, that of orders first.
func Tables() []saga.Definer {
	return []saga.Definer{&order.Flow, &latepayment.Flow, &onboarding.Flow, &notification.Flow, &refund.Flow, &returns.Flow, &dispute.Flow}
}

// SearchAttributes are the search attributes of the flows, with their types.
func SearchAttributes() map[string]enumspb.IndexedValueType {
	return map[string]enumspb.IndexedValueType{
		order.Flow.StatusKey().GetName():       enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		saga.StatusAttribute:                   enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		saga.CustomerID.GetName():              enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		saga.NeedsAttentionAttribute.GetName(): enumspb.INDEXED_VALUE_TYPE_BOOL,
	}
}
