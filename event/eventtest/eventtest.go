// Package eventtest validates events with the schemas of the catalog. Tests of all writers of events use it, so that a field without a schema is
// detected. Only tests may import it.
package eventtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ordersaga/ordersaga/event"
)

// T is the part of a test that is needed; testing.TB and rapid.T have it.
type T interface {
	Errorf(format string, args ...any)
	FailNow()
}

// Check fails the test if the data of an event violates its schema.
func Check(t T, events ...event.Event) {
	for _, e := range events {
		if err := Validate(e); err != nil {
			t.Errorf("event %s with %s: %v", e.ID, e.Data, err)
			t.FailNow()
		}
	}
}

// CheckEntries is Check for entries.
func CheckEntries(t T, entries ...event.Entry) {
	for _, e := range entries {
		Check(t, e.Event)
	}
}

// CheckRecords is Check for records.
func CheckRecords(t T, records ...event.Record) {
	for _, r := range records {
		Check(t, r.Event)
	}
}

// Validate returns why the data of an event violates its schema, or nil.
func Validate(e event.Event) error {
	schema, err := compiled(e.Type, e.SchemaVersion)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Data))
	if err != nil {
		return fmt.Errorf("data of %s: %w", e.Type, err)
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("data of %s, version %d: %w", e.Type, e.SchemaVersion, err)
	}
	return nil
}

// Schema returns the compiled schema of a version of a type.
func Schema(t T, name string, version int) *jsonschema.Schema {
	schema, err := compiled(name, version)
	if err != nil {
		t.Errorf("%v", err)
		t.FailNow()
	}
	return schema
}

// Examples returns the examples in a schema.
func Examples(t T, name string, version int) []json.RawMessage {
	raw, _ := event.Schema(name, version)
	var shown struct {
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(raw, &shown); err != nil || len(shown.Examples) == 0 {
		t.Errorf("%s of version %d has no example: %v", name, version, err)
		t.FailNow()
	}
	return shown.Examples
}

// cache has schemas by name and version, because compiling is slow.
var cache sync.Map

// compiled returns a schema that also checks formats.
func compiled(name string, version int) (*jsonschema.Schema, error) {
	key := name + "/" + strconv.Itoa(version)
	if schema, ok := cache.Load(key); ok {
		return schema.(*jsonschema.Schema), nil
	}
	raw, ok := event.Schema(name, version)
	if !ok {
		return nil, fmt.Errorf("%s has no schema of version %d", name, version)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", key, err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("event:"+key, document); err != nil {
		return nil, fmt.Errorf("schema %s: %w", key, err)
	}
	schema, err := compiler.Compile("event:" + key)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", key, err)
	}
	cache.Store(key, schema)
	return schema, nil
}
