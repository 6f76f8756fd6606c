package reconcile_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/mongo/mongotest"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// TestEveryKindIsFoundInMongoDB plants every violation that documents can have into a real server.
func TestEveryKindIsFoundInMongoDB(t *testing.T) {
	db, err := mongo.Open(t.Context(), mongotest.Database(t), nil)
	require.NoError(t, err)
	db.Timeout = testenv.Timeout
	for i, p := range plants {
		t.Run(strings.ReplaceAll(p.name, " ", "_"), func(t *testing.T) {
			w := newWorld(t)
			p.plant(w)
			w.stored(db, "events_"+testenv.Unique("n"))
			requireFindings(t, w, plants[i])
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
func (w *world) stored(db *mongo.DB, name string) *driver.Collection {
	w.t.Helper()
	collection := db.Database.Collection(name)
	for _, d := range w.documents(w.t) {
		_, err := collection.InsertOne(w.t.Context(), d)
		require.NoError(w.t, err)
	}
	log := mongo.NewLog(db, name)
	w.log = log
	var err error
	w.gateway, err = simulator.New(simulator.Config{Log: log})
	require.NoError(w.t, err)
	return collection
}
