package mongo

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/deadletter/deadlettertest"
	"github.com/ordersaga/ordersaga/internal/fault"
)

func openLetters(t *testing.T, db *DB) *Letters {
	t.Helper()
	l := NewLetters(db)
	require.NoError(t, Setup(t.Context(), l.Indexes()))
	return l
}

func TestLetters(t *testing.T) {
	deadlettertest.Run(t, func(t *testing.T) deadletter.Store { return openLetters(t, connect(t)) })
}

// A process that dies between the parts of a payload and its letter leaves no letter; the next one makes it whole.
func TestPartsAreWrittenBeforeTheirLetter(t *testing.T) {
	db := connect(t)
	s := openLetters(t, db)
	l := deadlettertest.Letter(1, make([]byte, 2*maxInline+1))
	letters := db.Database.Collection(LettersCollection)
	_, err := s.Insert(t.Context(), l)
	require.NoError(t, err)
	n, err := letters.CountDocuments(t.Context(), bson.D{{Key: "kind", Value: "part"}})
	require.NoError(t, err)
	require.Equal(t, int64(3), n)
	_, err = letters.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: l.ID}})
	require.NoError(t, err)
	_, err = letters.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: l.ID + "/0002"}})
	require.NoError(t, err)
	_, found, err := s.Get(t.Context(), l.ID)
	require.NoError(t, err)
	require.False(t, found)
	inserted, err := s.Insert(t.Context(), l)
	require.NoError(t, err)
	require.True(t, inserted)
	got, found, err := s.Get(t.Context(), l.ID)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, l.PayloadHash, deadletter.HashOf(got.Message.Body))
}

func TestLettersAreUnavailableWithoutServer(t *testing.T) {
	client, err := driver.Connect(options.Client().ApplyURI("mongodb://127.0.0.1:1").SetServerSelectionTimeout(50 * time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Disconnect(context.WithoutCancel(t.Context()))) })
	s := NewLetters(&DB{Database: client.Database("none")})
	_, err = Open(t.Context(), client.Database("none"), nil)
	require.ErrorIs(t, err, fault.Unavailable)
	_, err = s.Insert(t.Context(), deadlettertest.Letter(1, nil))
	require.ErrorIs(t, err, fault.Unavailable)
	_, _, err = s.Get(t.Context(), "a")
	require.ErrorIs(t, err, fault.Unavailable)
	_, _, err = s.List(t.Context(), deadletter.Filter{})
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorIs(t, s.Mark(t.Context(), "a", deadletter.StatusOpen, 1), fault.Unavailable)
}
