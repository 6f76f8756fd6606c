package mongo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// dataToBSON converts an event's data, which eventlog.Seal has accepted, to BSON. Names keep their order; numbers become int64.
func dataToBSON(data json.RawMessage) (bson.Raw, error) {
	if kind := jsontext.Value(data).Kind(); kind != '{' {
		return nil, fmt.Errorf("data begins with %q: it must be an object", kind)
	}
	// eventlog.Seal has checked that names are unique.
	value, err := readValue(jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true)))
	if err != nil {
		return nil, err
	}
	return bson.Marshal(value)
}

// readValue reads the next value in the form for bson.Marshal. eventlog.Seal has bounded its depth.
func readValue(from *jsontext.Decoder) (any, error) {
	token, err := from.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		object := bson.D{}
		for from.PeekKind() != '}' {
			name, err := from.ReadToken()
			if err != nil {
				return nil, err
			}
			field := bson.E{Key: name.String()}
			if field.Value, err = readValue(from); err != nil {
				return nil, err
			}
			object = append(object, field)
		}
		_, err = from.ReadToken()
		return object, err
	case '[':
		list := bson.A{}
		for from.PeekKind() != ']' {
			value, err := readValue(from)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = from.ReadToken()
		return list, err
	case '0':
		return strconv.ParseInt(token.String(), 10, 64)
	case '"':
		return token.String(), nil
	case 'n':
		return nil, nil
	}
	return token.Bool(), nil
}

// dataToJSON reverses dataToBSON. It refuses types that dataToBSON never writes, such as doubles.
func dataToJSON(data bson.Raw) (json.RawMessage, error) {
	var out bytes.Buffer
	out.Grow(len(data))
	// Names were unique when it was written, and readers verify the hash.
	encoder := jsontext.NewEncoder(&out, jsontext.AllowDuplicateNames(true))
	if err := writeValue(encoder, bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: data}); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func writeValue(to *jsontext.Encoder, value bson.RawValue) error {
	switch value.Type {
	case bson.TypeEmbeddedDocument, bson.TypeArray: // both are encoded as documents
		named, begin, end := true, jsontext.BeginObject, jsontext.EndObject
		if value.Type == bson.TypeArray {
			named, begin, end = false, jsontext.BeginArray, jsontext.EndArray
		}
		elements, err := bson.Raw(value.Value).Elements()
		if err == nil {
			err = to.WriteToken(begin)
		}
		for i := 0; err == nil && i < len(elements); i++ {
			if named {
				err = to.WriteToken(jsontext.String(elements[i].Key()))
			}
			if err == nil {
				err = writeValue(to, elements[i].Value())
			}
		}
		if err != nil {
			return err
		}
		return to.WriteToken(end)
	case bson.TypeString:
		return to.WriteToken(jsontext.String(value.StringValue()))
	case bson.TypeInt64, bson.TypeInt32: // a restored dump may contain int32
		return to.WriteToken(jsontext.Int(value.AsInt64()))
	case bson.TypeBoolean:
		return to.WriteToken(jsontext.Bool(value.Boolean()))
	case bson.TypeNull:
		return to.WriteToken(jsontext.Null)
	}
	return fmt.Errorf("BSON type %s is not used in events", value.Type)
}
