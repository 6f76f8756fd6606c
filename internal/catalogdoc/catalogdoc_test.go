package catalogdoc_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/catalogdoc"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/wire"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// asyncAPI is the document as JSON.
func asyncAPI(t *testing.T) any {
	t.Helper()
	raw, err := catalogdoc.AsyncAPI()
	require.NoError(t, err)
	var document any
	require.NoError(t, yaml.Unmarshal(raw, &document))
	asJSON, err := json.Marshal(document)
	require.NoError(t, err)
	document, err = jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	require.NoError(t, err)
	return document
}

func TestDocumentsAreUpToDate(t *testing.T) {
	for file, write := range map[string]func() ([]byte, error){"docs/reference/events.md": catalogdoc.Markdown, "api/asyncapi.yaml": catalogdoc.AsyncAPI} {
		want, err := write()
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "%s is stale: make docs", file)
		again, err := write()
		require.NoError(t, err)
		require.Equal(t, want, again)
	}
}

// TestAsyncAPIDocumentIsValid holds it to the official JSON Schema of the specification; see testdata/README.md.
func TestAsyncAPIDocumentIsValid(t *testing.T) {
	file, err := os.Open("testdata/asyncapi-3.0.0.json.gz")
	require.NoError(t, err)
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	require.NoError(t, err)
	official, err := jsonschema.UnmarshalJSON(unzipped)
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	const name = "http://asyncapi.com/definitions/3.0.0/asyncapi.json"
	require.NoError(t, compiler.AddResource(name, official))
	schema, err := compiler.Compile(name)
	require.NoError(t, err)
	document := asyncAPI(t)
	require.NoError(t, schema.Validate(document))

	// The schema is one that can say no.
	channels := document.(map[string]any)["channels"].(map[string]any)
	channels["inbox"].(map[string]any)["bindings"].(map[string]any)["amqp"].(map[string]any)["is"] = "mailbox"
	require.Error(t, schema.Validate(document))
}

// TestEveryReferenceResolves: the schema of the specification does not follow references.
func TestEveryReferenceResolves(t *testing.T) {
	document := asyncAPI(t)
	count := 0
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				count++
				require.NotNil(t, at(document, ref), ref)
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(document)
	require.Greater(t, count, 100)
	require.Nil(t, at(document, "#/components/messages/order.teleported"))
}

// at returns the value at a reference, nil when there is none.
func at(document any, ref string) any {
	value := document
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		fields, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = fields[name]
	}
	return value
}

// TestOperationsNameWhatIsReadAndWritten: every inbound type is received, every published one sent, and no other.
func TestOperationsNameWhatIsReadAndWritten(t *testing.T) {
	document := asyncAPI(t)
	for operation, c := range map[string]struct {
		action, channel string
		direction       event.Direction
	}{
		"receiveEvents": {"receive", "inbox", event.Inbound}, "publishEvents": {"send", "domainEvents", event.Published},
	} {
		o := at(document, "#/operations/"+operation).(map[string]any)
		require.Equal(t, c.action, o["action"])
		var want []any
		for _, typ := range event.Types(c.direction) {
			want = append(want, map[string]any{"$ref": "#/channels/" + c.channel + "/messages/" + typ.Name})
		}
		require.Equal(t, want, o["messages"])
	}
}

// TestMessagesAreAsDescribed: the examples, and the golden events as they travel, are what the payloads describe.
func TestMessagesAreAsDescribed(t *testing.T) {
	document := asyncAPI(t)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("asyncapi.json", document))
	for _, d := range []event.Direction{event.Inbound, event.Published} {
		for _, typ := range event.Types(d) {
			payload, err := compiler.Compile("asyncapi.json#/components/messages/" + typ.Name + "/payload")
			require.NoError(t, err)
			examples, _ := at(document, "#/components/messages/"+typ.Name).(map[string]any)["examples"].([]any)
			require.NotEmpty(t, examples)
			for _, example := range examples {
				shown := example.(map[string]any)["payload"]
				require.NoError(t, payload.Validate(shown), typ.Name)
				body, err := json.Marshal(shown)
				require.NoError(t, err)
				e, err := wire.Decode(wire.Message{ContentType: wire.ContentType, Body: body})
				require.NoError(t, err)
				require.Equal(t, typ.Name, e.Type)
			}
			golden := sent(t, typ)
			require.NoError(t, payload.Validate(golden), typ.Name)
			golden["data"] = []any{}
			require.Error(t, payload.Validate(golden), typ.Name)
		}
	}
}

// sent is the body of a type's golden event.
func sent(t *testing.T, typ event.Type) map[string]any {
	file := strconv.Itoa(typ.Version) + ".json"
	if typ.Name == event.PaymentRefunded {
		// The first one belongs to a late stream, which is not published.
		file = strconv.Itoa(typ.Version) + ".order.json"
	}
	raw, err := os.ReadFile(filepath.Join("..", "..", "event", "eventtest", "testdata", "events", typ.Name, file))
	require.NoError(t, err)
	var golden struct {
		Message struct {
			Body json.RawMessage `json:"body"`
		} `json:"message"`
	}
	require.NoError(t, json.Unmarshal(raw, &golden))
	body, err := jsonschema.UnmarshalJSON(bytes.NewReader(golden.Message.Body))
	require.NoError(t, err)
	return body.(map[string]any)
}

func TestTablesHaveEveryTypeAndField(t *testing.T) {
	raw, err := catalogdoc.Markdown()
	require.NoError(t, err)
	page := string(raw)
	for _, d := range []event.Direction{event.Inbound, event.Published, event.Ledger} {
		for _, typ := range event.Types(d) {
			require.Contains(t, page, "| [`"+typ.Name+"`](#"+strings.ReplaceAll(typ.Name, ".", "")+") |")
			_, section, found := strings.Cut(page, "\n### "+typ.Name+"\n")
			require.True(t, found, typ.Name)
			section, _, _ = strings.Cut(section, "\n### ")
			for _, alias := range typ.Aliases {
				require.Contains(t, page, "`"+alias+"`")
			}
			schema, _ := event.Schema(typ.Name, typ.Version)
			var s struct{ Properties map[string]any }
			require.NoError(t, json.Unmarshal(schema, &s))
			for field := range s.Properties {
				require.Contains(t, section, "| `"+field+"` |", typ.Name)
			}
			require.Contains(t, section, "```json\n{")
		}
	}
	require.NotContains(t, page, "%!")
}
