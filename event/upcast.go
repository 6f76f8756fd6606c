package event

import (
	"encoding/json"
	"errors"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Upcaster turns the data of one version of a type into that of the next. It is pure and total: it takes whatever the older
// schema describes, and what it returns is as the newer one says. An error is for data that is not as its own schema says.
type Upcaster func(data json.RawMessage) (json.RawMessage, error)

// oldVersion is a version of a type that has a successor.
type oldVersion struct {
	name    string
	version int
}

// upcasters has a row for every version of every type that is not its newest. Events stay as they were written, and so do
// their hashes: they are upcast where they are read, so that nothing else knows older versions.
//
// Who raises a type's version adds the schema, a row here and the golden event of the new version, leaves the golden event of
// the old one where it is, and lets every reader have the new code before anybody writes the new version.
var upcasters = map[oldVersion]Upcaster{}

// Newest returns the event in the newest version of its type: what every reader works with. A type that is not in the
// catalog is returned as it is. The error is Malformed for data that cannot be upcast; for a version that is newer than this
// code it is Unavailable, because of UnknownVersion: what stands in a log can be read, by a process that is up to date.
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

// upcast takes an event to a version, step by step.
func upcast(e Event, newest int, steps map[oldVersion]Upcaster) (Event, error) {
	if e.SchemaVersion < 1 || e.SchemaVersion > newest {
		return Event{}, fault.New(fault.UnknownVersion, "event %s has version %d of %s; 1 to %d are known", e.ID, e.SchemaVersion, e.Type, newest)
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
