package event_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
)

// compile reads a schema as strictly as can be: formats are checked, not only noted.
func compile(t *testing.T, name string, raw []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err, name)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource(name, doc))
	schema, err := compiler.Compile(name)
	require.NoError(t, err, name)
	return schema
}

// outline is what every schema has, besides what it says about the data.
type outline struct {
	Schema               string                     `json:"$schema"`
	Title                string                     `json:"title"`
	Description          string                     `json:"description"`
	Type                 string                     `json:"type"`
	Properties           map[string]json.RawMessage `json:"properties"`
	Required             []string                   `json:"required"`
	AdditionalProperties *bool                      `json:"additionalProperties"`
	Examples             []json.RawMessage          `json:"examples"`
}

// TestEveryTypeVersionHasASchema: it compiles, is of its type, is exact for what this service writes, explains
// every field, and its examples are what it describes.
func TestEveryTypeVersionHasASchema(t *testing.T) {
	for _, typ := range allTypes() {
		for version := 1; version <= typ.Version; version++ {
			name := typ.Name + "/" + strconv.Itoa(version)
			raw, ok := event.Schema(typ.Name, version)
			require.True(t, ok, "%s has no schema: write event/schemas/%s.json", name, name)
			schema := compile(t, name, raw)

			decoder := json.NewDecoder(bytes.NewReader(raw))
			var o outline
			require.NoError(t, decoder.Decode(&o), name)
			require.Equal(t, "https://json-schema.org/draft/2020-12/schema", o.Schema, name)
			require.Equal(t, typ.Name, o.Title, name)
			require.NotEmpty(t, o.Description, name)
			require.Equal(t, "object", o.Type, name)
			require.NotEmpty(t, o.Properties, name)
			for field, property := range o.Properties {
				var p struct {
					Description string `json:"description"`
				}
				require.NoError(t, json.Unmarshal(property, &p), name)
				require.NotEmpty(t, p.Description, "%s: %s is not explained", name, field)
			}
			for _, field := range o.Required {
				require.Contains(t, o.Properties, field, name)
			}
			if version == typ.Version {
				for _, field := range typ.Detail {
					require.Contains(t, o.Properties, field, "%s: the catalog calls %s a detail", name, field)
				}
			}
			if typ.Direction == event.Inbound {
				subjects := typ.SubjectFields
				if subjects == nil {
					subjects = []string{"orderId"}
				}
				for _, field := range subjects {
					require.Contains(t, o.Properties, field, "%s: the catalog finds the subject there", name)
				}
			}
			if typ.Direction != event.Inbound {
				require.NotNil(t, o.AdditionalProperties, "%s: what this service writes is described exactly", name)
				require.False(t, *o.AdditionalProperties, name)
			}
			require.NotEmpty(t, o.Examples, "%s: an example says more than a table", name)
			for _, example := range o.Examples {
				value, err := jsonschema.UnmarshalJSON(bytes.NewReader(example))
				require.NoError(t, err, name)
				require.NoError(t, schema.Validate(value), name)
			}
		}
	}
}

// TestEverySchemaHasATypeVersion: a file that nothing names describes nothing.
func TestEverySchemaHasATypeVersion(t *testing.T) {
	known := map[string]bool{}
	for _, typ := range allTypes() {
		for version := 1; version <= typ.Version; version++ {
			known[typ.Name+"/"+strconv.Itoa(version)+".json"] = true
		}
	}
	files := os.DirFS("schemas")
	require.NoError(t, fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			require.True(t, known[filepath.ToSlash(path)], path)
		}
		return err
	}))
}

func TestSchemaLookup(t *testing.T) {
	raw, ok := event.Schema(event.OrderAccepted, 1)
	require.True(t, ok)
	require.True(t, strings.HasPrefix(string(raw), "{\n"), "%s", raw)
	for name, version := range map[string]int{
		"OrderCreated": 1, "order.teleported": 1, "../schemas/order.accepted": 1, "": 1, event.OrderAccepted: 0, event.OrderSettling: 99,
	} {
		_, ok := event.Schema(name, version)
		require.False(t, ok, name)
	}
}

func allTypes() []event.Type {
	var types []event.Type
	for _, d := range []event.Direction{event.Inbound, event.Published, event.Ledger} {
		types = append(types, event.Types(d)...)
	}
	return types
}
