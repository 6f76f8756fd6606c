package fault_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
)

func TestEveryCodeHasAMeaning(t *testing.T) {
	require.NotEmpty(t, fault.Codes())
	for _, code := range fault.Codes() {
		spec := fault.Lookup(code)
		require.NotEmpty(t, spec.Title, code)
		require.NotEmpty(t, http.StatusText(spec.HTTPStatus), code)
		require.GreaterOrEqual(t, spec.HTTPStatus, 400, code)
		if spec.Retryable {
			require.Equal(t, fault.Redeliver, spec.Disposition, "%s: what may succeed later is delivered again", code)
			require.GreaterOrEqual(t, spec.HTTPStatus, 500, "%s: a client error is not retryable", code)
		}
	}
}

func TestWrappedCodesAreCompared(t *testing.T) {
	err := fmt.Errorf("place order: %w", fault.Wrap(io.ErrUnexpectedEOF, fault.Unavailable, "read head of %s", "order-1"))
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotErrorIs(t, err, fault.NotFound)
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	require.True(t, fault.Retryable(err))
	require.Equal(t, "A dependency does not respond", fault.SafeMessage(err), "the cause is not for clients")
	require.Equal(t, "place order: read head of order-1: unexpected EOF", err.Error())
}

func TestErrorWithoutCodeIsInternal(t *testing.T) {
	require.Equal(t, fault.Internal, fault.CodeOf(errors.New("boom")))
	require.Equal(t, fault.Code(""), fault.CodeOf(nil))
	require.False(t, fault.Retryable(nil))
	require.NoError(t, fault.Wrap(nil, fault.Internal, "nothing"))
	require.NoError(t, fault.NewInvalid("order", nil))
}

func TestInvalidNamesEveryField(t *testing.T) {
	err := fault.NewInvalid("order", []fault.Field{
		fault.Fieldf("/lines/0/quantity", "must be at least %d", 1),
		fault.Fieldf("/currency", "is missing"),
	})
	require.ErrorIs(t, err, fault.Invalid)
	require.Len(t, fault.FieldsOf(err), 2)
	require.Contains(t, err.Error(), "/lines/0/quantity: must be at least 1")
}
