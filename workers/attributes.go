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

// RegisterSearchAttributes makes sure that the namespace has the search attributes of the sagas, without
// which a saga cannot start. The server may take up to a minute until a new one can be used, unless it is told
// to look at once. Added reports that there are flows besides those of this service.
//
// The error matches ErrAttributesRefused when the server does not let this caller list or add them, as secured clusters and
// Temporal Cloud may: then an administrator adds them, and sagas start as soon as they are there. Its text says which are missing,
// as far as that is known, and how they are added. Other errors are Unavailable.
func RegisterSearchAttributes(ctx context.Context, c client.Client, namespace string, added bool) error {
	operator := c.OperatorService()
	missing := workflows.SearchAttributes(added)
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

// ErrAttributesRefused is in the chain of errors of RegisterSearchAttributes that a retry does not help.
var ErrAttributesRefused = errors.New("the server does not let this client manage search attributes")

// attributesError says what to do about search attributes that may be missing.
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
