package mongo

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/mongo/mongofake"
)

// resting makes every look at the clock a rest.
func resting(s scan) scan {
	now := time.Unix(0, 0)
	s.now = func() time.Time { now = now.Add(maxIdle + time.Second); return now }
	s.batch = 2
	return s
}

// TestScanContinuesAfterPause: with a new cursor after every batch, each document is returned once and in order.
func TestScanContinuesAfterPause(t *testing.T) {
	log := newLog(t)
	var want []string
	for _, stream := range []string{"order-1", "order-10", "order-2", "sku-1"} {
		var head event.Head
		for n := range 5 {
			newest, _, err := log.Append(t.Context(), stream, head, entries(fmt.Sprint(n)))
			require.NoError(t, err)
			head = newest
			want = append(want, documentID(stream, newest.Version))
		}
	}
	orders := slices.DeleteFunc(slices.Clone(want), func(id string) bool { return id >= "sku-" })
	for name, c := range map[string]struct {
		selection eventlog.Selection
		want      []string
	}{
		"all":         {eventlog.Selection{}, want},
		"withTimeout": {eventlog.Selection{From: "order-", To: "order."}, orders},
		"named":       {eventlog.Selection{Names: []string{"order-1", "sku-1"}}, slices.Concat(want[:5], want[15:])},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for raw, err := range resting(log.scanRecords(c.selection)).all(t.Context()) {
				require.NoError(t, err)
				got = append(got, raw.Lookup("_id").StringValue())
			}
			require.Equal(t, c.want, got)
		})
	}
	var names []string
	for raw, err := range resting(log.scanStreams("order-", "")).all(t.Context()) {
		require.NoError(t, err)
		names = append(names, raw.Lookup("stream").StringValue())
	}
	require.Equal(t, []string{"order-1", "order-10", "order-2"}, names)
}

// TestScanContinuesAfterLostCursor, and ends when every cursor is.
func TestScanContinuesAfterLostCursor(t *testing.T) {
	const count = 7
	lose, finds := 2, 0
	db := fake(t, func(c mongofake.Command) bson.D {
		switch c.Name {
		case "find":
			finds++
			from, _ := c.Body.Lookup("filter", "_id", "$gte").AsInt64OK()
			batch := bson.A{}
			for id := from; id < min(from+3, count); id++ {
				batch = append(batch, bson.D{{Key: "_id", Value: id}})
			}
			more := int64(9)
			if from+3 >= count {
				more = 0
			}
			return bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: more}, {Key: "ns", Value: "fake.c"}, {Key: "firstBatch", Value: batch}}}}
		case "getMore":
			code := codeCursorNotFound
			if lose--; lose < 0 {
				code = codeCursorKilled
			}
			return bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: code}, {Key: "errmsg", Value: "cursor not found"}}
		}
		return nil
	})
	s := db.collection("c").scan(byIDAscending, nil, func(at bson.Raw) bson.D {
		from := int64(0)
		if at != nil {
			from = at.Lookup("_id").Int64()
		}
		return bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: from}}}}
	})
	s.batch = 3
	var got []int64
	for raw, err := range s.all(t.Context()) {
		require.NoError(t, err)
		got = append(got, raw.Lookup("_id").Int64())
	}
	require.Equal(t, []int64{0, 1, 2, 3, 4, 5, 6}, got)
	require.Equal(t, 3, finds)

}

// TestScanFailsWhenEveryCursorIsLost: a scan of a server that never returns a document ends with an error.
func TestScanFailsWhenEveryCursorIsLost(t *testing.T) {
	finds := 0
	db := fake(t, func(c mongofake.Command) bson.D {
		if c.Name == "find" {
			finds++
			return bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(9)}, {Key: "ns", Value: "fake.c"}, {Key: "firstBatch", Value: bson.A{}}}}}
		}
		return bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: codeCursorNotFound}, {Key: "errmsg", Value: "cursor not found"}}
	})
	s := db.collection("c").scan(byIDAscending, nil, func(bson.Raw) bson.D { return bson.D{} })
	var last error
	for _, err := range s.all(t.Context()) {
		last = err
	}
	require.ErrorIs(t, last, fault.Unavailable)
	require.Equal(t, maxLosses+1, finds)
}
