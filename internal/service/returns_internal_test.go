package service

import (
	"cmp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ordersaga/ordersaga/workflows/saga"
)

// A run takes the gate's budget only where its settings have no time of their own.
func TestRefundOfReturnNeverRunsInline(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	s, _, _ := withParticipant(t, bothTraits, &up)
	settings := s.returnSettings()
	if got := saga.RemoteInlining(cmp.Or(settings.Inline, time.Second)); got != (saga.Inlining{}) || settings.Fast {
		t.Fatalf("a refund may run inside a workflow task: %+v, fast %v", got, settings.Fast)
	}
}
