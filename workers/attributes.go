package workers

import (
	"context"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows"
)

// RegisterSearchAttributes makes sure that the namespace knows the search attributes of the sagas, without
// which a saga cannot start. The server may take up to a minute until a new one can be used, unless it is told
// to look at once.
func RegisterSearchAttributes(ctx context.Context, c client.Client, namespace string) error {
	operator := c.OperatorService()
	listed, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "list search attributes of namespace %s", namespace)
	}
	missing := map[string]enumspb.IndexedValueType{
		workflows.OrderStatus.GetName():    enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		workflows.CustomerID.GetName():     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		workflows.NeedsAttention.GetName(): enumspb.INDEXED_VALUE_TYPE_BOOL,
	}
	for name := range listed.GetCustomAttributes() {
		delete(missing, name)
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	})
	return fault.Wrap(err, fault.Unavailable, "register search attributes in namespace %s", namespace)
}
