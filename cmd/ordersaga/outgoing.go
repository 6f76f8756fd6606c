package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// cliSource is the source of events that people publish by hand.
const cliSource = "/ordersaga/cli"

// publishInput is what is to be published.
type publishInput struct {
	typ, file, data                  string
	id, source, subject, correlation string
	stdin                            io.Reader
}

// outgoing is an event that the service would accept.
type outgoing struct {
	event   event.Event
	message wire.Message
}

// read reads the events and checks every one of them.
func (in publishInput) read() ([]outgoing, error) {
	if in.typ != "" {
		typ, ok := event.Find(in.typ)
		if !ok || typ.Direction != event.Inbound {
			return nil, fmt.Errorf("%q is not a type that the service listens to: those are %s", in.typ, inboundNames())
		}
		in.typ = typ.Name
	}
	source, err := in.open()
	if err != nil {
		return nil, err
	}
	defer source.Close()
	decoder := json.NewDecoder(source)
	var list []outgoing
	for {
		var raw json.RawMessage
		switch err := decoder.Decode(&raw); {
		case errors.Is(err, io.EOF) && len(list) == 0:
			return nil, errors.New("there is nothing to publish: the input is empty")
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("event %d is not JSON: %w", len(list)+1, err)
		}
		if in.id != "" && len(list) > 0 {
			return nil, errors.New("--id names one event, and the input has more")
		}
		o, err := in.one(raw)
		if err != nil {
			return nil, fmt.Errorf("event %d would be refused: %w", len(list)+1, err)
		}
		list = append(list, o)
	}
}

func (in publishInput) open() (io.ReadCloser, error) {
	switch {
	case in.data != "":
		return io.NopCloser(strings.NewReader(in.data)), nil
	case in.file == "-":
		return io.NopCloser(in.stdin), nil
	}
	return os.Open(in.file)
}

// one makes the event of one JSON value.
func (in publishInput) one(raw json.RawMessage) (outgoing, error) {
	e, err := in.event(raw)
	if err != nil {
		return outgoing{}, err
	}
	m, err := wire.Wrap(e)
	if err != nil {
		return outgoing{}, err
	}
	if e, err = wire.Decode(m); err != nil {
		return outgoing{}, err
	}
	return outgoing{event: e, message: m}, inbound.Check(e)
}

// event reads a whole event as the service does, or makes one around its data. The flags go before what it says.
func (in publishInput) event(raw json.RawMessage) (event.Event, error) {
	e := event.Event{Type: in.typ, Data: raw}
	if isEvent(raw) {
		const none = "none" // what an event without an id is read with
		read, err := wire.Decode(wire.Message{RoutingKey: in.typ, Body: raw, MessageID: none})
		if err != nil {
			return e, err
		}
		if in.typ != "" && read.Type != in.typ {
			return e, fmt.Errorf("it is of type %s, not %s", read.Type, in.typ)
		}
		e = read
		if e.ID == none {
			e.ID = ""
		}
	}
	if e.Type == "" {
		return e, errors.New("it has no type: say which one")
	}
	override(&e.ID, in.id, uuid.NewString())
	override(&e.Source, in.source, cliSource)
	override(&e.Subject, in.subject, "")
	override(&e.CorrelationID, in.correlation, e.ID)
	if e.Time.IsZero() {
		e.Time = time.Now().UTC().Truncate(event.TimeResolution)
	}
	return e, nil
}

// override sets a value: what a flag says, what is there, or a default.
func override(value *string, flag, otherwise string) {
	switch {
	case flag != "":
		*value = flag
	case *value == "":
		*value = otherwise
	}
}

// isEvent tells a whole event from the data of one: a CloudEvent, a NestJS packet, or data within a plain event. No
// inbound type has a field of these names in its data.
func isEvent(raw json.RawMessage) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return false
	}
	_, cloud := fields["specversion"]
	_, nest := fields["pattern"]
	_, plain := fields["data"]
	return cloud || nest || plain && bytes.HasPrefix(fields["data"], []byte("{"))
}

func inboundNames() string {
	var names []string
	for _, t := range event.Types(event.Inbound) {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}
