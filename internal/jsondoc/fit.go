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

// Into puts the document into a struct, given as a pointer, by the names of its json tags, and complains about what does
// not fit. The fields of an embedded struct are the struct's own. Fields may be strings, integers (int64), booleans, structs, slices, maps of strings, any (which takes every value), and pointers to these, which stay
// nil when the field is not there. More tags:
//   - required:"true" complains when the field is not there.
//   - unit:"in minor units" is what an integer counts, for complaints.
//   - most:"100 lines" is how many elements a slice may have; the rest is not read.
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

// fit puts a value into another.
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
		panic("jsondoc: a field of kind " + into.Kind().String() + " is not read")
	}
	if !fits {
		d.Complain(at, "%s", rule)
	}
}

// nameOf is the name of a field in a document.
func nameOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// texts puts an object of strings into a map.
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
