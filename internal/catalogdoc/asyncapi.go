package catalogdoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/trace"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// asyncAPIVersion is the version of the specification, bindingVersion that of its AMQP binding.
const (
	asyncAPIVersion = "3.0.0"
	bindingVersion  = "0.3.0"
)

// inbox is the name of the queue that the service reads, as the broker's topology has it by default.
const inbox = wire.AppID + ".inbox"

const asyncAPIDescription = `The events that ordersaga reads from RabbitMQ and publishes there, as structured CloudEvents 1.0.

Whoever wants something from the service publishes to the topic exchange domain_events with the type as routing key; the inbox is bound to the inbound types and their aliases (x-aliases), and to nothing else. CloudEvents in binary mode, plain events and NestJS messages are read as well.

What the service publishes comes at least once. Keep the highest sequence of each subject and drop what is not above it: then each event is there once and in order. AMQP properties say the same as the envelope: message_id, correlation_id, type, timestamp, app_id.
`

// AsyncAPI returns api/asyncapi.yaml.
func AsyncAPI() ([]byte, error) {
	inbound, published := event.Types(event.Inbound), event.Types(event.Published)
	messages, schemas := object{}, object{{"CloudEvent", cloudEventSchema}, {"PublishedEvent", publishedSchema}}
	for _, t := range append(append([]event.Type(nil), inbound...), published...) {
		message, err := messageOf(t)
		if err != nil {
			return nil, err
		}
		data, err := dataSchema(t)
		if err != nil {
			return nil, err
		}
		messages, schemas = append(messages, member{t.Name, message}), append(schemas, member{dataKey(t), data})
	}
	document := object{
		{"asyncapi", asyncAPIVersion},
		{"info", object{
			{"title", "ordersaga"}, {"version", "1.0.0"}, {"description", asyncAPIDescription},
			{"tags", []any{object{{"name", "inbound"}, {"description", "What the service reads."}}, object{{"name", "published"}, {"description", "What the service says."}}}},
		}},
		{"defaultContentType", wire.ContentType},
		{"servers", object{{"rabbitmq", object{
			{"host", "localhost:5672"}, {"protocol", "amqp"}, {"protocolVersion", "0-9-1"},
			{"description", "RabbitMQ 3.10 to 4.x; AMQP_URL names the one that is used."},
		}}}},
		{"channels", object{
			{"domainEvents", object{
				{"address", "{type}"}, {"title", "The exchange"},
				{"description", "The durable topic exchange that everybody publishes to and binds queues to. The routing key is the event's type."},
				{"parameters", object{{"type", object{{"description", "The event's type."}, {"examples", []any{event.OrderCreated, event.OrderAccepted}}}}}},
				{"messages", refs("components/messages", append(append([]event.Type(nil), inbound...), published...))},
				{"bindings", object{{"amqp", object{
					{"is", "routingKey"},
					{"exchange", object{{"name", wire.Exchange}, {"type", "topic"}, {"durable", true}, {"autoDelete", false}, {"vhost", "/"}}},
					{"bindingVersion", bindingVersion},
				}}}},
			}},
			{"inbox", object{
				{"address", inbox}, {"title", "The inbox"},
				{"description", "The queue that the service reads: bound to the inbound types and their aliases. Senders that know no exchange may send to it."},
				{"messages", refs("components/messages", inbound)},
				{"bindings", object{{"amqp", object{
					{"is", "queue"},
					{"queue", object{{"name", inbox}, {"durable", true}, {"exclusive", false}, {"autoDelete", false}, {"vhost", "/"}}},
					{"bindingVersion", bindingVersion},
				}}}},
			}},
		}},
		{"operations", object{
			{"receiveEvents", object{
				{"action", "receive"}, {"channel", ref("channels/inbox")}, {"title", "Read what others ask for and say"},
				{"summary", "Starts and signals sagas. A message is acknowledged when what follows from it is on record."},
				{"tags", []any{object{{"name", "inbound"}}}},
				{"bindings", object{{"amqp", object{{"ack", true}, {"bindingVersion", bindingVersion}}}}},
				{"messages", refList("channels/inbox/messages", inbound)},
			}},
			{"publishEvents", object{
				{"action", "send"}, {"channel", ref("channels/domainEvents")}, {"title", "Say what happened"},
				{"summary", "Published behind the append to the event log, at least once, in the order of each stream; persistent."},
				{"tags", []any{object{{"name", "published"}}}},
				{"bindings", object{{"amqp", object{{"deliveryMode", 2}, {"mandatory", false}, {"timestamp", true}, {"bindingVersion", bindingVersion}}}}},
				{"messages", refList("channels/domainEvents/messages", published)},
			}},
		}},
		{"components", object{
			{"messages", messages},
			{"messageTraits", object{{"cloudEvent", cloudEventTrait}}},
			{"correlationIds", object{{"correlationId", object{
				{"location", "$message.payload#/correlationid"}, {"description", "Joins everything that one request caused."},
			}}}},
			{"schemas", schemas},
		}},
	}
	return document.yaml("# Generated from event by make docs: do not edit.\n")
}

// cloudEventTrait is what all messages have in common.
var cloudEventTrait = object{
	{"contentType", wire.ContentType},
	{"correlationId", ref("components/correlationIds/correlationId")},
	{"headers", object{
		{"type", "object"},
		{"properties", object{
			{trace.Header, object{{"type", "string"}, {"description", "W3C trace context."}}},
			{wire.HeaderCorrelationID, object{{"type", "string"}, {"description", "Read where neither the event nor correlation_id says a correlation."}}},
		}},
	}},
}

// cloudEventSchema is the envelope that is read.
var cloudEventSchema = object{
	{"type", "object"},
	{"description", "A CloudEvent 1.0 in structured mode."},
	{"required", []any{"specversion", "id", "type", "source", "data"}},
	{"properties", object{
		{"specversion", object{{"const", "1.0"}}},
		{"id", object{{"type", "string"}, {"minLength", 1}, {"maxLength", 255}, {"description", "Unique for its source. What comes again with the same id changes nothing."}}},
		{"type", object{{"type", "string"}}},
		{"source", object{{"type", "string"}, {"minLength", 1}, {"maxLength", 1020}, {"description", "A URI reference that names the producer."}}},
		{"subject", object{{"type", "string"}, {"pattern", idPattern}, {"description", "What the event is about: the order's id."}}},
		{"time", object{{"type", "string"}, {"format", "date-time"}, {"description", "When it happened."}}},
		{"datacontenttype", object{{"const", "application/json"}}},
		{"dataschema", object{{"type", "string"}, {"description", "/schemas/{type}/{version}: the JSON Schema of the data, served by the API."}}},
		{"correlationid", object{{"type", "string"}, {"maxLength", 255}, {"description", "Joins everything that one request caused."}}},
		{"causationid", object{{"type", "string"}, {"maxLength", 255}, {"description", "The id of the event or command that directly caused this one."}}},
		{"data", object{{"type", "object"}}},
	}},
}

// publishedSchema is the envelope that the service writes.
var publishedSchema = object{
	{"allOf", []any{ref("components/schemas/CloudEvent")}},
	{"description", "The envelope of what the service publishes."},
	{"required", []any{"subject", "time", "datacontenttype", "dataschema", "sequence"}},
	{"properties", object{
		{"source", object{{"const", event.Source}}},
		{"sequence", object{
			{"type", "string"}, {"pattern", "^[1-9][0-9]*$"},
			{"description", "The event's version in the stream of its subject: counts from 1 without gaps."},
		}},
	}},
}

// messageOf describes a message of a type's newest version.
func messageOf(t event.Type) (object, error) {
	shown, err := examples(t)
	if err != nil {
		return nil, err
	}
	envelope, names := "CloudEvent", []any{t.Name}
	if t.Direction == event.Published {
		envelope = "PublishedEvent"
	}
	for _, alias := range t.Aliases {
		names = append(names, alias)
	}
	message := object{
		{"name", t.Name}, {"title", t.Name}, {"summary", t.Meaning},
		{"tags", []any{object{{"name", string(t.Direction)}}}},
		{"x-producer", t.Producer}, {"x-version", t.Version},
	}
	if len(t.Aliases) > 0 {
		message = append(message, member{"x-aliases", names[1:]})
	}
	var payloads []any
	for _, data := range shown {
		payload, err := examplePayload(t, data)
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, object{{"payload", payload}})
	}
	schema := wire.SchemaOf(t.Name, t.Version)
	return append(message,
		member{"traits", []any{ref("components/messageTraits/cloudEvent")}},
		member{"bindings", object{{"amqp", object{{"messageType", t.Name}, {"bindingVersion", bindingVersion}}}}},
		member{"payload", object{
			{"allOf", []any{ref("components/schemas/" + envelope)}},
			{"type", "object"},
			{"properties", object{
				{"type", object{{"enum", names}}},
				{"dataschema", object{{"examples", []any{schema}}}},
				{"data", ref("components/schemas/" + dataKey(t))},
			}},
		}},
		member{"examples", payloads},
	), nil
}

// examplePayload is an event with the data of an example.
func examplePayload(t event.Type, data json.RawMessage) (object, error) {
	value, err := parsed(data)
	if err != nil {
		return nil, err
	}
	payload := object{
		{"specversion", "1.0"}, {"id", "evt-1"}, {"type", t.Name}, {"source", "/shop"}, {"time", "2026-11-21T19:17:04.749Z"},
		{"datacontenttype", "application/json"}, {"dataschema", wire.SchemaOf(t.Name, t.Version)}, {"correlationid", "checkout-42"},
	}
	if t.Direction == event.Published {
		payload[1].value, payload[3].value = "81d7438c-c75e-5eb6-9fe6-6ba964606319", event.Source
		payload = append(payload, member{"subject", "shop-1001"}, member{"causationid", "evt-1"}, member{"sequence", "1"})
	}
	return append(payload, member{"data", value}), nil
}

// dataKey names the schema of the newest data of a type among the components.
func dataKey(t event.Type) string { return t.Name + "-" + strconv.Itoa(t.Version) }

// dataSchema is the schema of the newest data of a type, without its dialect: that is the document's.
func dataSchema(t event.Type) (*yaml.Node, error) {
	raw, ok := event.Schema(t.Name, t.Version)
	if !ok {
		return nil, fmt.Errorf("%s has no schema of version %d", t.Name, t.Version)
	}
	node, err := parsed(raw)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t.Name, err)
	}
	var kept []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value != "$schema" {
			kept = append(kept, node.Content[i], node.Content[i+1])
		}
	}
	node.Content = kept
	return node, nil
}

// parsed reads JSON and keeps the order of its members.
func parsed(raw []byte) (*yaml.Node, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(raw, &document); err != nil {
		return nil, err
	}
	block(document.Content[0])
	return document.Content[0], nil
}

// block lays a node out in lines, as YAML is, where it came in the braces of JSON.
func block(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		block(child)
	}
}

// member is a member of an object.
type member struct {
	name  string
	value any
}

// object is a mapping that keeps the order of its members.
type object []member

// ref points to another part of the document.
func ref(path string) object { return object{{"$ref", "#/" + path}} }

// refs points to each type below a path, by name.
func refs(path string, types []event.Type) object {
	var all object
	for _, t := range types {
		all = append(all, member{t.Name, ref(path + "/" + t.Name)})
	}
	return all
}

// refList points to each type below a path.
func refList(path string, types []event.Type) []any {
	var all []any
	for _, t := range types {
		all = append(all, ref(path+"/"+t.Name))
	}
	return all
}

// MarshalYAML makes a mapping node.
func (o object) MarshalYAML() (any, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, m := range o {
		var key, value yaml.Node
		if err := key.Encode(m.name); err != nil {
			return nil, err
		}
		if err := value.Encode(m.value); err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		node.Content = append(node.Content, &key, &value)
	}
	return node, nil
}

func (o object) yaml(head string) ([]byte, error) {
	b := bytes.NewBufferString(head)
	encoder := yaml.NewEncoder(b)
	encoder.SetIndent(2)
	if err := encoder.Encode(o); err != nil {
		return nil, err
	}
	return b.Bytes(), encoder.Close()
}
