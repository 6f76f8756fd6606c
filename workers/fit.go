package workers

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// maxComplaints bounds how many fields one error names: a dead letter carries them in a header.
const maxComplaints = 20

// fitter puts JSON values into Go values and collects what does not fit, with the place. encoding/json alone takes "SKU"
// for "sku", stops at the first mistake, and does not tell which element of a list it was.
type fitter struct {
	// strict refuses fields that there are not.
	strict bool
	wrong  []fault.Field
}

func (f *fitter) complain(at, format string, args ...any) {
	if len(f.wrong) < maxComplaints {
		f.wrong = append(f.wrong, fault.Fieldf(at, format, args...))
	}
}

// fit puts a value into another. Null is the same as not there.
func (f *fitter) fit(at string, value any, into reflect.Value) {
	if value == nil {
		return
	}
	fits := true
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		f.fit(at, value, into.Elem())
	case reflect.Struct:
		var fields map[string]any
		if fields, fits = value.(map[string]any); fits {
			f.fitFields(at, fields, into)
		}
	case reflect.Slice:
		var list []any
		if list, fits = value.([]any); fits {
			into.Set(reflect.MakeSlice(into.Type(), len(list), len(list)))
			for i, element := range list {
				f.fit(at+"/"+strconv.Itoa(i), element, into.Index(i))
			}
		}
	case reflect.String:
		var text string
		if text, fits = value.(string); fits {
			into.SetString(text)
		}
	case reflect.Int64:
		number, isNumber := value.(json.Number)
		integer, whole, small := event.Integer(number)
		switch fits = isNumber && whole; {
		case fits && !small:
			f.complain(at, "is too large")
		case fits:
			into.SetInt(integer)
		}
	default:
		panic("workers: data of kind " + into.Kind().String() + " is not read")
	}
	if !fits {
		f.complain(at, "must be %s", kinds[into.Kind()])
	}
}

// kinds says in words what must be.
var kinds = map[reflect.Kind]string{
	reflect.Struct: "an object", reflect.Slice: "a list", reflect.String: "a string", reflect.Int64: "an integer",
}

// fitFields puts fields into those of a struct, by the names of their json tags.
func (f *fitter) fitFields(at string, fields map[string]any, into reflect.Value) {
	known := make(map[string]reflect.Value, into.NumField())
	for i := range into.NumField() {
		name, _, _ := strings.Cut(into.Type().Field(i).Tag.Get("json"), ",")
		known[name] = into.Field(i)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field, ok := known[name]
		switch {
		case ok:
			f.fit(at+"/"+name, fields[name], field)
		case f.strict:
			f.complain(at+pointer(name), "is not a known field")
		}
	}
}

// pointer is the reference token of a name that its sender chose, RFC 6901, cut short.
func pointer(name string) string {
	const most = 64
	if runes := []rune(name); len(runes) > most {
		name = string(runes[:most]) + "…"
	}
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
