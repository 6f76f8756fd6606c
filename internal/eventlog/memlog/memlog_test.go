package memlog_test

import (
	"testing"

	"github.com/ordersaga/ordersaga/internal/eventlog/eventlogtest"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestContract(t *testing.T) {
	eventlogtest.Run(t, func(*testing.T) eventlogtest.Opener {
		log := memlog.New()
		return func(*testing.T) eventlogtest.Store { return log }
	})
}
