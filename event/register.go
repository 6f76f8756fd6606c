package event

import (
	"embed"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// schemas has schemas/<type>/<version>.json: the JSON Schema, draft 2020-12, of the data of each version of each type. Schemas of events of this
// service are exact (additionalProperties is false); those of inbound types describe what is accepted. Each has examples, which are used in the
// documentation and in tests.
//
//go:embed schemas
var schemas embed.FS

// Schemas returns the JSON Schema, draft 2020-12, of the data of a version of a type.
type Schemas func(name string, version int) ([]byte, error)

// index has all registered types. It is immutable: Register replaces it.
type index struct {
	types  []Type
	byName map[string]Type
	// schemas has the source of the schemas of a type.
	schemas map[string]Schemas
}

var (
	known       atomic.Pointer[index]
	registering sync.Mutex
)

func init() {
	own := func(name string, version int) ([]byte, error) {
		return schemas.ReadFile("schemas/" + name + "/" + strconv.Itoa(version) + ".json")
	}
	first := &index{byName: make(map[string]Type), schemas: make(map[string]Schemas)}
	if err := first.add(catalog, own); err != nil {
		panic(err)
	}
	known.Store(first)
}

// add adds types. The error names the first duplicate name.
func (x *index) add(types []Type, schemas Schemas) error {
	for _, t := range types {
		for _, name := range append([]string{t.Name}, t.Aliases...) {
			if taken, ok := x.byName[name]; ok {
				return fmt.Errorf("event: the name %s of type %s is already used by %s", name, t.Name, taken.Name)
			}
			x.byName[name] = t
		}
		x.types = append(x.types, t)
		x.schemas[t.Name] = schemas
	}
	return nil
}

// Register adds the types of a flow to the catalog, for the whole process. It must be called before events are read or written. schemas, which may
// be nil, returns the JSON Schema of a version of a type. Registering an identical type again has no effect. The error names a duplicate name, or
// a version below 1; then nothing is registered.
func Register(types []Type, schemas Schemas) error {
	registering.Lock()
	defer registering.Unlock()
	before := known.Load()
	var fresh []Type
	for _, t := range types {
		if t.Version < 1 || t.Name == "" {
			return fmt.Errorf("event: type %q has version %d: a type must have a name and a version of at least 1", t.Name, t.Version)
		}
		if taken, ok := before.byName[t.Name]; !ok || !reflect.DeepEqual(taken, t) {
			fresh = append(fresh, t)
		}
	}
	after := &index{types: slices.Clone(before.types), byName: maps.Clone(before.byName), schemas: maps.Clone(before.schemas)}
	if err := after.add(fresh, schemas); err != nil {
		return err
	}
	known.Store(after)
	return nil
}

// Find returns the type with a name or alias.
func Find(name string) (Type, bool) {
	t, ok := known.Load().byName[name]
	return t, ok
}

// Named returns the type with a name of the catalog.
func Named(name string) Type {
	t, _ := Find(name)
	return t
}

// Types returns the types of a direction in registration order, those of the catalog first.
func Types(d Direction) []Type {
	var types []Type
	for _, t := range known.Load().types {
		if t.Direction == d {
			types = append(types, t)
		}
	}
	return types
}

// Schema returns the JSON Schema of a version of a type; name must not be an alias.
func Schema(name string, version int) ([]byte, bool) {
	x := known.Load()
	t, ok := x.byName[name]
	if !ok || t.Name != name || x.schemas[name] == nil {
		return nil, false
	}
	schema, err := x.schemas[name](name, version)
	return schema, err == nil
}
