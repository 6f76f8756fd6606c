package inbound

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/ordersaga/ordersaga/event"
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

// fit puts a value into another. Null is the same as not there. Unit is what an integer counts, such as " in minor units".
func (f *fitter) fit(at string, value any, into reflect.Value, unit string) {
	if value == nil {
		return
	}
	fits := true
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		f.fit(at, value, into.Elem(), unit)
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
				f.fit(at+"/"+strconv.Itoa(i), element, into.Index(i), "")
			}
		}
	case reflect.String:
		var text string
		if text, fits = value.(string); fits {
			into.SetString(text)
		}
	case reflect.Int64:
		integer, wrong := event.ReadInteger(value, unit)
		if wrong != "" {
			f.complain(at, "%s", wrong)
			return
		}
		into.SetInt(integer)
	default:
		panic("inbound: data of kind " + into.Kind().String() + " is not read")
	}
	if !fits {
		f.complain(at, "%s", rules[into.Kind()])
	}
}

// rules says in words what must be.
var rules = map[reflect.Kind]string{reflect.Struct: fault.RuleObject, reflect.Slice: fault.RuleArray, reflect.String: fault.RuleString}

// fitFields puts fields into those of a struct, by the names of their json tags. A unit tag says what an integer counts.
func (f *fitter) fitFields(at string, fields map[string]any, into reflect.Value) {
	known := make(map[string]int, into.NumField())
	for i := range into.NumField() {
		name, _, _ := strings.Cut(into.Type().Field(i).Tag.Get("json"), ",")
		known[name] = i
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		i, ok := known[name]
		switch {
		case ok:
			unit := into.Type().Field(i).Tag.Get("unit")
			if unit != "" {
				unit = " " + unit
			}
			f.fit(at+"/"+name, fields[name], into.Field(i), unit)
		case f.strict:
			f.complain(at+pointer(name), fault.RuleUnknown)
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
