package brokertest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/ordersaga/ordersaga/internal/broker/brokertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	brokertest.Run(t, func(*testing.T) brokertest.Subject {
		bus := new(brokertest.Memory)
		return brokertest.Subject{Publisher: bus, Collect: bus.Collect}
	})
}
