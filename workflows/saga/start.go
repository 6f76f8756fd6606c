package saga

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
)

// Problems collects what is wrong with what a sender wrote, each with its JSON pointer (RFC 6901), such as /lines/0/quantity.
type Problems struct{ doc *jsondoc.Doc }

// Require notes a problem unless ok, or unless the value at the pointer could not be read, which is noted already.
func (p *Problems) Require(ok bool, pointer, format string, args ...any) {
	p.doc.Require(ok, pointer, format, args...)
}

// Start says what a saga of a flow is started with. See StartWith.
type Start[S any] struct {
	read   func(raw json.RawMessage, at string) (json.RawMessage, error)
	values func(s *S) any
	accept func(s *S, e event.Event) error
}

// StartWith has sagas started with a value of type V: it is the body of the request, or the data of the event, that starts a saga; with
// the saga's ID it is the data of the first event; and it is kept in the state, where of finds it. V is a struct of strings, int64, bool,
// structs and slices of these, with json tags; required:"true" beside one refuses a body without the field. Fields that V does not have
// are refused. Check, which may be nil, notes what else is wrong with a value, and may change it into the form that is kept.
func StartWith[S, V any](of func(s *S) *V, check func(v *V, p *Problems)) *Start[S] {
	return &Start[S]{
		read:   func(raw json.RawMessage, at string) (json.RawMessage, error) { return read(raw, at, false, check) },
		values: func(s *S) any { return of(s) },
		accept: func(s *S, e event.Event) error { return event.DecodeInto(e, func(v V) { *of(s) = v }) },
	}
}

// read reads what a sender wrote into a V, and returns what is kept of it. At is where the value is in what the sender wrote; it is empty for
// the body of a request. With open, fields that V does not have are passed over. In an event null is as if the field was not there: senders
// write their optional fields so.
func read[V any](raw json.RawMessage, at string, open bool, check func(v *V, p *Problems)) (json.RawMessage, error) {
	var v V
	if len(raw) == 0 && open {
		raw = json.RawMessage("{}")
	}
	doc, err := jsondoc.Read(raw, jsondoc.Options{Open: open, NullIsAbsent: open || at != ""})
	if err != nil {
		return nil, err
	}
	doc.Into(&v)
	if check != nil {
		check(&v, &Problems{doc})
	}
	if err := doc.Err("the request"); err != nil {
		return nil, moved(err, at)
	}
	kept, err := json.Marshal(v)
	if err == nil && tooLong(kept) {
		return nil, fault.NewInvalid("event", []fault.Field{fault.Fieldf(at, "must have at most %d bytes", maxFactData)})
	}
	return kept, fault.Wrap(err, fault.Internal, "write %T", v)
}

// maxProblems bounds how many fields one error names: a dead letter carries them in a header.
const maxProblems = 20

// moved moves the fields of an error to where they are in what the sender wrote.
func moved(err error, at string) error {
	fields := fault.FieldsOf(err)
	if at == "" || len(fields) == 0 {
		return err
	}
	fields = append([]fault.Field(nil), fields[:min(len(fields), maxProblems)]...)
	for i := range fields {
		fields[i].Pointer = at + fields[i].Pointer
	}
	return fault.NewInvalid("event", fields)
}

// ReadStart reads what a saga is to be started with. At is where that is in what the sender wrote, such as /data. It returns the data of
// the saga's first event. Errors: Malformed, and Invalid, which names every field that is wrong.
func (f *Flow[S, P]) ReadStart(id string, raw json.RawMessage, at string) (json.RawMessage, error) {
	if f.Start == nil {
		return nil, fault.New(fault.Invalid, "sagas of flow %s cannot be started over REST", f.Name)
	}
	kept, err := f.Start.read(raw, at)
	if err != nil {
		return nil, err
	}
	return Object(f.subject(), id, kept), nil
}

// Started is the data of the first event of a saga, as its state has it.
func (f *Flow[S, P]) Started(s *S) json.RawMessage {
	return Object(f.subject(), kitOf(s).ID, f.Start.values(s))
}

// SameStart reports whether data to start a saga is that of the saga which is there: by the flow's rule, else whether it says the same.
func (f *Flow[S, P]) SameStart(s *S, data json.RawMessage) bool {
	switch {
	case f.Same != nil:
		return f.Same(s, data)
	case f.Start == nil:
		return true
	}
	other, err := f.Begun(kitOf(s).ID, data)
	return err == nil && bytes.Equal(f.Started(s), f.Started(&other))
}

// Begun is the state that data to start a saga makes, before anything is recorded. The error is Corrupt.
func (f *Flow[S, P]) Begun(id string, data json.RawMessage) (s S, err error) {
	kitOf(&s).ID = id
	if f.Start == nil {
		return s, nil
	}
	err = f.Start.accept(&s, event.Event{Type: f.prefix() + "." + kindAccepted, SchemaVersion: 1, Data: data})
	return s, fault.Wrap(err, fault.Corrupt, "read the input of %s %s", f.Name, id)
}

// String is the type that sagas are started with, for errors.
func (s *Start[S]) String() string {
	var state S
	return fmt.Sprintf("%T", s.values(&state))
}
