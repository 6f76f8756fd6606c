package brokertest_test

import (
	"testing"

	"github.com/ordersaga/ordersaga/internal/broker/brokertest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestMemory(t *testing.T) {
	brokertest.Run(t, func(*testing.T) brokertest.Subject {
		bus := new(brokertest.Memory)
		return brokertest.Subject{Publisher: bus, Collect: bus.Collect}
	})
}
