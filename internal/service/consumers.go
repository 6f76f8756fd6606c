package service

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/trace"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/workflows/notification"
)

// notifications is the subscription of the events that customers are notified of.
const notifications = "notifications"

func (s *Service) notificationQueue() string { return s.broker().Topology.Queue(notifications) }

// startConsumers starts the consumers of the inbox, of the dead letters and of the notifications, and waits for the inbox alone.
func (s *Service) startConsumers(ctx context.Context) (err error) {
	executor := &inbound.Executor{
		Sagas: s.sagas, Onboard: s.onboard, Stock: s.receiver(), Clock: time.Now, Logger: s.logger,
		Log: s.stores.log, Sealer: s.stores.box, Routes: s.routes(), Flows: s.inboundFlows(),
	}
	parse := decoding(executor.Handle)
	handle := s.traced(parse)
	s.consumer, err = consume(rabbitmq.ConsumerConfig{
		Config: s.broker(), Publisher: s.publisher, Prefetch: s.cfg.ConsumerPrefetch, ParkMax: s.cfg.SignalParkMax, Probe: s.probe,
		Handler: func(ctx context.Context, d rabbitmq.Delivery) error { return handle(ctx, d.Message) },
		Reply:   wire.NestReply,
	})
	if err != nil {
		return err
	}
	notify := s.traced(decoding((&inbound.Notifications{Log: s.stores.log, Notify: s.notify, Logger: s.logger}).Handle))
	if err := s.startReceiver(func(ctx context.Context, queue string, m wire.Message) error {
		if queue == s.notificationQueue() {
			return notify(ctx, m)
		}
		return handle(ctx, m)
	}); err != nil {
		return err
	}
	if err := s.startNotifications(notify); err != nil {
		return err
	}
	return s.consumer.WaitReady(ctx)
}

// consume starts a consumer. It does not wait for the broker.
func consume(cfg rabbitmq.ConsumerConfig) (*rabbitmq.Consumer, error) {
	consumer, err := rabbitmq.NewConsumer(cfg)
	if err == nil {
		consumer.Start()
	}
	return consumer, err
}

// traced makes a handler of messages whose work is part of their trace.
func (s *Service) traced(handle func(context.Context, wire.Message) error) func(context.Context, wire.Message) error {
	tracer := s.tracing.Tracer()
	return func(ctx context.Context, m wire.Message) error {
		parent, _ := m.Header(trace.Header)
		ctx, span := trace.Begin(ctx, tracer, "process message", trace.Consumer, parent)
		if span.Recorded() {
			if is, known := event.Find(wire.Identify(m).Type); known {
				span.Name("process " + is.Name)
			}
			span.Set("messaging.system", "rabbitmq")
			span.Set("messaging.message.id", m.MessageID)
		}
		err := handle(ctx, m)
		span.End(err)
		return err
	}
}

// decoding makes a handler of messages out of one of events.
func decoding(handle func(context.Context, event.Event) error) func(context.Context, wire.Message) error {
	return func(ctx context.Context, m wire.Message) error {
		e, err := wire.Decode(m)
		if err != nil {
			return err
		}
		return handle(ctx, e)
	}
}

// startNotifications starts the consumer of the events that customers are notified of. It does not wait, and it alone declares
// their queue: its errors do not affect orders.
func (s *Service) startNotifications(handle func(context.Context, wire.Message) error) (err error) {
	if !s.notifies() {
		return nil
	}
	cfg := s.broker()
	cfg.Topology.Subscriptions = []rabbitmq.Subscription{{Name: notifications, Keys: notification.EventTypes()}}
	s.notices, err = consume(rabbitmq.ConsumerConfig{
		Config: cfg, Subscription: notifications, Publisher: s.publisher, Prefetch: s.cfg.ConsumerPrefetch, Probe: s.probe,
		Handler: func(ctx context.Context, d rabbitmq.Delivery) error { return handle(ctx, d.Message) },
	})
	return err
}

// probe reports whether everything answers that the handlers of messages depend on.
func (s *Service) probe(ctx context.Context) error {
	_, err := s.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	return errors.Join(err, s.stores.db.Ping(ctx))
}
