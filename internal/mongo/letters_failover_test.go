package mongo

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/deadletter/deadlettertest"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/mongo/mongofake"
)

// TestLetterHiddenByFailoverIsFound, and a part of it that is missing is worth a retry.
func TestLetterHiddenByFailoverIsFound(t *testing.T) {
	var stored []bson.Raw
	s := NewLetters(fake(t, func(c mongofake.Command) bson.D {
		switch {
		case c.Name == "insert":
			stored = append(stored, c.Documents...)
		case c.Name == "find" && c.ReadConcern() == "linearizable":
			id, _ := c.Body.Lookup("filter", "_id").StringValueOK()
			for _, raw := range stored {
				if raw.Lookup("_id").StringValue() == id {
					return mongofake.Found("fake.dead_letters", raw)
				}
			}
			return mongofake.Found("fake.dead_letters")
		case c.Name == "find":
			return mongofake.Found("fake.dead_letters")
		}
		return bson.D{{Key: "n", Value: 1}}
	}))
	s.inline = 4
	l := deadlettertest.Letter(1, []byte("a payload in parts"))
	inserted, err := s.Insert(t.Context(), l)
	require.NoError(t, err)
	require.True(t, inserted)
	got, found, err := s.Get(t.Context(), l.ID)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "a payload in parts", string(got.Message.Body))

	stored = append(stored[:1], stored[2:]...)
	_, _, err = s.Get(t.Context(), l.ID)
	require.ErrorIs(t, err, fault.ErrMissing)
	require.True(t, fault.Retryable(err))
}

func TestUnconfirmedLetterIsUnknown(t *testing.T) {
	s := NewLetters(fake(t, func(mongofake.Command) bson.D { return mongofake.Refused(true, 0) }))
	_, err := s.Insert(t.Context(), deadlettertest.Letter(1, []byte("x")))
	require.ErrorIs(t, err, fault.Unavailable)
}
