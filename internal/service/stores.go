package service

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/deadletter/mongoletters"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/inventory/mongoregistry"
	"github.com/ordersaga/ordersaga/internal/late"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/sealed/mongokeys"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// stores are everything that lives in MongoDB.
type stores struct {
	client *mongo.Client
	raw    *mongolog.Log
	// log is raw with watchers: what this process appends is seen at once.
	log    *eventlog.Follower
	orders *readmodel.Store
	// late is what came after its order had ended and needs somebody.
	late   *readmodel.Store
	ledger *inventory.Ledger
	// letters are the dead letters.
	letters *mongoletters.Store
	// keys are the customers'.
	keys *mongokeys.Keys
	// indexes has the indexes created.
	indexes *indexBuilder
}

// openStores connects, waits for the server, and for the indexes that nothing can be written without. It is for commands: they
// leave other indexes to the service.
func openStores(ctx context.Context, c config.Config, logger *slog.Logger) (*stores, error) {
	return openStoresPolling(ctx, c, 0, false, logger)
}

// openStoresPolling is openStores with a log that looks every so often for what other processes append; 0 is the default. With
// indexes it has those created that are missing, while the process runs.
func openStoresPolling(ctx context.Context, c config.Config, poll time.Duration, indexes bool, logger *slog.Logger) (*stores, error) {
	where := c.MongoDBURI.Host()
	// More at once would not be quicker, and would let an overload reach the server; the URI may say otherwise.
	client, err := mongo.Connect(options.Client().SetMaxPoolSize(32).ApplyURI(c.MongoDBURI.Reveal()).
		SetAppName("ordersaga").SetMonitor(slowCommands(logger)).SetServerSelectionTimeout(3 * time.Second).SetConnectTimeout(5 * time.Second))
	if err != nil {
		return nil, err
	}
	db := client.Database(c.MongoDBDatabase)
	s := &stores{client: client, letters: mongoletters.New(db), keys: mongokeys.New(db), indexes: newIndexBuilder(logger, where)}
	if s.raw, err = mongolog.New(mongolog.Config{Database: db, Logger: logger}); err != nil {
		return nil, err
	}
	if s.log, err = eventlog.NewFollower(eventlog.FollowerConfig{Log: s.raw, PollMin: poll}); err != nil {
		return nil, err
	}
	if s.orders, err = readmodel.New(readmodel.Config{Database: db}); err != nil {
		return nil, err
	}
	if s.late, err = readmodel.New(readmodel.LateConfig(db)); err != nil {
		return nil, err
	}
	if s.ledger, err = inventory.New(inventory.Config{Log: s.log, Registry: mongoregistry.New(db), Logger: logger}); err != nil {
		return nil, err
	}
	var wanted []mongolog.Index
	err = await(ctx, logger, "mongodb", where, func(ctx context.Context) error {
		wanted = nil
		for _, indexes := range []func(context.Context) ([]mongolog.Index, error){s.raw.Indexes, s.orders.Indexes, s.late.Indexes, s.letters.Indexes} {
			of, err := indexes(ctx)
			if err != nil {
				return err
			}
			wanted = append(wanted, of...)
		}
		return s.ping(ctx)
	})
	if err == nil {
		err = s.indexes.prepare(ctx, wanted, indexes)
	}
	return s, err
}

// ping asks whether the primary answers.
func (s *stores) ping(ctx context.Context) error {
	return fault.Wrap(s.client.Ping(ctx, readpref.Primary()), fault.Unavailable, "ping mongodb")
}

func (s *stores) close(ctx context.Context) {
	s.indexes.close()
	s.ledger.Close()
	_ = s.client.Disconnect(ctx)
}

// projection makes the read model what activities need.
type projection struct{ orders *readmodel.Store }

func (p projection) Project(ctx context.Context, s order.State) error {
	return p.orders.Put(ctx, readmodel.FromState(s))
}

// lateDesk makes the read model what the activities of the late saga need.
type lateDesk struct{ store *readmodel.Store }

func (d lateDesk) Show(ctx context.Context, s late.State) error {
	return d.store.Put(ctx, readmodel.FromLate(s))
}

// listing makes the read model what the API needs.
type listing struct{ orders, late *readmodel.Store }

func (l listing) List(ctx context.Context, f api.OrderFilter) ([]order.State, string, error) {
	items, next, err := l.orders.List(ctx, readmodel.Filter{
		Statuses: f.Statuses, CustomerID: f.CustomerID, CreatedFrom: f.From, CreatedTo: f.To,
		Limit: f.Limit, Cursor: f.Cursor,
	})
	states := make([]order.State, len(items))
	for i, item := range items {
		states[i] = order.State{Saga: saga.Saga{Status: item.Status, Reason: item.Reason, Head: event.Head{Version: item.Version}, CreatedAt: item.CreatedAt, UpdatedAt: item.UpdatedAt, CorrelationID: item.CorrelationID}, Order: item.Order}
	}
	return states, next, err
}

// lateCursor begins the cursors of the desk's second part: first the orders that are open come, then those that have ended.
const lateCursor = "late."

// Desk returns a page of the desk.
func (l listing) Desk(ctx context.Context, cursor string, limit int) ([]api.DeskItem, string, error) {
	behind, inLate := strings.CutPrefix(cursor, lateCursor)
	if !inLate {
		behind = ""
	}
	var items []api.DeskItem
	if !inLate {
		var next string
		var err error
		items, next, err = deskPage(ctx, l.orders, cursor, limit)
		if err != nil || next != "" {
			return items, next, err
		}
	}
	// A page that is full already leads on to one more: what it begins with is asked for there.
	left := limit - len(items)
	if left == 0 {
		return items, lateCursor, nil
	}
	more, next, err := deskPage(ctx, l.late, behind, left)
	if next != "" {
		next = lateCursor + next
	}
	return append(items, more...), next, err
}

// deskPage is a page of one of the desk's parts.
func deskPage(ctx context.Context, store *readmodel.Store, cursor string, limit int) ([]api.DeskItem, string, error) {
	found, next, err := store.List(ctx, readmodel.Filter{
		Statuses: []order.Status{order.StatusNeedsAttention}, Limit: limit, Cursor: cursor,
	})
	items := make([]api.DeskItem, len(found))
	for i, o := range found {
		items[i] = api.DeskItem{OrderID: o.ID, Status: o.Status, Late: o.EndedAs != ""}
		if items[i].Late {
			items[i].Status = o.EndedAs
		}
		if o.Attention != nil {
			items[i].Attention, items[i].Actions = o.Attention.AttentionState, o.Attention.Actions
		}
	}
	return items, next, err
}

// receiver makes the ledger what inbound.Executor needs.
type receiver struct{ ledger *inventory.Ledger }

func (r receiver) Receive(ctx context.Context, sku string, quantity int64, id string) error {
	_, err := r.ledger.Receive(ctx, sku, quantity, id)
	return err
}

// recordPublisher is a publisher of records, as activities need it.
type recordPublisher func(ctx context.Context, records []event.Record) (int, error)

func (p recordPublisher) Publish(ctx context.Context, records []event.Record) (int, error) {
	return p(ctx, records)
}
