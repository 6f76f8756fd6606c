package mongo

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

// Questions for first records share round trips, and each gets its own answer: there, not there, damaged.
func TestFirstRecordsAreReadTogether(t *testing.T) {
	db := as(connect(t), MongoDB)
	writer := NewLog(db, EventsCollection)
	const streams = 12
	for i := range streams {
		_, _, err := writer.Append(t.Context(), fmt.Sprintf("order-%d", i), event.Head{}, entries("a", "b", "c"))
		require.NoError(t, err)
	}
	_, err := writer.events.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: documentID("order-3", 1)}})
	require.NoError(t, err)
	spoil := func(stream, field string, value any) {
		_, err = writer.events.UpdateByID(t.Context(), documentID(stream, 1), bson.D{{Key: "$set", Value: bson.D{{Key: field, Value: value}}}})
		require.NoError(t, err)
	}
	spoil("order-5", "data", 1.5)
	spoil("order-7", "stream", "order-8")
	damage := map[int]string{
		3: "stream order-3 has version 2 where 1 was expected", 5: `decode document "order-5@0000000001"`,
		// It is found when order 8 is part of the same query.
		7: "order-7",
	}

	log := sharing(db, groupcommit.Config[[]document]{Concurrency: 1, SlowAfter: time.Minute})
	var all sync.WaitGroup
	for i := range 2 * streams {
		for range 3 {
			all.Go(func() {
				stream := fmt.Sprintf("order-%d", i)
				records, err := log.Read(t.Context(), stream, 0, 1)
				switch {
				case damage[i] != "":
					want := fault.Corrupt
					if i == 3 || i == 7 && errors.Is(err, fault.ErrMissing) {
						// The stream's first record is in another stream, which only a question together with that one sees.
						want = fault.Unavailable
					}
					assert.ErrorIs(t, err, want, stream)
					assert.ErrorContains(t, err, damage[i])
				case i >= streams:
					assert.NoError(t, err, stream)
					assert.Empty(t, records, stream)
				case assert.NoError(t, err, stream) && assert.Len(t, records, 1, stream):
					assert.Equal(t, stream, records[0].Stream)
					assert.EqualValues(t, 1, records[0].Version, stream)
				}
			})
		}
	}
	all.Wait()
}
