package workers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows"
)

// RegisterSearchAttributes adds missing search attributes of sagas to the namespace; without them no saga can start. The server may need up to a
// minute until a new one can be used, unless its cache is refreshed.
//
// The error matches ErrAttributesRefused if the server does not let this client list or add them, as secured clusters and Temporal Cloud may: then
// an administrator must add them, and sagas start when they exist. Its text has the missing ones, if known, and the command to add them. Other
// errors are Unavailable.
func RegisterSearchAttributes(ctx context.Context, c client.Client, namespace string) error {
	operator := c.OperatorService()
	missing := workflows.SearchAttributes()
	listed, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return attributesError(err, "list search attributes", namespace, missing)
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
	if err != nil {
		return attributesError(err, "add search attributes", namespace, missing)
	}
	return nil
}

// ErrAttributesRefused is in the chain of errors of RegisterSearchAttributes for which a retry does not help.
var ErrAttributesRefused = errors.New("the server does not let this client manage search attributes")

// attributesError adds the command that creates the missing search attributes.
func attributesError(err error, what, namespace string, missing map[string]enumspb.IndexedValueType) error {
	var denied *serviceerror.PermissionDenied
	var unimplemented *serviceerror.Unimplemented
	if errors.As(err, &denied) || errors.As(err, &unimplemented) {
		err = fmt.Errorf("%w: %w", ErrAttributesRefused, err)
	}
	flags := make([]string, 0, len(missing))
	for name, kind := range missing {
		flags = append(flags, fmt.Sprintf("--name %s --type %s", name, kind))
	}
	slices.Sort(flags)
	return fault.Wrap(err, fault.Unavailable, "%s of namespace %s; if they are missing, add them with: temporal operator search-attribute create --namespace %s %s",
		what, namespace, namespace, strings.Join(flags, " "))
}
