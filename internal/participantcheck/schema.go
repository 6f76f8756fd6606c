package participantcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/ordersaga/ordersaga/api"
)

// schemas are those of the contract.
type schemas struct {
	mu       sync.Mutex
	compiler *jsonschema.Compiler
}

const contractURL = "participant.json"

func loadSchemas() (*schemas, error) {
	var document any
	if err := yaml.Unmarshal(api.ParticipantContract, &document); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	s := &schemas{compiler: jsonschema.NewCompiler()}
	s.compiler.DefaultDraft(jsonschema.Draft2020)
	return s, s.compiler.AddResource(contractURL, parsed)
}

// check returns what is wrong with a body.
func (s *schemas) check(name string, raw []byte) string {
	s.mu.Lock()
	schema, err := s.compiler.Compile(contractURL + "#/components/schemas/" + name)
	s.mu.Unlock()
	if err != nil {
		return err.Error()
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return "the body is not JSON: " + err.Error()
	}
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(value); errors.As(err, &invalid) {
		return "the body does not match the schema " + name + " of the contract: " + strings.Join(causes(invalid), "; ")
	} else if err != nil {
		return err.Error()
	}
	return ""
}

var english = message.NewPrinter(language.English)

// causes are the innermost errors.
func causes(e *jsonschema.ValidationError) []string {
	if len(e.Causes) == 0 {
		return []string{fmt.Sprintf("at /%s: %s", strings.Join(e.InstanceLocation, "/"), e.ErrorKind.LocalizedString(english))}
	}
	var found []string
	for _, cause := range e.Causes {
		found = append(found, causes(cause)...)
	}
	return found
}
