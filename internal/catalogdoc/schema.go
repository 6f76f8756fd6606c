package catalogdoc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// schema is what of a JSON Schema is shown as words.
type schema struct {
	Description string    `yaml:"description"`
	Type        yaml.Node `yaml:"type"`
	Properties  yaml.Node `yaml:"properties"`
	Required    []string  `yaml:"required"`
	Items       *schema   `yaml:"items"`
	Enum        []*string `yaml:"enum"`
	Const       *string   `yaml:"const"`
	Pattern     string    `yaml:"pattern"`
	Format      string    `yaml:"format"`
	MaxLength   *int64    `yaml:"maxLength"`
	Minimum     *int64    `yaml:"minimum"`
	Maximum     *int64    `yaml:"maximum"`
	MinItems    *int64    `yaml:"minItems"`
	MaxItems    *int64    `yaml:"maxItems"`
}

// field is a row of a table of fields.
type field struct {
	// Path is the field's name; lines[].sku is the field sku of every element of lines.
	Path, Kind, Means string
	Required          bool
}

// fields lists the fields of an object and of what is in it.
func (s schema) fields(under string) ([]field, error) {
	var all []field
	for i := 0; i+1 < len(s.Properties.Content); i += 2 {
		name := s.Properties.Content[i].Value
		var p schema
		if err := s.Properties.Content[i+1].Decode(&p); err != nil {
			return nil, fmt.Errorf("field %s%s: %w", under, name, err)
		}
		all = append(all, field{Path: under + name, Kind: p.kind(), Means: p.Description, Required: slices.Contains(s.Required, name)})
		below, path := p, under+name+"."
		if p.Items != nil {
			below, path = *p.Items, under+name+"[]."
		}
		inner, err := below.fields(path)
		if err != nil {
			return nil, err
		}
		all = append(all, inner...)
	}
	return all, nil
}

// types lists the types that a value may have, null left out: that is the same as not there.
func (s schema) types() string {
	if s.Type.Kind == yaml.ScalarNode {
		return s.Type.Value
	}
	var types []string
	for _, n := range s.Type.Content {
		if n.Value != "null" {
			types = append(types, n.Value)
		}
	}
	return strings.Join(types, " or ")
}

// How the schemas write event.IDRule, the second one for what may be empty, event.TokenRule, and unicode.IsPrint.
const (
	idPattern        = `^[\p{L}\p{M}\p{N}\p{P}\p{S}]([\p{L}\p{M}\p{N}\p{P}\p{S} ]{0,198}[\p{L}\p{M}\p{N}\p{P}\p{S}])?$`
	idOrNotPattern   = `^([\p{L}\p{M}\p{N}\p{P}\p{S}]([\p{L}\p{M}\p{N}\p{P}\p{S} ]{0,198}[\p{L}\p{M}\p{N}\p{P}\p{S}])?)?$`
	tokenPattern     = `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`
	printablePattern = `^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$`
)

// kind says in words what a value is.
func (s schema) kind() string {
	kind := s.types()
	switch {
	case s.Const != nil:
		return fmt.Sprintf("%#q", *s.Const)
	case s.Enum != nil:
		var words []string
		for _, word := range s.Enum {
			if word != nil && *word != "" {
				words = append(words, fmt.Sprintf("%#q", *word))
			}
		}
		return strings.Join(words, ", ")
	case s.Pattern == idPattern, s.Pattern == idOrNotPattern, s.Pattern == tokenPattern:
		return "id"
	case s.Format == "date-time":
		return "time"
	case kind == "":
		return "any"
	case kind == "integer":
		return kind + between(s.Minimum, s.Maximum, "")
	case kind == "string" && s.Pattern == printablePattern:
		return "text" + between(nil, s.MaxLength, " characters")
	case kind == "string":
		return kind + between(nil, s.MaxLength, " characters")
	case kind == "array":
		of := "values"
		if s.Items != nil && (s.Items.types() == "object" || s.Items.types() == "string") {
			of = s.Items.types() + "s"
		}
		return "list of " + of + between(s.MinItems, s.MaxItems, "")
	}
	return kind
}

// between says a range in words.
func between(least, most *int64, unit string) string {
	switch {
	case least != nil && most != nil:
		return ", " + number(*least) + " to " + number(*most) + unit
	case least != nil:
		return ", at least " + number(*least) + unit
	case most != nil:
		return ", at most " + number(*most) + unit
	}
	return ""
}

// number writes the limits as people say them.
func number(n int64) string {
	switch n {
	case 1_000_000_000_000:
		return "10^12"
	case 1<<53 - 1:
		return "2^53-1"
	}
	return strconv.FormatInt(n, 10)
}
