package mongo

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/auth/authtest"
	"github.com/ordersaga/ordersaga/internal/fault"
)

func TestAPIKeysOnMongoDB(t *testing.T) {
	authtest.Run(t, func(t *testing.T) auth.Store { return NewAPIKeys(connect(t)) })
}

func TestAPIKeysAreUnavailableWithoutServer(t *testing.T) {
	keys := NewAPIKeys(connect(t))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := keys.All(ended)
	require.ErrorIs(t, err, fault.Unavailable)
	_, err = keys.Insert(ended, auth.Record{Name: "shop", Secret: 1})
	require.ErrorIs(t, err, fault.Unavailable)
}
