package service

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/keyset"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// stores are everything that lives in MongoDB.
type stores struct {
	db  *mongo.DB
	raw *mongo.Log
	// log is raw with watchers: what this process appends is seen at once.
	log    *eventlog.Follower
	orders *mongo.List
	// sagas lists the sagas that are no orders.
	sagas  *mongo.List
	ledger *inventory.Ledger
	// letters are the dead letters.
	letters *mongo.Letters
	// box seals the personal data of customers.
	box     *sealed.Box
	indexes *mongo.IndexBuilder
	// master wraps the keys of sealed data.
	master keyset.Set
	// audited is set if checkpoints are created: changed streams are found with an index.
	audited bool
}

// openStores connects, waits for the server, and for the indexes without which nothing can be written. The log polls for what other
// processes append; 0 is the default. With indexes the other indexes are created while the process runs. Metrics may be nil.
func openStores(ctx context.Context, c config.Config, poll time.Duration, indexes bool, logger *slog.Logger, m *mongo.Metrics) (*stores, error) {
	encryption, err := c.MongoDBTLS.Client()
	if err != nil {
		return nil, fmt.Errorf("MONGODB_TLS_*: %w", err)
	}
	client, err := mongo.Connect(c.MongoDBURI.Reveal(), encryption, logger, m)
	if err != nil {
		return nil, err
	}
	s := &stores{master: c.SealMasterKeys, audited: c.AuditSigner.Configured(), indexes: mongo.NewIndexBuilder(logger)}
	err = await(ctx, logger, dependency{"mongodb", c.MongoDBURI.Host(), "MONGODB_URI, MONGODB_TLS_*"}, func(ctx context.Context) (err error) {
		s.db, err = mongo.Open(ctx, client.Database(c.MongoDBDatabase), logger)
		return err
	})
	if err == nil {
		s.db.Metrics = m
		err = s.open(ctx, poll, indexes, logger)
	}
	if err != nil {
		_ = client.Disconnect(context.WithoutCancel(ctx))
		return nil, err
	}
	return s, nil
}

func (s *stores) open(ctx context.Context, poll time.Duration, indexes bool, logger *slog.Logger) (err error) {
	s.raw, s.orders, s.sagas = mongo.NewLog(s.db, mongo.EventsCollection), mongo.NewOrders(s.db), mongo.NewSagas(s.db)
	master := sealed.Master{Set: s.master}
	s.box = sealed.NewBox(sealed.Wrapped{Keys: mongo.NewKeys(s.db), By: master})
	s.letters = mongo.NewLetters(s.db).SealWith(master)
	if s.log, err = eventlog.NewFollower(eventlog.FollowerConfig{Log: s.raw, PollMin: poll}); err != nil {
		return err
	}
	if s.ledger, err = inventory.New(inventory.Config{Log: s.log, Registry: mongo.NewSKUs(s.db), Temporary: order.Temporary, Logger: logger}); err != nil {
		return err
	}
	return s.indexes.Prepare(ctx, indexes, s.wantedIndexes()...)
}

func (s *stores) wantedIndexes() [][]mongo.Index {
	wanted := [][]mongo.Index{s.raw.Indexes(), s.orders.Indexes(), s.sagas.Indexes(), s.letters.Indexes()}
	if s.audited {
		wanted = append(wanted, s.raw.RecordedIndexes())
	}
	return wanted
}

func (s *stores) close(ctx context.Context) {
	s.indexes.Close()
	s.ledger.Close()
	_ = s.db.Database.Client().Disconnect(ctx)
}

// projection makes the read model what activities need.
type projection struct{ orders *mongo.List }

func (p projection) Project(ctx context.Context, s order.State) error {
	return p.orders.Put(ctx, readmodel.FromState(s))
}

// listing makes the read model what the API needs: the lists of orders and of other sagas, and what needs attention in all of them.
type listing struct{ orders, sagas *mongo.List }

func (l listing) List(ctx context.Context, f readmodel.Filter) ([]readmodel.Order, string, error) {
	return l.orders.List(ctx, f)
}

// Sagas returns a page of the sagas that are no orders.
func (l listing) Sagas(ctx context.Context, f readmodel.Filter) ([]readmodel.Order, string, error) {
	f.AnyStatus = true
	return l.sagas.List(ctx, f)
}

// listedStatuses are those in which lists have orders. Sagas of all flows have the same names for waiting, needing attention and endings.
var listedStatuses = slices.DeleteFunc(slices.Clone(order.Statuses), func(s order.Status) bool { return !order.Listed(s) })

// Counts counts orders and other sagas by status.
func (l listing) Counts(ctx context.Context, flow string) (map[saga.Status]int64, error) {
	counts := make(map[saga.Status]int64)
	for _, one := range []struct {
		list *mongo.List
		flow string
		skip bool
	}{{l.orders, "", flow != "" && flow != order.Flow.Name}, {l.sagas, flow, flow == order.Flow.Name}} {
		if one.skip {
			continue
		}
		found, err := one.list.Counts(ctx, one.flow, listedStatuses)
		if err != nil {
			return nil, err
		}
		for status, n := range found {
			counts[status] = min(counts[status]+n, readmodel.MaxCount)
		}
	}
	return counts, nil
}

// NeedsAttention returns a page of what needs attention: open orders first, then ended ones, then sagas of other flows.
func (l listing) NeedsAttention(ctx context.Context, cursor string, limit int) ([]readmodel.Order, string, error) {
	list := func(list *mongo.List, anyStatus bool) part[readmodel.Order] {
		return func(ctx context.Context, cursor string, limit int) ([]readmodel.Order, string, error) {
			f := needAttention(cursor, limit)
			f.AnyStatus = anyStatus
			return list.List(ctx, f)
		}
	}
	return pageOfParts(ctx, cursor, limit, []namedPart[readmodel.Order]{
		{"", list(l.orders, false)}, {"saga.", list(l.sagas, true)},
	})
}

func needAttention(page string, limit int) readmodel.Filter {
	return readmodel.Filter{Statuses: []saga.Status{saga.NeedsAttention}, Limit: limit, Cursor: page}
}

// moveLate has the list of sagas show the late payments that earlier versions listed apart, so that what needs attention is shown at once. What
// fails is logged, and listed by reconcile.
func (s *Service) moveLate(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	old := mongo.NewLate(s.stores.db)
	for e, err := range old.All(ctx) {
		if err == nil {
			err = readmodel.Of(&latepayment.Flow).RebuildEntry(ctx, s.stores.sagas, s.stores.raw, latepayment.Flow.StreamOf(e.ID))
		}
		if err == nil {
			_, err = old.Remove(ctx, e.ID)
		}
		if err != nil {
			s.logger.LogAttrs(ctx, slog.LevelWarn, "a late payment of an earlier version is not listed yet", slog.String("order_id", e.ID), slog.Any("error", err))
		}
	}
}

// moveTimeout bounds how long a start waits for that.
const moveTimeout = 10 * time.Second

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
