package logmail_test

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/notify"
	"github.com/ordersaga/ordersaga/internal/notify/logmail"
	"github.com/ordersaga/ordersaga/internal/notify/notifytest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// buffer is written by many at once.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func fresh(*testing.T) (notify.Notifier, func() string) {
	var out buffer
	return logmail.New(slog.New(slog.NewJSONHandler(&out, nil))), out.String
}

func TestContract(t *testing.T) { notifytest.Run(t, notifytest.Subject{New: fresh}) }

func TestLogLineNamesTemplateAndCustomer(t *testing.T) {
	n, logged := fresh(t)
	n.Send(t.Context(), notifytest.Message())
	require.Contains(t, logged(), `"notice_id":"completed-42","template":"completed","customer_id":"c-1"`)
}
