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
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	value, err := nextValue(decoder)
	if err != nil {
		return nil, err
	}
	fields, ok := value.(bson.D)
	if !ok {
		return nil, fmt.Errorf("data is %T, not an object", value)
	}
	return bson.Marshal(fields)
}

// nextValue reads one JSON value. Its depth is bounded by eventlog.Seal.
func nextValue(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			return restOfObject(decoder)
		}
		return restOfArray(decoder)
	case json.Number:
		return v.Int64()
	default: // string, bool, nil
		return v, nil
	}
}

func restOfObject(decoder *json.Decoder) (bson.D, error) {
	fields := bson.D{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		value, err := nextValue(decoder)
		if err != nil {
			return nil, err
		}
		fields = append(fields, bson.E{Key: name.(string), Value: value})
	}
	_, err := decoder.Token()
	return fields, err
}

func restOfArray(decoder *json.Decoder) (bson.A, error) {
	items := bson.A{}
	for decoder.More() {
		value, err := nextValue(decoder)
		if err != nil {
			return nil, err
		}
		items = append(items, value)
	}
	_, err := decoder.Token()
	return items, err
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
