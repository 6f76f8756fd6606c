package mongo

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	monitor "go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/audit/audittest"
	"github.com/ordersaga/ordersaga/internal/checkpoint"
)

// work counts what a server does.
type work struct {
	// commands are the round trips. Statements are the queries and updates in them, and scans those whose filter is not on _id alone.
	commands, statements, scans atomic.Int64
	// read and written are documents.
	read, written atomic.Int64
}

func (w *work) monitor() *monitor.CommandMonitor {
	return &monitor.CommandMonitor{
		Started: func(_ context.Context, e *monitor.CommandStartedEvent) {
			w.commands.Add(1)
			var filters []bson.Raw
			switch e.CommandName {
			case "find":
				filters = []bson.Raw{e.Command.Lookup("filter").Document()}
			case "update", "delete":
				for _, v := range elements(e.Command.Lookup(e.CommandName + "s")) {
					filters = append(filters, v.Document().Lookup("q").Document())
				}
			case "insert":
				w.written.Add(int64(len(elements(e.Command.Lookup("documents")))))
			}
			w.statements.Add(int64(len(filters)))
			for _, filter := range filters {
				if fields, err := filter.Elements(); err != nil || len(fields) != 1 || fields[0].Key() != "_id" || fields[0].Value().Type != bson.TypeString {
					w.scans.Add(1)
				}
			}
		},
		Succeeded: func(_ context.Context, e *monitor.CommandSucceededEvent) {
			for _, batch := range []string{"firstBatch", "nextBatch"} {
				w.read.Add(int64(len(elements(e.Reply.Lookup("cursor", batch)))))
			}
		},
	}
}

func elements(v bson.RawValue) []bson.RawValue {
	array, ok := v.ArrayOK()
	if !ok {
		return nil
	}
	values, _ := array.Values()
	return values
}

// total is the work of what do does: each scan reads size documents.
func (w *work) total(size int, do func()) int64 {
	for _, counter := range []*atomic.Int64{&w.commands, &w.statements, &w.scans, &w.read, &w.written} {
		counter.Store(0)
	}
	do()
	return w.commands.Load() + w.statements.Load() + w.read.Load() + w.written.Load() + w.scans.Load()*int64(size)
}

// TestCheckpointsCostWhatHasChanged counts the work of checkpoints in a log, and in one that is four times as large.
func TestCheckpointsCostWhatHasChanged(t *testing.T) {
	for _, kind := range []Server{FerretDB1, MongoDB} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			const small, large, changed = 50, 200, 5
			measure := func(streams int) (first, next int64) {
				var w work
				db := as(connect(t, options.Client().SetMonitor(w.monitor())), kind)
				log := NewLog(db, EventsCollection)
				var docs []document
				for i := range streams {
					more, err := toDocuments(audittest.Records(fmt.Sprintf("order-%d", i), 2))
					require.NoError(t, err)
					docs = append(docs, more...)
				}
				long := bson.NewDateTimeFromTime(time.Now().Add(-time.Hour))
				for i := range docs {
					docs[i].Recorded = long
				}
				_, err := log.events.InsertMany(t.Context(), docs)
				require.NoError(t, err)
				ledger, keys := ledgers(t, db, nil)
				create := func() (created checkpoint.Created) {
					created, err := ledger().Create(t.Context(), false)
					require.NoError(t, err)
					require.True(t, created.New)
					return created
				}
				size := len(docs)
				if kind != FerretDB1 {
					size = 0 // an index finds what is read
				}
				first = w.total(size, func() { assert.EqualValues(t, streams, create().Leaves) })
				for i := range changed {
					appendTo(t, log, fmt.Sprintf("order-%d", i), 1)
				}
				next = w.total(size, func() { assert.EqualValues(t, changed+1, create().Leaves) })
				sound(t, ledger(), keys)
				return first, next
			}
			first, next := measure(small)
			firstOfLarge, nextOfLarge := measure(large)
			t.Logf("first checkpoint: %d and %d; next: %d and %d", first, firstOfLarge, next, nextOfLarge)
			const most = large/small + 1
			assert.LessOrEqual(t, firstOfLarge, most*first)
			if kind == FerretDB1 {
				assert.LessOrEqual(t, nextOfLarge, most*next)
			} else {
				assert.LessOrEqual(t, nextOfLarge, next+next/2, "the size of the log does not matter")
			}
		})
	}
}
