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

// MaxDataBytes is the most that the data of one entry may take, as JSON. It leaves room for the envelope below
// the 16 MiB that a MongoDB document may have.
const MaxDataBytes = 4 << 20

// maxDepth is how deep objects and arrays may nest, the data itself counted. MongoDB's limit is 100.
const maxDepth = 32

// maxNameBytes is the most that a stream's name or a key may take: both are in an index.
const maxNameBytes = 1024

// maxVersion is the largest version: adapters write it with ten digits.
const maxVersion = 9_999_999_999

// maxSafeInteger is the largest integer that RFC 8785 (JSON numbers as IEEE 754 doubles) keeps exactly.
const maxSafeInteger = 1<<53 - 1

// checkData accepts what every server that speaks MongoDB's protocol stores and gives back unchanged, so that
// hashes verify after the round trip: one JSON object; numbers that are integers and survive RFC 8785 exactly;
// no NUL in strings; names that are unique in their object, not empty, not _id, without a leading $ and without
// a dot; no array directly in an array (FerretDB 1 has none; wrap the inner one in an object).
func checkData(data json.RawMessage) error {
	if len(data) > MaxDataBytes {
		return fault.New(fault.TooLarge, "data takes %d bytes, more than %d", len(data), MaxDataBytes)
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

// checkToken reads the next token and checks it where it stands.
func checkToken(decoder *jsontext.Decoder) error {
	token, err := decoder.ReadToken()
	if err != nil {
		return unreadable(err)
	}
	depth := decoder.StackDepth()
	switch token.Kind() {
	case '{', '[':
		if depth > maxDepth {
			return fault.New(fault.Invalid, "data nests deeper than %d", maxDepth)
		}
		// The array is the inner one; what it stands in is one below.
		if outer, _ := decoder.StackIndex(depth - 1); token.Kind() == '[' && outer == '[' {
			return fault.New(fault.Invalid, "data has an array directly in an array")
		}
	case '0':
		number := token.String()
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n > maxSafeInteger || n < -maxSafeInteger || number == "-0" {
			return fault.New(fault.Invalid, "number %s is not an integer between -2^53 and 2^53", number)
		}
	case '"':
		// In an object, names and values take turns.
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

// unreadable says what is wrong with data that is no JSON, or has a name twice.
func unreadable(err error) error {
	var wrong *jsontext.SyntacticError
	if errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &wrong) {
		return fault.New(fault.Invalid, "data has the name %q twice in one object", wrong.JSONPointer.LastToken())
	}
	return fault.Wrap(err, fault.Invalid, "read data")
}

// checkEnd accepts whitespace behind the object.
func checkEnd(decoder *jsontext.Decoder) error {
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "data must be one JSON object and nothing behind it")
	}
	return nil
}

func checkFieldName(name string) error {
	if name == "" || name == "_id" || name[0] == '$' || strings.ContainsAny(name, ".\x00") {
		return fault.New(fault.Invalid, "data has a field named %q: names are not empty, not _id, without leading $, dots and NUL", name)
	}
	return nil
}

// checkEntry accepts entries whose envelope every server stores unchanged.
func checkEntry(stream string, e event.Entry) error {
	if e.Key == "" || e.Type == "" || e.ID == "" {
		return fault.New(fault.Invalid, "an entry of stream %s lacks key, type or id", stream)
	}
	if len(e.Key) > maxNameBytes {
		return fault.New(fault.Invalid, "key of %d bytes in stream %s: %d is the most", len(e.Key), stream, maxNameBytes)
	}
	for _, text := range []string{e.Key, e.ID, e.Type, e.Source, e.Subject, e.CorrelationID, e.CausationID} {
		if !isText(text) {
			return fault.New(fault.Invalid, "entry %q of stream %s has text that is not UTF-8, or NUL in it", e.Key, stream)
		}
	}
	if e.SchemaVersion < 0 || e.SchemaVersion > maxSafeInteger {
		return fault.New(fault.Invalid, "entry %s of stream %s has schema version %d: RFC 8785 keeps 0 to 2^53", e.Key, stream, e.SchemaVersion)
	}
	if y := e.Time.Year(); y < 1 || y > 9999 {
		return fault.New(fault.Invalid, "entry %s of stream %s is of the year %d: RFC 3339 has 4 digits", e.Key, stream, y)
	}
	return nil
}

// checkStream accepts names of streams. The @ is what separates stream and version in ids of documents.
func checkStream(stream string) error {
	if stream == "" || len(stream) > maxNameBytes || !isText(stream) || strings.Contains(stream, "@") {
		return fault.New(fault.Invalid, "%q cannot name a stream: 1 to %d bytes of UTF-8 without @ and NUL", stream, maxNameBytes)
	}
	return nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
