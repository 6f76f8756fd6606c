package service

import (
	"context"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/notice"
	"github.com/ordersaga/ordersaga/internal/notify"
	"github.com/ordersaga/ordersaga/internal/notify/logmail"
	"github.com/ordersaga/ordersaga/internal/notify/smtpmail"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// notifications is the subscription of the events that customers are notified of.
const notifications = "notifications"

// notificationQueue is its queue.
func (s *Service) notificationQueue() string { return s.broker().Topology.Queue(notifications) }

// notifies reports whether customers are notified.
func (s *Service) notifies() bool { return s.cfg.Notifications != config.NotificationsOff }

// newTemplates loads the templates of every kind of message.
func newTemplates(c config.Config) (*notify.Templates, error) {
	kinds := make([]string, len(notice.Kinds))
	for i, k := range notice.Kinds {
		kinds[i] = string(k)
	}
	return notify.LoadTemplates(c.NotificationTemplates, kinds)
}

// newNotifier makes the notifier that the settings name; nil when customers are not notified.
func newNotifier(c config.Config, logger *slog.Logger) (notify.Notifier, error) {
	switch c.Notifications {
	case config.NotificationsSMTP:
		server := c.MailServer()
		policy := smtpmail.TLSPolicy(c.SMTPTLS)
		if server.Implicit {
			policy = smtpmail.Implicit
		}
		return smtpmail.New(smtpmail.Config{
			Host: server.Host, Port: server.Port, User: server.User, Password: server.Password,
			TLS: policy, From: c.MailFrom, Timeout: c.SMTPTimeout,
		})
	case config.NotificationsLog:
		return logmail.New(logger), nil
	}
	return nil, nil //nolint:nilnil // none is what off means
}

// noticeActivities wires the activities that notify customers.
func (s *Service) noticeActivities() (*activities.Notices, error) {
	n := &activities.Notices{
		Log: s.stores.log, Profiles: sealed.NewBox(s.stores.keys), Window: s.cfg.NotificationWindow, Clock: time.Now, Logger: s.logger,
	}
	var err error
	if n.Notifier, err = newNotifier(s.cfg, s.logger); err != nil || n.Notifier == nil {
		return n, err
	}
	n.Templates, err = newTemplates(s.cfg)
	return n, err
}

// notificationHandler handles the events that customers are notified of.
func (s *Service) notificationHandler() func(context.Context, wire.Message) error {
	inbox := &inbound.Notifications{Log: s.stores.log, Sagas: s.sagas, Logger: s.logger}
	return func(ctx context.Context, m wire.Message) error {
		e, err := wire.Decode(m)
		if err != nil {
			return err
		}
		return inbox.Handle(ctx, e)
	}
}

// startNotifications starts the consumer of the events that customers are notified of. It does not wait, and it alone declares
// their queue: whatever is wrong with that, orders go on.
func (s *Service) startNotifications(handle func(context.Context, wire.Message) error) (err error) {
	if !s.notifies() {
		return nil
	}
	cfg := s.broker()
	cfg.Topology.Subscriptions = []rabbitmq.Subscription{{Name: notifications, Keys: notice.EventTypes()}}
	s.notices, err = rabbitmq.NewConsumer(rabbitmq.ConsumerConfig{
		Config: cfg, Subscription: notifications, Publisher: s.publisher, Prefetch: s.cfg.ConsumerPrefetch, Probe: s.probe,
		Handler: func(ctx context.Context, d rabbitmq.Delivery) error { return handle(ctx, d.Message) },
	})
	if err == nil {
		s.notices.Start()
	}
	return err
}
