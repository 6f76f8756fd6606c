package mongolog

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
	// That no name stands twice in an object is known.
	decoder := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))
	if err := copyValue(bson.NewDocumentWriter(&out), decoder); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// copyValue copies the next value. Its depth is bounded by eventlog.Seal.
func copyValue(to bson.ValueWriter, from *jsontext.Decoder) error {
	token, err := from.ReadToken()
	if err != nil {
		return err
	}
	switch token.Kind() {
	case '{':
		return copyObject(to, from)
	case '[':
		return copyArray(to, from)
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
	default:
		return to.WriteBoolean(token.Bool())
	}
}

func copyObject(to bson.ValueWriter, from *jsontext.Decoder) error {
	fields, err := to.WriteDocument()
	if err != nil {
		return err
	}
	for from.PeekKind() != '}' {
		name, err := from.ReadToken()
		if err != nil {
			return err
		}
		field, err := fields.WriteDocumentElement(name.String())
		if err != nil {
			return err
		}
		if err := copyValue(field, from); err != nil {
			return err
		}
	}
	if _, err := from.ReadToken(); err != nil {
		return err
	}
	return fields.WriteDocumentEnd()
}

func copyArray(to bson.ValueWriter, from *jsontext.Decoder) error {
	items, err := to.WriteArray()
	if err != nil {
		return err
	}
	for from.PeekKind() != ']' {
		item, err := items.WriteArrayElement()
		if err != nil {
			return err
		}
		if err := copyValue(item, from); err != nil {
			return err
		}
	}
	if _, err := from.ReadToken(); err != nil {
		return err
	}
	return items.WriteArrayEnd()
}

// dataToJSON converts back. It refuses what dataToBSON never writes, above all doubles.
func dataToJSON(data bson.Raw) (json.RawMessage, error) {
	var out bytes.Buffer
	if err := writeDocument(&out, data); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func writeDocument(out *bytes.Buffer, raw bson.Raw) error {
	elements, err := raw.Elements()
	if err != nil {
		return err
	}
	out.WriteByte('{')
	for i, element := range elements {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writeString(out, element.Key()); err != nil {
			return err
		}
		out.WriteByte(':')
		if err := writeValue(out, element.Value()); err != nil {
			return fmt.Errorf("%s: %w", element.Key(), err)
		}
	}
	out.WriteByte('}')
	return nil
}

func writeArray(out *bytes.Buffer, raw bson.RawArray) error {
	values, err := raw.Values()
	if err != nil {
		return err
	}
	out.WriteByte('[')
	for i, value := range values {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writeValue(out, value); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	return nil
}

func writeValue(out *bytes.Buffer, value bson.RawValue) error {
	switch value.Type {
	case bson.TypeEmbeddedDocument:
		return writeDocument(out, value.Document())
	case bson.TypeArray:
		return writeArray(out, value.Array())
	case bson.TypeString:
		return writeString(out, value.StringValue())
	case bson.TypeInt64:
		out.Write(strconv.AppendInt(out.AvailableBuffer(), value.Int64(), 10))
	case bson.TypeInt32: // what a restored dump may hold
		out.Write(strconv.AppendInt(out.AvailableBuffer(), int64(value.Int32()), 10))
	case bson.TypeBoolean:
		out.Write(strconv.AppendBool(out.AvailableBuffer(), value.Boolean()))
	case bson.TypeNull:
		out.WriteString("null")
	default:
		return fmt.Errorf("BSON type %s does not occur in events", value.Type)
	}
	return nil
}

func writeString(out *bytes.Buffer, s string) error {
	quoted, err := jsontext.AppendQuote(out.AvailableBuffer(), s)
	out.Write(quoted)
	return err
}
