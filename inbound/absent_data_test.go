package inbound_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// TestDataMayBeAbsentWhereEveryFieldIsOptional: an event that names its subject in the envelope needs no data when the
// schema of its type requires no field.
func TestDataMayBeAbsentWhereEveryFieldIsOptional(t *testing.T) {
	for _, typ := range event.Types(event.Inbound) {
		raw, ok := event.Schema(typ.Name, typ.Version)
		require.True(t, ok)
		var schema struct{ Required, OneOf []any }
		require.NoError(t, json.Unmarshal(raw, &schema))

		attributes := `"specversion":"1.0","id":"e-1","source":"/s","type":"` + typ.Name + `","subject":"subject-1"`
		headers := map[string]any{"cloudEvents:specversion": "1.0", "cloudEvents:id": "e-1", "cloudEvents:source": "/s",
			"cloudEvents:type": typ.Name, "cloudEvents:subject": "subject-1"}
		plain := `"id":"e-1","type":"` + typ.Name + `","aggregateId":"subject-1"`
		for name, m := range map[string]wire.Message{
			"structured without data":   {Body: []byte(`{` + attributes + `}`)},
			"structured with null":      {Body: []byte(`{` + attributes + `,"data":null}`)},
			"structured with no base64": {Body: []byte(`{` + attributes + `,"data_base64":""}`)},
			"binary without body":       {Headers: headers},
			"binary with null":          {Headers: headers, ContentType: "application/json", Body: []byte(`null`)},
			"plain without data":        {Body: []byte(`{` + plain + `}`)},
			"plain with null":           {Body: []byte(`{` + plain + `,"data":null}`)},
		} {
			t.Run(typ.Name+" "+name, func(t *testing.T) {
				e, err := wire.Decode(m)
				require.NoError(t, err)
				w := newWorld()
				err = w.executor.Handle(t.Context(), e)
				if len(schema.Required)+len(schema.OneOf) == 0 {
					require.NoError(t, err)
					return
				}
				require.Equal(t, fault.Invalid, fault.CodeOf(err))
				w.untouched(t)
			})
		}
	}
}
