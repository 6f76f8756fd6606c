package rabbitmqtest_test

import (
	"testing"

	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestMemory(t *testing.T) {
	rabbitmqtest.Run(t, func(*testing.T) rabbitmqtest.Subject {
		bus := new(rabbitmqtest.Memory)
		return rabbitmqtest.Subject{Publisher: bus, Collect: bus.Collect}
	})
}
