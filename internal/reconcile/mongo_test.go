package reconcile_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// TestEveryKindIsFoundInMongoDB plants everything that can stand in documents into a real server.
func TestEveryKindIsFoundInMongoDB(t *testing.T) {
	uri, database := testenv.MongoDB(t)
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(testenv.Patience))
	require.NoError(t, err)
	db := client.Database(database)
	t.Cleanup(func() {
		require.NoError(t, db.Drop(context.WithoutCancel(t.Context())))
		require.NoError(t, client.Disconnect(context.WithoutCancel(t.Context())))
	})
	for i, p := range plants {
		t.Run(strings.ReplaceAll(p.name, " ", "_"), func(t *testing.T) {
			w := newWorld(t)
			p.plant(w)
			w.stored(db, "events_"+testenv.Unique("n"))
			judge(t, w, plants[i])
		})
	}
	t.Run("a document that cannot be read", func(t *testing.T) {
		w := newWorld(t)
		collection := w.stored(db, "events_unreadable")
		_, err := collection.UpdateByID(t.Context(), "order-done@0000000003", bson.D{{Key: "$set", Value: bson.D{{Key: "data", Value: "?"}}}})
		require.NoError(t, err)
		report := w.check(reconcile.Options{})
		require.Len(t, report.Findings, 1)
		require.Equal(t, reconcile.StreamDocument, report.Findings[0].Kind)
	})
	t.Run("nothing", func(t *testing.T) {
		w := newWorld(t)
		w.stored(db, "events_clean")
		require.Empty(t, w.check(reconcile.Options{}).Findings)
	})
}

// stored puts the documents into a collection without indexes, which would refuse some of them, and has the check read
// it there.
func (w *world) stored(db *mongo.Database, name string) *mongo.Collection {
	w.t.Helper()
	collection := db.Collection(name)
	for _, d := range w.documents(w.t) {
		_, err := collection.InsertOne(w.t.Context(), d)
		require.NoError(w.t, err)
	}
	log, err := mongolog.New(mongolog.Config{Database: db, Collection: name, Timeout: testenv.Patience})
	require.NoError(w.t, err)
	w.log = log
	w.gateway, err = simulator.New(simulator.Config{Log: log})
	require.NoError(w.t, err)
	return collection
}
