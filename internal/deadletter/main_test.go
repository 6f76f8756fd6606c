package deadletter_test

import (
	"testing"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/deadletter/deadlettertest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestMemory(t *testing.T) {
	deadlettertest.Run(t, func(*testing.T) deadletter.Store { return new(deadlettertest.Memory) })
}
