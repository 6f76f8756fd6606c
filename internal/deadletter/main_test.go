package deadletter_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/deadletter/deadlettertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	deadlettertest.Run(t, func(*testing.T) deadletter.Store { return new(deadletter.Memory) })
}
