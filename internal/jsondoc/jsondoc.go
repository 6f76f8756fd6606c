// Package jsondoc is the strict reader of JSON that other systems send: REST bodies and the data of events.
//
// encoding/json alone takes "SKU" for "sku" and the last of two equal names, stops at the first mistake, and does not say in which
// element of a list it was. Here a name that occurs twice is refused, names are compared exactly, integers are integers however JSON
// writes them, and everything that is wrong is reported at once, each with its JSON pointer (RFC 6901).
//
// Nothing here does I/O. The package imports event for its integers, internal/fault for codes and words, and jsontext.
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

// Check returns the first defect of a text that must be one JSON object, nested maxDepth deep at most, and nothing after it; nil when
// there is none. What two readers could read differently is a defect: bytes that are not UTF-8, a name that occurs twice in an object.
func Check(raw []byte, maxDepth int) *fault.Field {
	if !utf8.Valid(raw) {
		return defect("", "is not valid UTF-8")
	}
	// Half a surrogate pair is valid JSON, and becomes U+FFFD.
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

// syntax says what is wrong with the syntax.
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

// place is a pointer as complaints have it.
func place(p jsontext.Pointer) string {
	at := ""
	for name := range p.Tokens() {
		at += Pointer(name)
	}
	return at
}

var escaper = strings.NewReplacer("~", "~0", "/", "~1")

// Pointer returns the reference token of a name. Names are the sender's: they are cut short.
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

// maxDepth bounds the nesting of a body. Nothing that is read here is deeper than three.
const maxDepth = 16

// maxComplaints bounds how many places one document complains about.
const maxComplaints = 50

// Options are what senders may do.
type Options struct {
	// Checked skips Check: another reader has checked the syntax, or mended it. Of equal names the last one counts then.
	Checked bool
	// Open passes over fields that are not known.
	Open bool
	// NullIsAbsent takes null for a field that is not there. Otherwise it is a value of the wrong type.
	NullIsAbsent bool
}

// Doc is a JSON object and what is wrong with it.
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

// Complain adds a complaint about a place.
func (d *Doc) Complain(at, format string, args ...any) {
	if len(d.complaints) < maxComplaints {
		d.complaints = append(d.complaints, fault.Fieldf(at, format, args...))
	}
}

// Require complains about a place unless the value there is as it must be, or could not be read.
func (d *Doc) Require(ok bool, at, format string, args ...any) {
	if !ok && !d.Wrong(at) {
		d.Complain(at, format, args...)
	}
}

// Wrong reports whether something in or around a place could not be used.
func (d *Doc) Wrong(at string) bool {
	return slices.ContainsFunc(d.complaints, func(f fault.Field) bool { return fault.Overlap(f.Pointer, at) })
}

// Merge adds the complaints of a later check. What it says about a place that could not be read is left out: the value there is a zero
// value. Errors that are not Invalid are returned.
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

// Err returns everything that is wrong as one Invalid error, or nil.
func (d *Doc) Err(what string) error { return fault.NewInvalid(what, d.complaints) }
