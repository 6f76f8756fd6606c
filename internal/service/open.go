package service

import (
	"context"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/payloads"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// commandGrace is how long closing may take when a command ends; its publisher may still wait for confirms.
const commandGrace = 5 * time.Second

// Parts are what a command needs besides MongoDB.
type Parts struct{ Temporal, Broker bool }

// Open connects a command to what it works on, and waits for each dependency. The caller closes the Service.
func Open(ctx context.Context, cfg config.Config, logger *slog.Logger, parts Parts, flows ...Flow) (*Service, error) {
	s := &Service{cfg: cfg, logger: logger, added: flows}
	if err := s.open(ctx, parts); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Service) open(ctx context.Context, parts Parts) (err error) {
	if s.stores, err = openStores(ctx, s.cfg, 0, false, s.logger, nil); err != nil {
		return err
	}
	if parts.Temporal {
		if err := s.connectTemporal(ctx); err != nil {
			return err
		}
		s.useSagas(sagaclient.Config{Temporal: s.temporal, Log: s.stores.log, Logger: s.logger, Converter: payloads.Converter(s.cfg.PayloadKeys)})
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
func (s *Service) Orders() api.Orders { return listing{s.stores.orders, s.stores.sagas} }

// Rebuild rebuilds the lists of the sagas of every flow from the event log. With compare, it changes nothing and calls compare for each difference.
// Progress gets the number of orders that are done; report gets the result of each flow, and the name with which its streams begin. Errors: Unavailable.
func (s *Service) Rebuild(
	ctx context.Context, progress func(done int), report func(stream string, r readmodel.Rebuilt), compare func(readmodel.Difference),
) error {
	for _, f := range s.tables() {
		list, store, each := readmodel.Of(f), readmodel.Store(s.stores.sagas), func(int) {}
		if f.Info().Name == order.Flow.Name {
			list, store, each = readmodel.Orders, s.stores.orders, progress
		}
		var rebuilt readmodel.Rebuilt
		var err error
		if compare == nil {
			rebuilt, err = list.Rebuild(ctx, store, s.stores.raw, each)
		} else {
			rebuilt, err = list.Compare(ctx, store, s.stores.raw, each, compare)
		}
		report(f.Info().Stream, rebuilt)
		if err != nil {
			return err
		}
	}
	return nil
}

// Resolve brings a decision to a saga of a flow and returns the saga's status after it. The error is NotFound for a flow or a saga that does not
// exist, and ResolutionRefused, with the reason, when the decision does not fit.
func (s *Service) Resolve(ctx context.Context, flow, id string, d saga.Resolution) (saga.Status, error) {
	sagas, ok := s.sagasOf[flow]
	if !ok {
		return "", fault.New(fault.NotFound, "there is no flow %q", flow)
	}
	_, verdict, err := sagas.Resolve(ctx, id, d, "")
	switch {
	case err != nil:
		return "", err
	case !verdict.Accepted:
		return "", fault.New(fault.ResolutionRefused, "refused: %s", verdict.Detail)
	}
	v, err := sagas.View(ctx, id)
	return v.Status, err
}
