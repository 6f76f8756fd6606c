package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// shows are the attributes that a run writes, one after the other.
func (w *world) shows() *[]string {
	shown := &[]string{}
	w.env.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Maybe().Run(func(args mock.Arguments) {
		attributes := args.Get(0).(temporal.SearchAttributes)
		status, _ := attributes.GetKeyword(order.Flow.StatusKey())
		if asked, _ := attributes.GetBool(saga.NeedsAttentionAttribute); asked {
			status += "!"
		}
		*shown = append(*shown, status)
	})
	return shown
}

// A status that lasts only as long as a gateway call is not written. Raised attention is written, and so is its end,
// independent of the order's next status.
func TestAttributesShowLongStatuses(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*world)
		want    []string
	}{
		"at once":            {func(*world) {}, []string{"completed"}},
		"a gateway far away": {func(w *world) { w.inlinePayment = false }, []string{"completed"}},
		"stuck capture, then a slow commit": {func(w *world) {
			w.inlinePayment = false
			w.gateway.down = map[string]int{"capture": 60}
			w.stock.fail = []string{"commit", "commit", "commit"}
		}, []string{"needs_attention!", "settling", "completed"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.prepare(w)
			var shown *[]string
			require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate), func() { shown = w.shows() }).Status)
			require.Equal(t, c.want, *shown)
		})
	}
}
