package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// cliSource is the source of events that people publish by hand.
const cliSource = "/ordersaga/cli"

type publishInput struct {
	typ, file, data                  string
	id, source, subject, correlation string
	stdin                            io.Reader
	routes                           inbound.Routes
}

// outgoing is an event that the service would accept.
type outgoing struct {
	event   event.Event
	message wire.Message
}

func (in publishInput) read() ([]outgoing, error) {
	if in.typ != "" {
		typ, ok := event.Find(in.typ)
		if !ok || typ.Direction != event.Inbound {
			return nil, fmt.Errorf("%q is not an inbound event type; inbound types are %s", in.typ, inboundNames())
		}
		in.typ = typ.Name
	}
	input := []byte(in.data)
	if in.data == "" {
		var err error
		if input, err = readInput(in.stdin, in.file); err != nil {
			return nil, err
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(input))
	var list []outgoing
	for {
		var raw json.RawMessage
		switch err := decoder.Decode(&raw); {
		case errors.Is(err, io.EOF) && len(list) == 0:
			return nil, errors.New("nothing to publish: the input is empty")
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("event %d is not JSON: %w", len(list)+1, err)
		}
		if in.id != "" && len(list) > 0 {
			return nil, errors.New("--id requires exactly one event, and the input has more")
		}
		o, err := in.one(raw)
		if err != nil {
			return nil, fmt.Errorf("event %d would be refused: %w", len(list)+1, err)
		}
		list = append(list, o)
	}
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
	return outgoing{event: e, message: m}, in.routes.Check(e)
}

// event reads a whole event as the service does, or makes one around its data. Flags take precedence over its fields.
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
		return e, errors.New("it has no type: pass TYPE as argument")
	}
	e.ID = cmp.Or(in.id, e.ID, uuid.NewString())
	e.Source = cmp.Or(in.source, e.Source, cliSource)
	e.Subject = cmp.Or(in.subject, e.Subject)
	e.CorrelationID = cmp.Or(in.correlation, e.CorrelationID, e.ID)
	if e.Time.IsZero() {
		e.Time = time.Now().UTC().Truncate(event.TimeResolution)
	}
	return e, nil
}

// isEvent distinguishes a whole event from the data of one: a CloudEvent, a NestJS packet, or data within a plain event. No
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
