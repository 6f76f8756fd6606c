package mongoletters_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/deadletter/deadlettertest"
	"github.com/ordersaga/ordersaga/internal/deadletter/mongoletters"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// connect returns a database of the test's own.
func connect(t *testing.T) *mongo.Database {
	t.Helper()
	uri, name := testenv.MongoDB(t)
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(testenv.Patience))
	require.NoError(t, err)
	db := client.Database(name)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, db.Drop(ctx))
		require.NoError(t, client.Disconnect(ctx))
	})
	return db
}

func open(t *testing.T, db *mongo.Database) *mongoletters.Store {
	t.Helper()
	s := mongoletters.New(db)
	require.NoError(t, s.Setup(t.Context()))
	return s
}

func TestStore(t *testing.T) {
	deadlettertest.Run(t, func(t *testing.T) deadletter.Store { return open(t, connect(t)) })
}

// A process that dies between the parts of a payload and its letter leaves no letter; the next one makes it whole.
func TestPartsComeBeforeTheirLetter(t *testing.T) {
	db := connect(t)
	s := open(t, db)
	l := deadlettertest.Letter(1, make([]byte, 2*mongoletters.MaxInline+1))
	letters := db.Collection(mongoletters.Collection)
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

func TestAServerThatIsAwayIsUnavailable(t *testing.T) {
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://127.0.0.1:1").SetServerSelectionTimeout(50 * time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Disconnect(context.WithoutCancel(t.Context()))) })
	s := mongoletters.New(client.Database("none"))
	_, err = s.Insert(t.Context(), deadlettertest.Letter(1, nil))
	require.ErrorIs(t, err, fault.Unavailable)
	_, _, err = s.Get(t.Context(), "a")
	require.ErrorIs(t, err, fault.Unavailable)
	_, _, err = s.List(t.Context(), deadletter.Filter{})
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorIs(t, s.Mark(t.Context(), "a", deadletter.StatusOpen, 1), fault.Unavailable)
}
