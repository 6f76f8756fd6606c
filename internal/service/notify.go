package service

import (
	"context"
	"fmt"
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
		encryption, err := c.SMTPFiles.Client()
		if err != nil {
			return nil, fmt.Errorf("SMTP_TLS_CA_FILE: %w", err)
		}
		if encryption != nil {
			encryption.ServerName = server.Host
		}
		policy := smtpmail.TLSPolicy(c.SMTPTLS)
		if server.Implicit {
			policy = smtpmail.Implicit
		}
		n, err := smtpmail.New(smtpmail.Config{
			Host: server.Host, Port: server.Port, User: server.User, Password: server.Password,
			TLS: policy, TLSConfig: encryption, From: c.MailFrom, Timeout: c.SMTPTimeout,
		})
		return loggedNotifier{n, logger}, err
	case config.NotificationsLog:
		return logmail.New(logger), nil
	}
	return nil, nil //nolint:nilnil // none is what off means
}

// loggedNotifier logs why the certificate of the mail server was not accepted: the outcome of a message does not say it.
type loggedNotifier struct {
	notify.Notifier
	logger *slog.Logger
}

// Send implements notify.Notifier.
func (l loggedNotifier) Send(ctx context.Context, m notify.Message) notify.Result {
	r := l.Notifier.Send(ctx, m)
	if r.Err != nil {
		l.logger.LogAttrs(ctx, slog.LevelError, "the certificate of the mail server is not accepted", slog.String("settings", "SMTP_URL, SMTP_TLS_CA_FILE"),
			slog.Any("error", r.Err))
	}
	return r
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
