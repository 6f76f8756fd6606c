package event

import (
	"encoding/json"
	"errors"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Upcaster converts data of one version of a type to the next version. It is pure and total: it accepts all data that satisfies the older schema,
// and its result satisfies the newer one. The error is for data that violates its own schema.
type Upcaster func(data json.RawMessage) (json.RawMessage, error)

// oldVersion is a version of a type that is not the newest.
type oldVersion struct {
	name    string
	version int
}

// upcasters has an entry for every version of every type except the newest. Events and their hashes are stored as written; they are upcast when
// they are read, so that no other code depends on older versions.
//
// To raise the version of a type, add the schema, an entry here and the golden event of the new version; keep the golden event of the old version;
// and deploy the new code to all readers before a writer writes the new version.
var upcasters = map[oldVersion]Upcaster{}

// Newest returns the event in the newest version of its type. A type that is not in the catalog is returned unchanged. The error is Malformed for
// data that cannot be upcast, and Unavailable, because of UnknownVersion, for a version that is newer than this code: a newer process can read
// it.
func (e Event) Newest() (Event, error) {
	t, ok := Find(e.Type)
	if !ok || e.SchemaVersion == t.Version {
		return e, nil
	}
	newest, err := upcast(e, t.Version, upcasters)
	if errors.Is(err, fault.UnknownVersion) {
		return Event{}, fault.Wrap(err, fault.Unavailable, "read an event")
	}
	return newest, err
}

// upcast converts an event to a version, step by step.
func upcast(e Event, newest int, steps map[oldVersion]Upcaster) (Event, error) {
	if e.SchemaVersion < 1 || e.SchemaVersion > newest {
		return Event{}, fault.New(fault.UnknownVersion, "event %s has version %d of %s; it must be from 1 to %d", e.ID, e.SchemaVersion, e.Type, newest)
	}
	for e.SchemaVersion < newest {
		step, ok := steps[oldVersion{e.Type, e.SchemaVersion}]
		if !ok {
			return Event{}, fault.New(fault.UnknownVersion, "version %d of %s has no upcaster", e.SchemaVersion, e.Type)
		}
		data, err := step(e.Data)
		if err != nil {
			return Event{}, fault.Wrap(err, fault.Malformed, "upcast event %s from version %d of %s", e.ID, e.SchemaVersion, e.Type)
		}
		e.Data = data
		e.SchemaVersion++
	}
	return e, nil
}
