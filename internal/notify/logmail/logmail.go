// Package logmail is a Notifier that writes a log line instead of sending a message, for development. The line has the key and kind of the message
// and the customer ID, but neither address nor text.
//
// It imports internal/notify and the standard library.
package logmail

import (
	"context"
	"log/slog"

	"github.com/ordersaga/ordersaga/internal/notify"
)

// Notifier implements notify.Notifier. Every message is accepted.
type Notifier struct{ logger *slog.Logger }

var _ notify.Notifier = (*Notifier)(nil)

// New returns a Notifier.
func New(logger *slog.Logger) *Notifier { return &Notifier{logger: logger} }

// Send implements notify.Notifier.
func (n *Notifier) Send(ctx context.Context, m notify.Message) notify.Result {
	if ctx.Err() != nil {
		return notify.Result{Outcome: notify.NotAccepted}
	}
	n.logger.LogAttrs(ctx, slog.LevelInfo, "customer notified", slog.String("notice_id", m.Key),
		slog.String("template", m.Kind), slog.String("customer_id", m.CustomerID))
	return notify.Result{Outcome: notify.Accepted}
}
