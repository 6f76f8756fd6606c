package eventlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// MaxDataBytes is the maximum size of the data of an entry, as JSON. With the envelope it stays below the 16 MiB of a MongoDB document.
const MaxDataBytes = 4 << 20

// maxDepth is the maximum nesting of objects and arrays, including the data itself. MongoDB's limit is 100.
const maxDepth = 32

// maxNameBytes is the maximum size of a stream name and of a key, which are in an index.
const maxNameBytes = 1024

// maxVersion is the largest version: adapters write versions with ten digits.
const maxVersion = 9_999_999_999

// maxSafeInteger is the largest integer that is exact in RFC 8785 (numbers are IEEE 754 doubles).
const maxSafeInteger = 1<<53 - 1

// checkData accepts only data that every supported server stores and returns unchanged, so that hashes can be verified: one JSON object;
// numbers that are integers and exact in RFC 8785; no NUL in strings; names that are unique in their object, not empty, not _id, without a
// leading $ and without a dot; no array directly in an array (FerretDB 1 does not support it; wrap the inner one in an object).
func checkData(data json.RawMessage) error {
	if len(data) > MaxDataBytes {
		return fault.New(fault.TooLarge, "data has %d bytes, more than %d", len(data), MaxDataBytes)
	}
	if jsontext.Value(data).Kind() != '{' {
		return fault.New(fault.Invalid, "data must be a JSON object")
	}
	decoder := jsontext.NewDecoder(bytes.NewBuffer(data))
	for {
		switch err := checkToken(decoder); {
		case err != nil:
			return err
		case decoder.StackDepth() > 0:
		default:
			return checkEnd(decoder)
		}
	}
}

// checkToken reads and checks the next token.
func checkToken(decoder *jsontext.Decoder) error {
	token, err := decoder.ReadToken()
	if err != nil {
		return unreadable(err)
	}
	depth := decoder.StackDepth()
	switch token.Kind() {
	case '{', '[':
		if depth > maxDepth {
			return fault.New(fault.Invalid, "data is nested deeper than %d", maxDepth)
		}
		// The decoder is inside the new array; its parent is one level below.
		if outer, _ := decoder.StackIndex(depth - 1); token.Kind() == '[' && outer == '[' {
			return fault.New(fault.Invalid, "data has an array directly in another array")
		}
	case '0':
		number := token.String()
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n > maxSafeInteger || n < -maxSafeInteger || number == "-0" {
			return fault.New(fault.Invalid, "number %s is not an integer between -2^53 and 2^53", number)
		}
	case '"':
		// In an object, names and values alternate.
		text := token.String()
		if in, length := decoder.StackIndex(depth); in == '{' && length%2 == 1 {
			return checkFieldName(text)
		}
		if strings.IndexByte(text, 0) >= 0 {
			return fault.New(fault.Invalid, "data has a string with a NUL character")
		}
	}
	return nil
}

// unreadable returns the error for data that is not valid JSON or has a duplicate name.
func unreadable(err error) error {
	var wrong *jsontext.SyntacticError
	if errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &wrong) {
		return fault.New(fault.Invalid, "data has the name %q twice in one object", wrong.JSONPointer.LastToken())
	}
	return fault.Wrap(err, fault.Invalid, "read data")
}

// checkEnd accepts only whitespace after the object.
func checkEnd(decoder *jsontext.Decoder) error {
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "data must be a single JSON object")
	}
	return nil
}

func checkFieldName(name string) error {
	if name == "" || name == "_id" || name[0] == '$' || strings.ContainsAny(name, ".\x00") {
		return fault.New(fault.Invalid, "data has a field named %q: names must not be empty or _id, and have no leading $, no dots and no NUL", name)
	}
	return nil
}

// checkEntry accepts only entries whose envelope every server stores unchanged.
func checkEntry(stream string, e event.Entry) error {
	if e.Key == "" || e.Type == "" || e.ID == "" {
		return fault.New(fault.Invalid, "an entry of stream %s has no key, type or ID", stream)
	}
	if len(e.Key) > maxNameBytes {
		return fault.New(fault.Invalid, "a key in stream %s has %d bytes; the maximum is %d", stream, len(e.Key), maxNameBytes)
	}
	for _, text := range []string{e.Key, e.ID, e.Type, e.Source, e.Subject, e.CorrelationID, e.CausationID} {
		if !isText(text) {
			return fault.New(fault.Invalid, "entry %q of stream %s has text that is not UTF-8 or contains NUL", e.Key, stream)
		}
	}
	if e.SchemaVersion < 0 || e.SchemaVersion > maxSafeInteger {
		return fault.New(fault.Invalid, "entry %s of stream %s has schema version %d; it must be from 0 to 2^53", e.Key, stream, e.SchemaVersion)
	}
	if y := e.Time.Year(); y < 1 || y > 9999 {
		return fault.New(fault.Invalid, "the time of entry %s of stream %s is in the year %d; it must be from 1 to 9999", e.Key, stream, y)
	}
	return nil
}

// checkStream accepts only valid stream names. @ separates stream and version in document IDs.
func checkStream(stream string) error {
	if stream == "" || len(stream) > maxNameBytes || !isText(stream) || strings.Contains(stream, "@") {
		return fault.New(fault.Invalid, "%q is not a valid stream name: 1 to %d bytes of UTF-8 without @ and NUL", stream, maxNameBytes)
	}
	return nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
