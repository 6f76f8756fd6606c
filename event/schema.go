package event

import (
	"embed"
	"strconv"
)

// schemas holds schemas/<type>/<version>.json: JSON Schema, draft 2020-12, of the data of each version of each type.
// Those of what this service writes are exact, additionalProperties and all; those of inbound types say what is accepted.
// Each has examples, which the documentation shows and the tests decode.
//
//go:embed schemas
var schemas embed.FS

// Schema returns the JSON Schema of the data of a version of a type, named as in the catalog.
func Schema(name string, version int) ([]byte, bool) {
	if t, ok := byName[name]; !ok || t.Name != name {
		return nil, false
	}
	schema, err := schemas.ReadFile("schemas/" + name + "/" + strconv.Itoa(version) + ".json")
	return schema, err == nil
}
