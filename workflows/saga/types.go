package saga

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/ordersaga/ordersaga/event"
)

// Ledger types that every flow has: an event that came after its saga had ended, and a cancellation that came before it.
const (
	kindLate = "event_late"
	kindKept = "cancellation_kept"
)

// kitTypes describes the types of the kit's own events, but for the prefix of the flow. %s is the flow's name.
var kitTypes = []struct {
	kind, meaning string
	direction     event.Direction
	detail        []string
	// data are the fields besides the saga's ID; optional ones are marked.
	data []field
}{
	{kindSettling, "The pivot: from here on the %s goes forward.", event.Published, nil, nil},
	{kindCompensating, "The pivot: from here on everything that the %s did is compensated.", event.Published, []string{"detail", "eventIdentity"}, endingFields},
	{string(Completed), "Terminal: every step of the %s is done.", event.Published, nil, []field{fieldOutcome}},
	{string(Rejected), "Terminal: a step of the %s was refused; everything is compensated.", event.Published, []string{"detail"}, endedFields},
	{string(Cancelled), "Terminal: the %s was cancelled on request; everything is compensated.", event.Published, []string{"detail"}, endedFields},
	{string(Failed), "Terminal: a participant of the %s did not answer in time; everything is compensated.", event.Published, []string{"detail"}, endedFields},
	{kindCancellationRefused, "A cancellation of the %s came too late.", event.Published, []string{"reason", "detail"}, []field{
		{name: "requestId", text: "The request ID; for a request from the bus, derived from the event's source and ID.", required: true},
		{name: "reason", text: "The reason that the requester gave."}, {name: "detail", text: "Why it was refused, for people.", required: true},
	}},
	{kindNeedsAttention, "A step of the %s is stuck; an operator must act.", event.Published, []string{"error", "attempts", "nextTry"}, []field{
		fieldStep, fieldItem, fieldUndo, {name: "error", text: "The last error, for people.", required: true},
		{name: "attempts", text: "Rounds of attempts so far.", kind: "integer", required: true},
		{name: "nextTry", text: "Time of the next attempt, in UTC; omitted if there is none."},
	}},
	{kindAttentionResolved, "The attention of the %s is resolved.", event.Published, []string{"note"}, []field{
		fieldStep, {name: "note", text: "How it was resolved, for people."},
	}},
	{kindStepRetried, "An operator retried a stuck step of the %s.", event.Published, []string{"note"}, decisionFields},
	{kindStepSkipped, "An operator skipped a stuck step of the %s.", event.Published, []string{"note"}, decisionFields},
	{kindStepSubstituted, "An operator did by other means what a stuck step of the %s was to do.", event.Published, []string{"note"}, decisionFields},
	{kindLate, "An event arrived after the %s had ended; it has no effect.", event.Ledger, nil, []field{
		{name: "eventId", text: "The ID of the late event.", required: true}, {name: "type", text: "Its type.", required: true},
		{name: "status", text: "The final status of the saga.", required: true},
		{name: "identity", text: "The identity of the late event: a UUID derived from its source, type, subject, ID and content."},
	}},
	{kindKept, "A cancellation arrived before its %s and cancels it when it is created.", event.Ledger, nil, []field{
		{name: "requestId", text: "The request ID, derived from the source and the ID of the event.", required: true},
		{name: "eventId", text: "The ID of the event.", required: true}, {name: "reason", text: "The reason that the requester gave."},
	}},
}

// field is a field of the data of an event: a text, unless kind says otherwise.
type field struct {
	name, text, kind string
	required         bool
}

var (
	fieldOutcome   = field{name: "outcome", text: "The final status of the saga.", required: true}
	fieldStep      = field{name: "step", text: "The step.", required: true}
	fieldItem      = field{name: "item", text: "The part that it concerns, if it does not concern the whole step."}
	fieldUndo      = field{name: "undo", text: "Whether it concerns the step's compensation.", kind: "boolean"}
	endedFields    = []field{fieldOutcome, {name: "reason", text: "Why.", required: true}, {name: "detail", text: "Details, for people."}}
	endingFields   = append(slices.Clone(endedFields), field{name: "by", text: "The operator who decided it, if known."}, field{name: "requestId", text: "The ID of the operator's decision, if there was one."}, field{name: "eventIdentity", text: "The identity of the event from the bus that caused this one, if any: a UUID derived from its source, type, subject, ID and content."})
	decisionFields = []field{
		{name: "requestId", text: "The ID of the decision.", required: true},
		{name: "attention", text: "The number of the attention that the decision concerns.", kind: "integer", required: true},
		fieldStep, fieldItem, fieldUndo, {name: "action", text: "The action.", required: true}, {name: "by", text: "The operator who decided, if known."},
		{name: "note", text: "Why, for people."}, {name: "reference", text: "What was done instead, such as the number of a transfer."},
	}
)

// EventTypes are the types of all events that sagas of the flow read and write: those from outside, the flow's own, and the kit's.
func (f *Flow[S, P]) EventTypes() []event.Type {
	producer := "the " + f.Name + " saga"
	types := f.inboundTypes()
	types = append(types, event.Type{
		Name: f.prefix() + "." + kindAccepted, Version: 1, Direction: event.Published, Producer: producer, Meaning: "The " + f.Name + " is accepted; its saga runs.",
	})
	for _, t := range f.Types {
		t.Version, t.Direction, t.Producer = max(t.Version, 1), cmp.Or(t.Direction, event.Published), producer
		types = append(types, t)
	}
	for _, k := range kitTypes {
		types = append(types, event.Type{
			Name: f.prefix() + "." + k.kind, Version: 1, Direction: k.direction, Producer: producer, Detail: k.detail, Meaning: fmt.Sprintf(k.meaning, f.Name),
		})
	}
	return types
}

// EventSchema returns the JSON Schema of a version of one of EventTypes: the flow's own from Schemas, that of the kit's generated. The
// error says that there is none.
func (f *Flow[S, P]) EventSchema(name string, version int) ([]byte, error) {
	kind, own := strings.CutPrefix(name, f.prefix()+".")
	for _, k := range kitTypes {
		if own && k.kind == kind && version == 1 {
			return f.kitSchema(name, fmt.Sprintf(k.meaning, f.Name), k.data)
		}
	}
	if f.Schemas == nil {
		return nil, fs.ErrNotExist
	}
	return fs.ReadFile(f.Schemas, name+"/"+strconv.Itoa(version)+".json")
}

// kitSchema is the schema of one of the kit's own events.
func (f *Flow[S, P]) kitSchema(name, meaning string, data []field) ([]byte, error) {
	type object = map[string]any
	properties := object{f.subject(): object{"type": "string", "description": "The " + f.Name + "."}}
	required, example := []string{f.subject()}, object{f.subject(): "42"}
	for _, d := range data {
		if d.name == fieldItem.name && f.partsRow() == nil {
			continue
		}
		property := object{"type": "string", "description": d.text}
		var value any = "…"
		switch {
		case d.kind != "":
			property["type"], value = d.kind, map[string]any{"boolean": true, "integer": 1}[d.kind]
		case d.name == fieldStep.name:
			property["enum"], value = f.stepNames(), f.stepNames()[0]
		}
		properties[d.name] = property
		if d.required {
			required = append(required, d.name)
			example[d.name] = value
		}
	}
	return json.MarshalIndent(object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name, "description": meaning, "type": "object",
		"properties": properties, "required": required, "examples": []any{example},
		// What a flow adds to the event of a completed saga is the flow's.
		"additionalProperties": f.Completed != nil && strings.HasSuffix(name, "."+string(Completed)),
	}, "", "  ")
}

// stepNames are the names of the rows, and those that the table gives to what strays.
func (f *Flow[S, P]) stepNames() []string {
	var names []string
	for i := range f.Steps {
		names = append(names, f.Steps[i].Name)
		if w := f.Steps[i].Wait; w != nil && w.AfterCancel != nil {
			names = append(names, w.AfterCancel.Step)
		}
	}
	return names
}

// Register adds the flow's event types to the catalog. The error says which of them have no schema, or have a name that is taken.
func (f *Flow[S, P]) Register() error {
	types := f.EventTypes()
	var missing []string
	for _, t := range types {
		for version := 1; version <= t.Version; version++ {
			if _, err := f.EventSchema(t.Name, version); err != nil {
				missing = append(missing, t.Name+"/"+strconv.Itoa(version)+".json")
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("flow %q: there are no schemas %s", f.Name, strings.Join(missing, ", "))
	}
	if err := event.Register(types, f.EventSchema); err != nil {
		return fmt.Errorf("flow %q: %w", f.Name, err)
	}
	return nil
}
