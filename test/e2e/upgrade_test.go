package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// TestUpgrade runs this version on a log that an older version has recorded, with an empty Temporal: an upgrade whose workflows cannot continue
// from their histories. The log is the source of truth: every saga is found and repaired, continues from its last event, and ends as without an
// upgrade. TestRecordUpgrade recorded the log.
//
// When the run of an order that has ended does not close, the test shows its history.
func TestUpgrade(t *testing.T) {
	s := newMailed(t)
	recorded, about := s.restore()
	s.ownNamespace(append(s.env, earlyAttention, "RESERVE_DEADLINE=1h", "NOTIFICATION_WINDOW=14000d", "SHIPMENT_DEADLINE=6d")...)
	orders, attention := s.listing()
	actors := make([]*actor, 0, len(about.Sagas))
	for i := range about.Sagas {
		saga := &about.Sagas[i]
		a := &actor{recordedSaga: saga, limit: len(saga.Then)}
		actors = append(actors, a)
		if saga.First {
			a.play(s.stack, orders[saga.ID], attention)
			require.True(t, a.used == 1 || a.mayAdopt(), "%s: %+v: %v", saga.ID, saga.Then[0], a.failed)
		}
		if saga.State == "unknown" {
			o := harness.NewOrder("sku-"+saga.ID, 1, "tok_visa")
			o.ID = saga.ID
			s.placeByEvent(o)
		}
	}

	found, content := s.reconcileOnce("--stale", "1s", "--repair")
	require.True(t, content, "everything that is found is repaired: %v", found)
	for _, a := range actors {
		if a.Open && !a.First {
			require.Contains(t, found, "workflow_gone "+a.ID, "%s", a.State)
		}
	}
	s.act(actors)

	streams := make([]string, 0, len(about.Streams))
	for stream := range about.Streams {
		streams = append(streams, stream)
	}
	report := s.awaitEnds(streams, "customer.onboarded", "notice.sent", "notice.unknown")
	for stream, ends := range about.Streams {
		require.Contains(t, ends, report.Streams[stream][len(report.Streams[stream])-1].Type, stream)
	}
	for mail, n := range accepted(s.server) {
		require.Equal(t, 1, n, mail)
	}
	response, err := s.client.Do(s.ctx, http.MethodPost, "/v1/dead-letters/"+about.DeadLetter+"/discard", map[string]string{"note": "was nothing", "by": "ada"})
	require.NoError(t, err)
	require.NoError(t, response.Into(http.StatusOK, nil))
	defer func() {
		for _, f := range found {
			if id, stalled := strings.CutPrefix(f, "order_stalled "); stalled && t.Failed() {
				t.Log(s.history("order-" + id))
			}
		}
	}()
	require.Eventually(t, func() bool {
		found, content = s.reconcile("--stale", "1s")
		return content
	}, patience, 10*tick, "everything holds: %v", &found)
	report, err = audit.RunAll(s.ctx, s.db)
	require.NoError(t, err)
	require.Empty(t, report.Violations)
	require.Empty(t, report.Open())
	require.Empty(t, report.Late)
	require.Empty(t, report.Notices)
	for _, a := range actors {
		stream := report.Streams["order-"+a.ID]
		if a.adopted(stream) {
			a.Status, a.Reason = "completed", ""
		}
		require.Equal(t, "order."+a.Status, stream[len(stream)-1].Type, "%s, recorded %s", a.ID, a.State)
		require.Equal(t, a.Reason, field(stream[len(stream)-1], "reason"), "%s, recorded %s", a.ID, a.State)
		require.Equal(t, a.Late, lateTypes(report.Streams["late-"+a.ID]), "%s, recorded %s", a.ID, a.State)
		if a.Open {
			s.published(report, a.ID)
		}
	}
	s.unchanged(recorded)
	s.redelivered(recorded, report)
}

// redelivered places every ended order of a recorded log once more: by its event, which a broker delivers again, and over REST by its ID. Both
// have no effect. Other content with the same ID is refused.
func (s *stack) redelivered(recorded dump, before *audit.Report) {
	s.t.Helper()
	var last recordedOrder
	for _, d := range recorded["events"] {
		if text(d, "type") != "order.accepted" {
			continue
		}
		raw, err := bson.MarshalExtJSON(bson.D{{Key: "body", Value: value(d, "data")}}, false, false)
		require.NoError(s.t, err)
		require.NoError(s.t, json.Unmarshal(raw, &last))
		last.ID, last.EventID = text(d, "subject"), text(d, "causationId")
		s.placedAgain(last)
		s.replayedByID(last)
	}
	s.placedOtherwise(last)
	require.Eventually(s.t, func() bool { return s.depth(harness.Inbox) == 0 }, patience, tick)
	after, err := audit.RunAll(s.ctx, s.db)
	require.NoError(s.t, err)
	require.Empty(s.t, after.Violations)
	for stream, events := range before.Streams {
		require.Len(s.t, after.Streams[stream], len(events), stream)
	}
}

// field is a text of an event.
func field(d audit.Document, name string) string { return text(d.Data, name) }
