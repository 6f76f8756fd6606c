package api

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// unknown complains about the names of an object that are not among the known ones, in the order of their
// bytes.
func (d *document) unknown(at string, values map[string]any, known []string) {
	names := slices.Sorted(maps.Keys(values))
	for _, name := range names {
		if len(d.fields) > maxComplaints {
			return
		}
		if !slices.Contains(known, name) {
			d.add(at+pointer(name), fault.RuleUnknown)
		}
	}
}

// merge adds the complaints of a later check to those of reading. A place that could not be read was replaced
// by a zero value: what the later check says about it, or about what is in it or around it, is left out.
func (d *document) merge(err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, fault.Invalid) {
		return err
	}
	read := len(d.fields)
	for _, f := range fault.FieldsOf(err) {
		if !slices.ContainsFunc(d.fields[:read], func(known fault.Field) bool { return fault.Overlap(known.Pointer, f.Pointer) }) {
			d.fields = append(d.fields, f)
		}
	}
	return nil
}

// invalid returns everything that is wrong as one Invalid error, or nil.
func (d *document) invalid(what string) error { return fault.NewInvalid(what, d.fields) }

// atMost complains about a text that has more characters than most.
func (d *document) atMost(at, text string, most int) {
	if utf8.RuneCountInString(text) > most {
		d.add(at, "%s", fault.RuleLength(most))
	}
}

// people complains about a text for people that is too long, or has characters that are not printed. Logs and
// consoles show it.
func (d *document) people(at, text string, most int) {
	d.atMost(at, text, most)
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		d.add(at, fault.RulePrintable)
	}
}
