package api

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// writeExample writes a YAML value as JSON, indented. Short objects and arrays of one level stay on a line.
func writeExample(b *strings.Builder, n *yaml.Node, indent string) {
	switch n.Kind {
	case yaml.MappingNode:
		writeNested(b, n, indent, '{', '}', 2)
	case yaml.SequenceNode:
		writeNested(b, n, indent, '[', ']', 1)
	default:
		writeScalar(b, n)
	}
}

// writeNested writes the elements of a mapping (pairs of nodes) or a sequence.
func writeNested(b *strings.Builder, n *yaml.Node, indent string, begin, end byte, step int) {
	flat := n.Style&yaml.FlowStyle != 0
	inner := indent + "  "
	b.WriteByte(begin)
	for i := 0; i+step <= len(n.Content); i += step {
		switch {
		case i > 0 && flat:
			b.WriteString(", ")
		case i > 0:
			b.WriteString(",\n" + inner)
		case !flat:
			b.WriteString("\n" + inner)
		}
		if step == 2 {
			writeScalar(b, n.Content[i])
			b.WriteString(": ")
		}
		writeExample(b, n.Content[i+step-1], inner)
	}
	if !flat && len(n.Content) > 0 {
		b.WriteString("\n" + indent)
	}
	b.WriteByte(end)
}

func writeScalar(b *strings.Builder, n *yaml.Node) {
	if n.Tag != "!!str" {
		b.WriteString(n.Value)
		return
	}
	text, err := encodeJSON(n.Value)
	if err == nil {
		b.Write(text[:len(text)-1])
	}
}
