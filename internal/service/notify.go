package service

import (
	"log/slog"

	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/notify"
	"github.com/ordersaga/ordersaga/internal/notify/logmail"
	"github.com/ordersaga/ordersaga/internal/notify/orders"
	"github.com/ordersaga/ordersaga/internal/notify/smtpmail"
	"github.com/ordersaga/ordersaga/workflows/notification"
)

func (s *Service) notifies() bool { return s.cfg.Notifications != config.NotificationsOff }

func newTemplates(c config.Config) (*notify.Templates, error) {
	kinds := make([]string, len(notification.Kinds))
	for i, k := range notification.Kinds {
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

func (s *Service) noticeParticipants() (*notification.Participants, error) {
	p := &notification.Participants{
		Customers: s.stores.log, Orders: orders.Reader{Log: s.stores.log}, Profiles: s.stores.box,
		Window: s.cfg.NotificationWindow, Logger: s.logger,
	}
	var err error
	if p.Notifier, err = newNotifier(s.cfg, s.logger); err != nil || p.Notifier == nil {
		return p, err
	}
	p.Templates, err = newTemplates(s.cfg)
	return p, err
}
