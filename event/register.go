package event

import (
	"embed"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// schemas holds schemas/<type>/<version>.json: JSON Schema, draft 2020-12, of the data of each version of each type.
// Those of what this service writes are exact, additionalProperties and all; those of inbound types say what is accepted.
// Each has examples, which the documentation shows and the tests decode.
//
//go:embed schemas
var schemas embed.FS

// Schemas returns the JSON Schema, draft 2020-12, of the data of a version of a type.
type Schemas func(name string, version int) ([]byte, error)

// index is what is known about types. It is never changed: Register replaces it.
type index struct {
	types  []Type
	byName map[string]Type
	// schemas says where the schemas of a type are.
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

// add adds types. The error names the first name that is taken.
func (x *index) add(types []Type, schemas Schemas) error {
	for _, t := range types {
		for _, name := range append([]string{t.Name}, t.Aliases...) {
			if taken, ok := x.byName[name]; ok {
				return fmt.Errorf("event: the type %s names %s, as %s does", t.Name, name, taken.Name)
			}
			x.byName[name] = t
		}
		x.types = append(x.types, t)
		x.schemas[t.Name] = schemas
	}
	return nil
}

// Register adds the types of a flow to the catalog, for the whole process: it is called once, before anything is read or written. Schemas, which
// may be nil, returns the JSON Schema of a version of a type. To register a type that is registered with the same
// description changes nothing. The error names a name that is taken, or a version below 1; then nothing is registered.
func Register(types []Type, schemas Schemas) error {
	registering.Lock()
	defer registering.Unlock()
	before := known.Load()
	var fresh []Type
	for _, t := range types {
		if t.Version < 1 || t.Name == "" {
			return fmt.Errorf("event: the type %q has version %d: a type has a name and a version from 1", t.Name, t.Version)
		}
		if taken, ok := before.byName[t.Name]; !ok || !reflect.DeepEqual(taken, t) {
			fresh = append(fresh, t)
		}
	}
	after := &index{types: slices.Clone(before.types), byName: make(map[string]Type), schemas: make(map[string]Schemas)}
	for name, t := range before.byName {
		after.byName[name] = t
	}
	for name, where := range before.schemas {
		after.schemas[name] = where
	}
	if err := after.add(fresh, schemas); err != nil {
		return err
	}
	known.Store(after)
	return nil
}

// Find returns the type that a name or alias is registered for.
func Find(name string) (Type, bool) {
	t, ok := known.Load().byName[name]
	return t, ok
}

// Types returns the types of one direction, in the order in which they were registered, the catalog's own first.
func Types(d Direction) []Type {
	var types []Type
	for _, t := range known.Load().types {
		if t.Direction == d {
			types = append(types, t)
		}
	}
	return types
}

// Schema returns the JSON Schema of the data of a version of a type, named as in the catalog.
func Schema(name string, version int) ([]byte, bool) {
	x := known.Load()
	t, ok := x.byName[name]
	if !ok || t.Name != name || x.schemas[name] == nil {
		return nil, false
	}
	schema, err := x.schemas[name](name, version)
	return schema, err == nil
}
