package service

import (
	"context"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// commandGrace is how long closing may take when a command ends; its publisher may still wait for confirms.
const commandGrace = 5 * time.Second

// Parts are what a command needs besides MongoDB.
type Parts struct{ Temporal, Broker bool }

// Open connects a command to what it works on, and waits for each dependency. The caller closes the Service.
func Open(ctx context.Context, cfg config.Config, logger *slog.Logger, parts Parts) (*Service, error) {
	s := &Service{cfg: cfg, logger: logger}
	if err := s.open(ctx, parts); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Service) open(ctx context.Context, parts Parts) (err error) {
	if s.stores, err = openStores(ctx, s.cfg, 0, false, s.logger); err != nil {
		return err
	}
	if parts.Temporal {
		if err := s.connectTemporal(ctx); err != nil {
			return err
		}
		s.sagas = sagaclient.New(sagaclient.Config{Temporal: s.temporal, Log: s.stores.log, Logger: s.logger})
	}
	if parts.Broker {
		if s.publisher, err = rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: s.broker()}); err != nil {
			return err
		}
		s.publisher.Start()
	}
	return nil
}

// Close ends what Open has begun.
func (s *Service) Close() { _ = drain(context.Background(), commandGrace, s.drainSteps()) }

// Log is the event log.
func (s *Service) Log() *eventlog.Follower { return s.stores.log }

// Orders are the lists of orders and of what needs attention.
func (s *Service) Orders() api.Orders { return listing{s.stores.orders, s.stores.late} }

// Rebuild makes the lists of orders anew from the event log; progress gets the number of orders that are done.
func (s *Service) Rebuild(ctx context.Context, progress func(done int)) (readmodel.Rebuilt, error) {
	return readmodel.Orders.Rebuild(ctx, s.stores.orders, s.stores.raw, progress)
}

// RebuildLate makes the list of what came after the end of orders anew.
func (s *Service) RebuildLate(ctx context.Context) (readmodel.Rebuilt, error) {
	return readmodel.Late.Rebuild(ctx, s.stores.late, s.stores.raw, nil)
}

// Resolve brings a decision to an order and returns the order after it. The error is NotFound for an unknown order, and
// ResolutionRefused, with the reason, when the decision does not fit.
func (s *Service) Resolve(ctx context.Context, orderID string, d order.Resolution) (order.State, error) {
	_, verdict, err := s.sagas.Resolve(ctx, orderID, d, "")
	switch {
	case err != nil:
		return order.State{}, err
	case !verdict.Accepted:
		return order.State{}, fault.New(fault.ResolutionRefused, "refused: %s", verdict.Detail)
	}
	return event.FoldPages(ctx, s.stores.log, event.OrderStream(orderID), 0, order.State{}, order.State.Fold)
}
