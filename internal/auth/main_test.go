package auth_test

import (
	"testing"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/auth/authtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestStoreInMemory(t *testing.T) {
	authtest.Run(t, func(*testing.T) auth.Store { return new(authtest.Store) })
}
