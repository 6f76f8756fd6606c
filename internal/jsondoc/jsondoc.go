// Package jsondoc is a strict reader for JSON of other systems: REST bodies and event data.
//
// encoding/json accepts "SKU" for "sku" and the last of two equal names, stops at the first error, and does not report the element of a
// list. This package refuses duplicate names, compares names exactly, accepts integers in every JSON notation, and reports all errors, each
// with a JSON pointer (RFC 6901).
//
// It does no I/O. It imports event for integers, internal/fault for codes and texts, and jsontext.
package jsondoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Check returns the first error in a text that must be one JSON object, at most maxDepth levels deep, without data after it; nil if it is
// valid. Ambiguities are errors, too: invalid UTF-8, duplicate names in an object.
func Check(raw []byte, maxDepth int) *fault.Field {
	if !utf8.Valid(raw) {
		return defect("", "is not valid UTF-8")
	}
	// An unpaired surrogate is accepted and becomes U+FFFD.
	decoder := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowInvalidUTF8(true))
	for first := true; first || decoder.StackDepth() > 0; first = false {
		token, err := decoder.ReadToken()
		switch {
		case err != nil:
			return syntax(decoder, err)
		case first && token.Kind() != '{':
			return defect("", "must be a JSON object")
		case decoder.StackDepth() > maxDepth:
			return defect(place(decoder.StackPointer()), "is nested too deeply")
		}
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return defect("", "is not valid JSON: unexpected data after the JSON object")
	}
	return nil
}

// syntax describes a syntax error.
func syntax(decoder *jsontext.Decoder, err error) *fault.Field {
	at := ""
	var wrong *jsontext.SyntacticError
	if errors.As(err, &wrong) {
		at = place(wrong.JSONPointer)
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return defect(at, "occurs twice")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return defect(at, "is not valid JSON: it ends too early")
	}
	return defect(at, "is not valid JSON, near byte "+strconv.FormatInt(decoder.InputOffset(), 10))
}

func defect(at, detail string) *fault.Field { return &fault.Field{Pointer: at, Detail: detail} }

// place returns a pointer in the form of this package.
func place(p jsontext.Pointer) string {
	at := ""
	for name := range p.Tokens() {
		at += Pointer(name)
	}
	return at
}

var escaper = strings.NewReplacer("~", "~0", "/", "~1")

// Pointer returns the reference token of a name. Long names, which a sender can choose, are truncated.
func Pointer(name string) string {
	const most = 64
	if len(name) > most {
		cut := most
		for !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = name[:cut] + "…"
	}
	return "/" + escaper.Replace(name)
}

// maxDepth bounds the nesting. No known document has more than three levels.
const maxDepth = 16

// maxComplaints bounds the errors that are reported for a document.
const maxComplaints = 50

// Options are deviations from strictness.
type Options struct {
	// Checked skips Check, because another reader has checked or repaired the text. Of duplicate names the last one is used.
	Checked bool
	// Open ignores unknown fields.
	Open bool
	// NullIsAbsent treats null as an absent field. Otherwise null is a value of the wrong type.
	NullIsAbsent bool
}

// Doc is a JSON object with its errors.
type Doc struct {
	fields     map[string]any
	options    Options
	complaints []fault.Field
}

// Read reads a document. The error is Malformed.
func Read(raw []byte, o Options) (*Doc, error) {
	d := &Doc{options: o}
	if !o.Checked {
		if wrong := Check(raw, maxDepth); wrong != nil {
			return nil, malformed(*wrong)
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&d.fields); err != nil {
		return nil, malformed(fault.Fieldf("", "must be a JSON object"))
	}
	return d, nil
}

func malformed(wrong fault.Field) error {
	return &fault.Error{Code: fault.Malformed, Message: "the body cannot be parsed", Fields: []fault.Field{wrong}}
}

// Complain adds an error about a place.
func (d *Doc) Complain(at, format string, args ...any) {
	if len(d.complaints) < maxComplaints {
		d.complaints = append(d.complaints, fault.Fieldf(at, format, args...))
	}
}

// Require adds an error about a place if ok is false, unless an overlapping place already has one.
func (d *Doc) Require(ok bool, at, format string, args ...any) {
	if !ok && !d.Wrong(at) {
		d.Complain(at, format, args...)
	}
}

// Wrong reports whether a place, or one that overlaps with it, has an error.
func (d *Doc) Wrong(at string) bool {
	return slices.ContainsFunc(d.complaints, func(f fault.Field) bool { return fault.Overlap(f.Pointer, at) })
}

// Merge adds the errors of a later check, except for places that already have errors: their values are zero values. It returns errors that
// are not Invalid.
func (d *Doc) Merge(err error) error {
	if err != nil && !errors.Is(err, fault.Invalid) {
		return err
	}
	read := *d
	for _, f := range fault.FieldsOf(err) {
		if !read.Wrong(f.Pointer) {
			d.Complain(f.Pointer, "%s", f.Detail)
		}
	}
	return nil
}

// Err returns all errors as one Invalid error, or nil.
func (d *Doc) Err(what string) error { return fault.NewInvalid(what, d.complaints) }
