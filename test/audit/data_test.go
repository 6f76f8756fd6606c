package audit

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestDataIsCheckedAgainstItsSchema(t *testing.T) {
	ref := bson.D{{Key: "orderId", Value: "42"}}
	for name, c := range map[string]struct {
		document Document
		says     string
	}{
		"as documented":        {Document{Type: "order.settling", SchemaVersion: 1, Data: ref}, ""},
		"a field more":         {Document{Type: "order.settling", SchemaVersion: 1, Data: append(ref, bson.E{Key: "at", Value: int64(1)})}, "'at' not allowed"},
		"a field less":         {Document{Type: "order.settling", SchemaVersion: 1}, "missing property 'orderId'"},
		"a number with a dot":  {Document{Type: "inventory.reserved", SchemaVersion: 1, Data: bson.D{{Key: "orderId", Value: 1.5}}}, "data of inventory.reserved"},
		"a version not known":  {Document{Type: "order.settling", SchemaVersion: 2, Data: ref}, "has no schema of version 2"},
		"a type not in there":  {Document{Type: "order.settled", SchemaVersion: 1, Data: ref}, "has no schema of version 1"},
		"a name that is alias": {Document{Type: "OrderCreated", SchemaVersion: 1, Data: ref}, "has no schema of version 1"},
	} {
		t.Run(name, func(t *testing.T) {
			c.document.Stream, c.document.Version = "order-42", 7
			r := &Report{Streams: map[string][]Document{"order-42": {c.document}}}
			r.Described()
			if c.says == "" {
				require.Empty(t, r.Violations)
				return
			}
			require.Len(t, r.Violations, 1)
			require.Contains(t, r.Violations[0], "version 7 of stream order-42 is not as documented")
			require.Contains(t, r.Violations[0], c.says)
		})
	}
}
