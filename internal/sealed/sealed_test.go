package sealed_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/ordersaga/ordersaga/internal/sealed/sealedtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKeysInMemory(t *testing.T) {
	sealedtest.Run(t, func(*testing.T) sealedtest.Eraser { return sealedtest.NewKeys() })
}
