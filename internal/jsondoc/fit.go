package jsondoc

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Into copies the document into a struct, given as a pointer, by json tags, and reports values that do not fit. Fields of an embedded struct
// belong to the outer struct. Fields may be strings, int64, booleans, structs, slices, maps of strings, any (which accepts every value),
// and pointers to these, which stay nil if the field is absent. Other tags:
//   - required:"true": the field must be present.
//   - unit:"in minor units": the unit of an integer, for error texts.
//   - most:"100 lines": the maximum number of elements of a slice; further ones are not read.
func (d *Doc) Into(v any) { d.object("", d.fields, reflect.ValueOf(v).Elem()) }

func (d *Doc) object(at string, fields map[string]any, into reflect.Value) {
	known := slices.DeleteFunc(reflect.VisibleFields(into.Type()), func(f reflect.StructField) bool { return f.Anonymous })
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !d.options.Open && !slices.ContainsFunc(known, func(f reflect.StructField) bool { return nameOf(f) == name }) {
			d.Complain(at+Pointer(name), fault.RuleUnknown)
		}
	}
	for _, field := range known {
		name := nameOf(field)
		value, there := fields[name]
		switch there = there && (value != nil || !d.options.NullIsAbsent); {
		case there:
			d.fit(at+Pointer(name), value, into.FieldByIndex(field.Index), field.Tag)
		case field.Tag.Get("required") != "":
			d.Complain(at+Pointer(name), fault.RuleMissing)
		}
	}
}

// fit stores a JSON value in a Go value.
func (d *Doc) fit(at string, value any, into reflect.Value, tag reflect.StructTag) {
	fits, rule := true, ""
	switch into.Kind() {
	case reflect.Interface:
		if value != nil {
			into.Set(reflect.ValueOf(value))
		}
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.fit(at, value, into.Elem(), tag)
	case reflect.Struct:
		var fields map[string]any
		if fields, fits = value.(map[string]any); fits {
			d.object(at, fields, into)
		}
		rule = fault.RuleObject
	case reflect.Map:
		var fields map[string]any
		if fields, fits = value.(map[string]any); fits {
			d.texts(at, fields, into)
		}
		rule = fault.RuleObject
	case reflect.Slice:
		var list []any
		if list, fits = value.([]any); fits {
			d.list(at, list, into, tag)
		}
		rule = fault.RuleArray
	case reflect.String:
		var text string
		text, fits = value.(string)
		into.SetString(text)
		rule = fault.RuleString
	case reflect.Bool:
		var yes bool
		yes, fits = value.(bool)
		into.SetBool(yes)
		rule = "must be true or false"
	case reflect.Int64:
		var integer int64
		integer, rule = event.ReadInteger(value, strings.TrimRight(" "+tag.Get("unit"), " "))
		into.SetInt(integer)
		fits = rule == ""
	default:
		panic("jsondoc: fields of kind " + into.Kind().String() + " are not supported")
	}
	if !fits {
		d.Complain(at, "%s", rule)
	}
}

// nameOf returns the JSON name of a field.
func nameOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// texts stores an object of strings in a map.
func (d *Doc) texts(at string, fields map[string]any, into reflect.Value) {
	into.Set(reflect.MakeMapWithSize(into.Type(), len(fields)))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		element := reflect.New(into.Type().Elem()).Elem()
		d.fit(at+Pointer(name), fields[name], element, "")
		into.SetMapIndex(reflect.ValueOf(name), element)
	}
}

func (d *Doc) list(at string, list []any, into reflect.Value, tag reflect.StructTag) {
	limit, _, bounded := strings.Cut(tag.Get("most"), " ")
	if most, _ := strconv.Atoi(limit); bounded && len(list) > most {
		d.Complain(at, "must have at most %s", tag.Get("most"))
		list = list[:most]
	}
	into.Set(reflect.MakeSlice(into.Type(), len(list), len(list)))
	for i, element := range list {
		d.fit(at+"/"+strconv.Itoa(i), element, into.Index(i), "")
	}
}
