package sealed_test

import (
	"testing"

	"github.com/ordersaga/ordersaga/internal/sealed/sealedtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestKeysInMemory(t *testing.T) {
	sealedtest.Run(t, func(*testing.T) sealedtest.Eraser { return sealedtest.NewKeys() })
}
