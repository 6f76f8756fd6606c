package eventlog

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ordersaga/ordersaga/event"
)

// envelopeBytes is about what the envelope takes besides the data.
const envelopeBytes = 768

// rfc8785 has JSON written in the canonical form. That no name stands twice in an object is known by then.
var rfc8785 = []jsontext.Options{
	jsontext.CanonicalizeRawInts(true), jsontext.CanonicalizeRawFloats(true), jsontext.ReorderRawObjects(true),
	jsontext.AllowDuplicateNames(true),
}

// appendEnvelope appends what a hash covers besides PrevHash, in its canonical form (RFC 8785): the names, which are part
// of the format, stand in their order.
func appendEnvelope(dst []byte, r event.Record) ([]byte, error) {
	f := form{dst: dst}
	f.text(`{"causationId":`, r.CausationID)
	f.text(`,"correlationId":`, r.CorrelationID)
	f.value(`,"data":`, r.Data)
	f.text(`,"id":`, r.ID)
	f.text(`,"key":`, r.Key)
	f.number(`,"schemaVersion":`, int64(r.SchemaVersion))
	f.text(`,"source":`, r.Source)
	f.text(`,"stream":`, r.Stream)
	f.text(`,"subject":`, r.Subject)
	f.text(`,"time":`, FormatTime(r.Time))
	f.text(`,"type":`, r.Type)
	f.number(`,"version":`, r.Version)
	return append(f.dst, '}'), f.err
}

// form is a canonical form that is being written; err is the first thing that has none.
type form struct {
	dst []byte
	err error
}

func (f *form) text(name, value string) {
	var err error
	f.dst, err = jsontext.AppendQuote(append(f.dst, name...), value)
	f.note(err)
}

func (f *form) number(name string, value int64) {
	f.dst = strconv.AppendInt(append(f.dst, name...), value, 10)
}

func (f *form) value(name string, value []byte) {
	var err error
	f.dst, err = jsontext.AppendFormat(append(f.dst, name...), value, rfc8785...)
	f.note(err)
}

func (f *form) note(err error) {
	if f.err == nil {
		f.err = err
	}
}
