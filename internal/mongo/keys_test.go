package mongo

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/internal/sealed/sealedtest"
)

func TestKeysOnMongoDB(t *testing.T) {
	sealedtest.Run(t, func(t *testing.T) sealedtest.Eraser { return NewKeys(connect(t)) })
}

func TestLetterKeysOnMongoDB(t *testing.T) {
	sealedtest.Run(t, func(t *testing.T) sealedtest.Eraser { return NewLetterKeys(connect(t)) })
}

func TestKeysAreUnavailableWithoutServer(t *testing.T) {
	keys := NewKeys(connect(t))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := keys.Get(ended, "c-1")
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorIs(t, keys.Erase(ended, "c-1"), fault.Unavailable)
	_, err = keys.Replace(ended, "c-1", sealed.Key{}, sealed.Key{})
	require.ErrorIs(t, err, fault.Unavailable)
	_, err = sealed.Rotate(ended, keys, sealedtest.Master(t, "a"))
	require.ErrorIs(t, err, fault.Unavailable)
}
