package mongoletters

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// tagged is a header's value with its type: JSON alone knows neither bytes nor the width of integers, and a replay sends
// what came.
type tagged struct {
	Type  string          `json:"t"`
	Value json.RawMessage `json:"v,omitempty"`
}

// encodeHeaders returns headers as JSON. Names and texts may hold any bytes.
func encodeHeaders(headers map[string]any) (string, error) {
	if headers == nil {
		return "", nil
	}
	value, err := tag(headers)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(value)
	return string(raw), err
}

// member is a header with its name, which may not be UTF-8.
type member struct {
	Name  []byte `json:"n"`
	Value tagged `json:"h"`
}

func tag(value any) (tagged, error) {
	switch v := value.(type) {
	case nil:
		return tagged{Type: "nil"}, nil
	case string:
		if !utf8.ValidString(v) {
			return plain("text", []byte(v))
		}
		return plain("string", v)
	case []byte:
		return plain("bytes", v)
	case bool:
		return plain("bool", v)
	case time.Time:
		return plain("seconds", v.Unix()) // AMQP has no fractions, and JSON no years beyond 9999
	case float32:
		return plain("float32", math.Float32bits(v))
	case float64:
		return plain("float64", math.Float64bits(v))
	case int8, uint8, int16, uint16, int32, uint32, int64, int:
		return plain(fmt.Sprintf("%T", v), v)
	case []any:
		list := make([]tagged, len(v))
		for i := range v {
			var err error
			if list[i], err = tag(v[i]); err != nil {
				return tagged{}, err
			}
		}
		return plain("list", list)
	case map[string]any:
		members := make([]member, 0, len(v))
		for name, element := range v {
			t, err := tag(element)
			if err != nil {
				return tagged{}, err
			}
			members = append(members, member{[]byte(name), t})
		}
		return plain("table", members)
	}
	// Decimals: nobody sends them, and what they say is kept.
	return plain("string", fmt.Sprint(value))
}

func plain(kind string, value any) (tagged, error) {
	raw, err := json.Marshal(value)
	return tagged{kind, raw}, err
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

func untag(t tagged) (any, error) {
	switch t.Type {
	case "nil":
		return nil, nil
	case "string":
		return as[string](t)
	case "text":
		raw, err := as[[]byte](t)
		return string(raw), err
	case "bytes":
		return as[[]byte](t)
	case "bool":
		return as[bool](t)
	case "time": // older letters
		return as[time.Time](t)
	case "seconds":
		seconds, err := as[int64](t)
		return time.Unix(seconds, 0).UTC(), err
	case "float32":
		bits, err := as[uint32](t)
		return math.Float32frombits(bits), err
	case "float64":
		bits, err := as[uint64](t)
		return math.Float64frombits(bits), err
	case "int8":
		return as[int8](t)
	case "uint8":
		return as[uint8](t)
	case "int16":
		return as[int16](t)
	case "uint16":
		return as[uint16](t)
	case "int32":
		return as[int32](t)
	case "uint32":
		return as[uint32](t)
	case "int64":
		return as[int64](t)
	case "int":
		return as[int](t)
	case "list":
		return untagList(t)
	case "table":
		return untagTable(t)
	}
	return nil, fmt.Errorf("header type %q is not known", t.Type)
}

func as[T any](t tagged) (T, error) {
	var value T
	err := json.Unmarshal(t.Value, &value)
	return value, err
}

func untagList(t tagged) (any, error) {
	list, err := as[[]tagged](t)
	values := make([]any, len(list))
	for i := range list {
		if err != nil {
			break
		}
		values[i], err = untag(list[i])
	}
	return values, err
}

func untagTable(t tagged) (any, error) {
	members, err := as[[]member](t)
	table := make(map[string]any, len(members))
	for _, m := range members {
		if err != nil {
			break
		}
		table[string(m.Name)], err = untag(m.Value)
	}
	return table, err
}
