package audit

import (
	"encoding/json"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
)

// Described holds the data of each document to the schema of its type and version. Run does; Examine leaves it out, for tests
// whose documents say in short what they are about.
func (r *Report) Described() {
	for _, name := range sorted(r.Streams) {
		for _, d := range r.Streams[name] {
			var data strings.Builder
			writeValue(&data, d.Data)
			err := eventtest.Validate(event.Event{Type: d.Type, SchemaVersion: int(d.SchemaVersion), Data: json.RawMessage(data.String())})
			if err != nil {
				r.violate("version %d of stream %s is not as documented: %v", d.Version, name, err)
			}
		}
	}
}
