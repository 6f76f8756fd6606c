package mongo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// dataToBSON converts an event's data, which eventlog.Seal has accepted, to a BSON document. Names keep their
// order, numbers become int64.
func dataToBSON(data json.RawMessage) (bson.Raw, error) {
	if kind := jsontext.Value(data).Kind(); kind != '{' {
		return nil, fmt.Errorf("data begins with %q: it is not an object", kind)
	}
	var out bytes.Buffer
	out.Grow(2 * len(data))
	// That no name occurs twice in an object is known.
	decoder := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))
	err := copyValue(bson.NewDocumentWriter(&out), decoder)
	return out.Bytes(), err
}

// copyValue copies the next value. Its depth is bounded by eventlog.Seal.
func copyValue(to bson.ValueWriter, from *jsontext.Decoder) error {
	token, err := from.ReadToken()
	if err != nil {
		return err
	}
	switch token.Kind() {
	case '{':
		fields, err := to.WriteDocument()
		if err != nil {
			return err
		}
		return copyMembers(from, '}', fields.WriteDocumentEnd, func() (bson.ValueWriter, error) {
			name, err := from.ReadToken()
			if err != nil {
				return nil, err
			}
			return fields.WriteDocumentElement(name.String())
		})
	case '[':
		items, err := to.WriteArray()
		if err != nil {
			return err
		}
		return copyMembers(from, ']', items.WriteArrayEnd, items.WriteArrayElement)
	case '0':
		n, err := strconv.ParseInt(token.String(), 10, 64)
		if err != nil {
			return err
		}
		return to.WriteInt64(n)
	case '"':
		return to.WriteString(token.String())
	case 'n':
		return to.WriteNull()
	}
	return to.WriteBoolean(token.Bool())
}

// copyMembers copies values to where next says, up to the token that ends them.
func copyMembers(from *jsontext.Decoder, last jsontext.Kind, end func() error, next func() (bson.ValueWriter, error)) error {
	for from.PeekKind() != last {
		to, err := next()
		if err == nil {
			err = copyValue(to, from)
		}
		if err != nil {
			return err
		}
	}
	if _, err := from.ReadToken(); err != nil {
		return err
	}
	return end()
}

// dataToJSON converts back. It refuses what dataToBSON never writes, above all doubles.
func dataToJSON(data bson.Raw) (json.RawMessage, error) {
	var out bytes.Buffer
	out.Grow(len(data))
	// That no name occurs twice was known when it was written, and whoever reads it verifies its hash.
	encoder := jsontext.NewEncoder(&out, jsontext.AllowDuplicateNames(true))
	if err := writeDocument(encoder, data); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func writeDocument(to *jsontext.Encoder, raw bson.Raw) error {
	elements, err := raw.Elements()
	if err == nil {
		err = to.WriteToken(jsontext.BeginObject)
	}
	for i := 0; err == nil && i < len(elements); i++ {
		if err = to.WriteToken(jsontext.String(elements[i].Key())); err == nil {
			err = writeValue(to, elements[i].Value())
		}
	}
	if err != nil {
		return err
	}
	return to.WriteToken(jsontext.EndObject)
}

func writeValue(to *jsontext.Encoder, value bson.RawValue) error {
	switch value.Type {
	case bson.TypeEmbeddedDocument:
		return writeDocument(to, value.Document())
	case bson.TypeArray:
		values, err := value.Array().Values()
		if err == nil {
			err = to.WriteToken(jsontext.BeginArray)
		}
		for i := 0; err == nil && i < len(values); i++ {
			err = writeValue(to, values[i])
		}
		if err != nil {
			return err
		}
		return to.WriteToken(jsontext.EndArray)
	case bson.TypeString:
		return to.WriteToken(jsontext.String(value.StringValue()))
	case bson.TypeInt64, bson.TypeInt32: // a restored dump may hold the shorter ones
		return to.WriteToken(jsontext.Int(value.AsInt64()))
	case bson.TypeBoolean:
		return to.WriteToken(jsontext.Bool(value.Boolean()))
	case bson.TypeNull:
		return to.WriteToken(jsontext.Null)
	}
	return fmt.Errorf("BSON type %s does not occur in events", value.Type)
}
