package memlog_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/ordersaga/ordersaga/internal/eventlog/eventlogtest"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	eventlogtest.Run(t, func(*testing.T) eventlogtest.Opener {
		log := memlog.New()
		return func(*testing.T) eventlogtest.Store { return log }
	})
}
