package event_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
)

func TestFlowRegistersItsTypes(t *testing.T) {
	const packedSchema = `{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "parcel.packed", "description": "A parcel.", "type": "object",
		"properties": {"id": {"type": "string", "description": "The parcel."}}, "required": ["id"], "additionalProperties": false,
		"examples": [{"id": "p-1"}]
	}`
	schemas := func(name string, version int) ([]byte, error) {
		if name != "parcel.packed" || version != 1 {
			return nil, errors.New("no such schema")
		}
		return []byte(packedSchema), nil
	}
	packed := event.Type{Name: "parcel.packed", Aliases: []string{"ParcelPacked"}, Version: 1, Direction: event.Ledger, Meaning: "A parcel is packed."}
	require.NoError(t, event.Register([]event.Type{packed}, schemas))
	found, ok := event.Find("ParcelPacked")
	require.True(t, ok)
	require.Equal(t, packed, found)
	require.Contains(t, event.Types(event.Ledger), packed)
	schema, ok := event.Schema("parcel.packed", 1)
	require.True(t, ok)
	require.JSONEq(t, packedSchema, string(schema))
	_, ok = event.Schema("parcel.packed", 2)
	require.False(t, ok)
	_, ok = event.Schema("ParcelPacked", 1)
	require.False(t, ok, "a schema is found by the type's name")

	before := len(event.Types(event.Ledger))
	require.NoError(t, event.Register([]event.Type{packed}, schemas), "the same again changes nothing")
	for _, wrong := range []event.Type{
		{Name: event.OrderAccepted, Version: 2, Direction: event.Ledger},
		{Name: "parcel.sent", Aliases: []string{"OrderCreated"}, Version: 1},
		{Name: "parcel.packed", Version: 2},
		{Name: "parcel.sent"},
		{Version: 1},
	} {
		require.Error(t, event.Register([]event.Type{{Name: "parcel.lost", Version: 1, Direction: event.Ledger}, wrong}, nil), "%+v", wrong)
	}
	require.Len(t, event.Types(event.Ledger), before, "a refused registration registers no type")
	_, ok = event.Find("parcel.lost")
	require.False(t, ok)
}
