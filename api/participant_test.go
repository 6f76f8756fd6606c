package api_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestParticipantContractIsValid: the contract of participants is OpenAPI 3.1, and every example in it is what its schema requires.
func TestParticipantContractIsValid(t *testing.T) {
	text, err := os.ReadFile("participant.yaml")
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context(), openapi3.IsOpenAPI31OrLater(), openapi3.DisableExamplesValidation()))

	var tree any
	require.NoError(t, yaml.Unmarshal(text, &tree))
	raw, err := json.Marshal(tree)
	require.NoError(t, err)
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("participant.json", root))
	checked := 0
	var walk func(at string, node any)
	walk = func(at string, node any) {
		switch node := node.(type) {
		case []any:
			return
		case map[string]any:
			var examples []any
			if example, has := node["example"]; has && node["schema"] != nil {
				examples = append(examples, example)
			}
			if named, has := node["examples"].(map[string]any); has {
				for _, example := range named {
					examples = append(examples, example.(map[string]any)["value"])
				}
			}
			for _, example := range examples {
				schema, err := compiler.Compile("participant.json#" + at + "/schema")
				require.NoError(t, err, at)
				require.NoError(t, schema.Validate(example), at)
				checked++
			}
			for name, child := range node {
				walk(at+"/"+pointerName(name), child)
			}
		}
	}
	walk("", root)
	require.Greater(t, checked, 20)
}

// pointerName escapes a name for a JSON pointer in a URL fragment.
func pointerName(name string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
}
