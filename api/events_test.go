package api_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/wire"
)

func TestEverySchemaIsServedAtItsDataschema(t *testing.T) {
	f := newFixture(t)
	for _, d := range []event.Direction{event.Inbound, event.Published, event.Ledger} {
		for _, typ := range event.Types(d) {
			for version := 1; version <= typ.Version; version++ {
				a := f.do(http.MethodGet, wire.SchemaOf(typ.Name, version), "")
				require.Equal(t, http.StatusOK, a.status, typ.Name)
				require.Equal(t, "application/schema+json", a.header.Get("Content-Type"))
				schema, ok := event.Schema(typ.Name, version)
				require.True(t, ok)
				require.Equal(t, string(schema), a.body)
			}
		}
	}
}

func TestUnknownSchemaIsNotFound(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{
		"/schemas/order.teleported/1", "/schemas/order.accepted/0", "/schemas/order.accepted/99", "/schemas/order.accepted/01",
		"/schemas/order.accepted/+1", "/schemas/order.accepted/one", "/schemas/OrderCreated/1", "/schemas/..%2Forder.accepted/1", "/schemas/order.accepted",
	} {
		a := f.do(http.MethodGet, path, "")
		require.Equal(t, http.StatusNotFound, a.status, path)
		require.Equal(t, "not_found", a.problem(t).Code, path)
	}
}

func TestAsyncAPIDocumentIsServed(t *testing.T) {
	want, err := os.ReadFile("asyncapi.yaml")
	require.NoError(t, err)
	a := newFixture(t).do(http.MethodGet, "/asyncapi.yaml", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "application/yaml", a.header.Get("Content-Type"))
	require.Equal(t, string(want), a.body)
}
