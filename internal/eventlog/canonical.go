package eventlog

import (
	"cmp"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// envelopeBytes is the approximate size of the envelope without the data.
const envelopeBytes = 768

// rfc8785 are the options for canonical JSON. Duplicate names were refused before.
var rfc8785 = []jsontext.Options{
	jsontext.CanonicalizeRawInts(true), jsontext.CanonicalizeRawFloats(true), jsontext.ReorderRawObjects(true),
	jsontext.AllowDuplicateNames(true),
}

// appendEnvelope appends what a hash covers besides PrevHash, as canonical JSON (RFC 8785). The names, which are part of the format, are in
// canonical order.
func appendEnvelope(dst []byte, r event.Record) ([]byte, error) {
	w := canonicalWriter{dst: dst}
	w.text(`{"causationId":`, r.CausationID)
	w.text(`,"correlationId":`, r.CorrelationID)
	w.value(`,"data":`, r.Data)
	w.text(`,"id":`, r.ID)
	w.text(`,"key":`, r.Key)
	w.number(`,"schemaVersion":`, int64(r.SchemaVersion))
	w.text(`,"source":`, r.Source)
	w.text(`,"stream":`, r.Stream)
	w.text(`,"subject":`, r.Subject)
	w.text(`,"time":`, FormatTime(r.Time))
	w.text(`,"type":`, r.Type)
	w.number(`,"version":`, r.Version)
	return append(w.dst, '}'), w.err
}

// Canonical returns a record with its hashes as canonical JSON (RFC 8785). Without the members hash and prevHash it is what Hash covers. Errors:
// Invalid if the data is not JSON.
func Canonical(r event.Record) ([]byte, error) {
	w := canonicalWriter{dst: make([]byte, 0, len(r.Data)+envelopeBytes)}
	w.text(`{"causationId":`, r.CausationID)
	w.text(`,"correlationId":`, r.CorrelationID)
	w.value(`,"data":`, r.Data)
	w.text(`,"hash":`, r.Hash)
	w.text(`,"id":`, r.ID)
	w.text(`,"key":`, r.Key)
	w.text(`,"prevHash":`, r.PrevHash)
	w.number(`,"schemaVersion":`, int64(r.SchemaVersion))
	w.text(`,"source":`, r.Source)
	w.text(`,"stream":`, r.Stream)
	w.text(`,"subject":`, r.Subject)
	w.text(`,"time":`, FormatTime(r.Time))
	w.text(`,"type":`, r.Type)
	w.number(`,"version":`, r.Version)
	return append(w.dst, '}'), fault.Wrap(w.err, fault.Invalid, "canonical form of version %d of stream %s", r.Version, r.Stream)
}

// canonicalWriter appends canonical JSON to dst; err is its first error.
type canonicalWriter struct {
	dst []byte
	err error
}

func (w *canonicalWriter) text(name, value string) {
	var err error
	w.dst, err = jsontext.AppendQuote(append(w.dst, name...), value)
	w.err = cmp.Or(w.err, err)
}

func (w *canonicalWriter) number(name string, value int64) {
	w.dst = strconv.AppendInt(append(w.dst, name...), value, 10)
}

func (w *canonicalWriter) value(name string, value []byte) {
	var err error
	w.dst, err = jsontext.AppendFormat(append(w.dst, name...), value, rfc8785...)
	w.err = cmp.Or(w.err, err)
}
