package catalogdoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/ordersaga/ordersaga/event"
)

const markdownHead = `# Events

<!-- Generated from event by make docs: do not edit. -->

Every event that ordersaga reads, publishes or keeps: what it means, who sends it, what its data looks like. How events travel
(formats, ordering, duplicates, queues, dead letters) is in [messaging.md](messaging.md), how they are kept in
[event-log.md](event-log.md). The same for tools: [asyncapi.yaml](../api/asyncapi.yaml), which a running service serves at
` + "`/asyncapi.yaml`" + `, and a JSON Schema (draft 2020-12) of the data of every version at ` + "`/schemas/{type}/{version}`" + `, which is what
` + "`dataschema`" + ` names.

An *id* has 1 to 64 characters of ` + "`A-Z a-z 0-9 . _ -`" + ` and begins with a letter or digit; a *text* is printable, on one line. Amounts are
integers in minor units of the currency: 1999 is 19.99 EUR. Times are RFC 3339 in UTC. A field that is not *always* there is left out
when there is nothing to say.

An immediate order that goes well is told by ` + "`order.accepted`, `inventory.reserved`, `payment.authorized`, `order.settling`,\n`payment.captured`, `inventory.committed` and `order.completed`" + `. One that does not go well turns back with ` + "`order.compensating`" + ` and ends as
` + "`order.rejected`, `order.cancelled` or `order.failed`" + `; [architecture.md](architecture.md) has every path.
`

// part is a direction and what is to be said about it.
type part struct {
	direction      event.Direction
	title, explain string
	// who heads the column of the producers.
	who string
	// always heads the column of required fields.
	always string
}

var parts = []part{
	{
		event.Inbound, "Inbound", "Publish them to the topic exchange `domain_events` with the type, or its alias, as routing key. The alias works as\n" +
			"type, too. Fields that are not listed are refused in the data of `order.created` and passed over in all others\n" +
			"([ADR 9](adr/0009-unknown-fields-are-refused.md)); `null` is the same as not there.",
		"sent by", "required",
	},
	{
		event.Published, "Published", "What happened. Each is appended to a stream of the event log first and published to `domain_events` after that, with the\n" +
			"type as routing key. The data is exactly as described: nothing is left out of the tables.",
		"written by", "always",
	},
	{
		event.Ledger, "Kept in the log", "What is not published: ledgers, what came after an order had ended, what does not hold. Some types of the section above\n" +
			"stand in such streams as well and are not published from there. The data is exactly as described.",
		"written by", "always",
	},
}

// Markdown returns docs/events.md.
func Markdown() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(markdownHead)
	for _, p := range parts {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", p.title, p.explain)
		writeOverview(&b, p)
		for _, t := range event.Types(p.direction) {
			if err := writeType(&b, p, t); err != nil {
				return nil, err
			}
		}
	}
	return b.Bytes(), nil
}

// writeOverview writes the table of a direction's types.
func writeOverview(b *bytes.Buffer, p part) {
	aliases := p.direction == event.Inbound
	if aliases {
		fmt.Fprintf(b, "| type | alias | version | %s | means |\n|---|---|---|---|---|\n", p.who)
	} else {
		fmt.Fprintf(b, "| type | version | %s | means |\n|---|---|---|---|\n", p.who)
	}
	for _, t := range event.Types(p.direction) {
		fmt.Fprintf(b, "| [`%s`](#%s) |", t.Name, anchor(t.Name))
		if aliases {
			fmt.Fprintf(b, " `%s` |", strings.Join(t.Aliases, "`, `"))
		}
		fmt.Fprintf(b, " %d | %s | %s |\n", t.Version, t.Producer, cell(t.Meaning))
	}
}

// anchor is what GitHub makes of a heading that is a type's name.
func anchor(name string) string { return strings.ReplaceAll(name, ".", "") }

// writeType writes a type's section: its fields and an example.
func writeType(b *bytes.Buffer, p part, t event.Type) error {
	s, err := described(t)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "\n### %s\n\n%s", t.Name, t.Meaning)
	if s.Description != t.Meaning {
		fmt.Fprintf(b, " Data: %s", lowerFirst(s.Description))
	}
	b.WriteString("\n\n")
	fields, err := s.fields("")
	if err != nil {
		return fmt.Errorf("schema of %s: %w", t.Name, err)
	}
	fmt.Fprintf(b, "| field | type | %s | |\n|---|---|---|---|\n", p.always)
	for _, f := range fields {
		needed := ""
		if f.required {
			needed = "yes"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.path, cell(f.kind), needed, cell(f.means))
	}
	shown, err := examples(t)
	if err != nil {
		return err
	}
	b.WriteString("\n```json\n")
	for _, example := range shown {
		if err := writeExample(b, example); err != nil {
			return fmt.Errorf("example of %s: %w", t.Name, err)
		}
	}
	b.WriteString("```\n")
	return nil
}

// lowerFirst begins a sentence's rest; names in code stay as they are.
func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// cell makes a text fit for a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// exampleWidth is how wide an example may be before it is broken.
const exampleWidth = 120

// writeExample writes an object: on one line where it fits, else a line for each member.
func writeExample(b *bytes.Buffer, example json.RawMessage) error {
	line, err := spaced(example)
	if err != nil {
		return err
	}
	if len(line) <= exampleWidth {
		fmt.Fprintln(b, line)
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(example))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	b.WriteString("{\n")
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		line, err := spaced(value)
		if err != nil {
			return err
		}
		comma := ""
		if decoder.More() {
			comma = ","
		}
		fmt.Fprintf(b, "  %s: %s%s\n", strconv.Quote(fmt.Sprint(name)), line, comma)
	}
	b.WriteString("}\n")
	return nil
}

// spaced writes JSON on one line, with a space behind commas and colons.
func spaced(raw json.RawMessage) (string, error) {
	var indented bytes.Buffer
	if err := json.Indent(&indented, raw, "", "\t"); err != nil {
		return "", err
	}
	lines := strings.Split(indented.String(), "\n")
	var b strings.Builder
	for i, line := range lines {
		line = strings.TrimLeft(line, "\t")
		if i > 0 && strings.HasSuffix(lines[i-1], ",") {
			b.WriteByte(' ')
		}
		b.WriteString(line)
	}
	return b.String(), nil
}
