package activities_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/fault"
)

func TestCodeOfReadsWhatTemporalKept(t *testing.T) {
	kept := temporal.NewNonRetryableApplicationError("the order is gone", string(fault.Corrupt), nil)
	require.Equal(t, fault.Corrupt, activities.CodeOf(kept))
	require.Equal(t, fault.Corrupt, activities.CodeOf(fmt.Errorf("activity error: %w", kept)))
}

func TestWhatHasNoCodeIsAnUnknownOutcome(t *testing.T) {
	for name, err := range map[string]error{
		"nobody took it":      temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil),
		"an attempt hung":     temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil),
		"the deadline passed": temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, nil),
		"a worker was lost":   temporal.NewHeartbeatTimeoutError(),
		"it was cancelled":    temporal.NewCanceledError(),
		"a context ended":     context.DeadlineExceeded,
		"it has no type":      temporal.NewApplicationError("no type", ""),
		"it is of no kind":    errors.New("out of luck"),
	} {
		t.Run(name, func(t *testing.T) {
			code := activities.CodeOf(err)
			require.Equal(t, fault.OutcomeUnknown, code)
			require.True(t, fault.Lookup(code).Retryable)
		})
	}
}

func TestDescribeReturnsTheInnermostWords(t *testing.T) {
	kept := temporal.NewApplicationError("no stock ledger", string(fault.Unavailable))
	require.Equal(t, "no stock ledger", activities.Describe(fmt.Errorf("activity error: %w", kept)))
	require.Equal(t, "out of luck", activities.Describe(errors.New("out of luck")))
}
