package mongo

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
	"unicode/utf8"
)

// tagged is a header value with its type. JSON distinguishes neither bytes nor integer widths, and a replay must send the original types.
type tagged struct {
	Type  string          `json:"t"`
	Value json.RawMessage `json:"v,omitempty"`
}

// member is a header; its name may not be UTF-8.
type member struct {
	Name  []byte `json:"n"`
	Value tagged `json:"h"`
}

// encodeHeaders returns headers as JSON. Names and strings may contain any bytes.
func encodeHeaders(headers map[string]any) string {
	if headers == nil {
		return ""
	}
	raw, _ := json.Marshal(tag(headers)) // cannot fail for these types
	return string(raw)
}

func tag(value any) tagged {
	switch v := value.(type) {
	case nil:
		return tagged{Type: "nil"}
	case string:
		if !utf8.ValidString(v) {
			return plain("text", []byte(v))
		}
		return plain("string", v)
	case []byte:
		return plain("bytes", v)
	case time.Time:
		return plain("seconds", v.Unix()) // AMQP has no fractions, and JSON no years after 9999
	case float32:
		return plain("float32", math.Float32bits(v))
	case float64:
		return plain("float64", math.Float64bits(v))
	case bool, int8, uint8, int16, uint16, int32, uint32, int64, int:
		return plain(fmt.Sprintf("%T", v), v)
	case []any:
		list := make([]tagged, len(v))
		for i := range v {
			list[i] = tag(v[i])
		}
		return plain("list", list)
	case map[string]any:
		members := make([]member, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) { // equal headers are equal texts
			members = append(members, member{[]byte(name), tag(v[name])})
		}
		return plain("table", members)
	}
	// Decimals: rare; stored as text.
	return plain("string", fmt.Sprint(value))
}

func plain(kind string, value any) tagged {
	raw, _ := json.Marshal(value) // cannot fail for the types of tag
	return tagged{kind, raw}
}

// decodeHeaders reverses encodeHeaders.
func decodeHeaders(text string) (map[string]any, error) {
	if text == "" {
		return nil, nil
	}
	var t tagged
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return nil, err
	}
	value, err := untag(t)
	headers, _ := value.(map[string]any)
	return headers, err
}

// untaggers has the decoders of all types except lists and tables.
var untaggers = map[string]func(raw json.RawMessage) (any, error){
	"nil":    func(json.RawMessage) (any, error) { return nil, nil },
	"string": decodeAs[string], "bytes": decodeAs[[]byte], "bool": decodeAs[bool], "int": decodeAs[int],
	"int8": decodeAs[int8], "uint8": decodeAs[uint8], "int16": decodeAs[int16], "uint16": decodeAs[uint16],
	"int32": decodeAs[int32], "uint32": decodeAs[uint32], "int64": decodeAs[int64],
	"time":    decodeAs[time.Time], // in older letters
	"text":    decodeTo(func(text []byte) any { return string(text) }),
	"seconds": decodeTo(func(seconds int64) any { return time.Unix(seconds, 0).UTC() }),
	"float32": decodeTo(func(bits uint32) any { return math.Float32frombits(bits) }),
	"float64": decodeTo(func(bits uint64) any { return math.Float64frombits(bits) }),
}

func untag(t tagged) (any, error) {
	switch t.Type {
	case "list":
		var list []tagged
		err := json.Unmarshal(t.Value, &list)
		values := make([]any, len(list))
		for i := 0; err == nil && i < len(list); i++ {
			values[i], err = untag(list[i])
		}
		return values, err
	case "table":
		var members []member
		err := json.Unmarshal(t.Value, &members)
		table := make(map[string]any, len(members))
		for i := 0; err == nil && i < len(members); i++ {
			table[string(members[i].Name)], err = untag(members[i].Value)
		}
		return table, err
	}
	if decode, ok := untaggers[t.Type]; ok {
		return decode(t.Value)
	}
	return nil, fmt.Errorf("unknown header type %q", t.Type)
}

func decodeAs[T any](raw json.RawMessage) (any, error) {
	return decodeTo(func(value T) any { return value })(raw)
}

func decodeTo[T any](convert func(T) any) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		var value T
		err := json.Unmarshal(raw, &value)
		return convert(value), err
	}
}
