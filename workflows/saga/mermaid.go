package saga

import (
	"fmt"
	"strings"
)

// Mermaid draws the flow from its table, as a flowchart of Mermaid (https://mermaid.js.org): the way forward, and the way back, on which
// compensations run newest first. A dashed box applies to some sagas only.
func (i Info) Mermaid() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "  "+format+"\n", args...) }
	b.WriteString("flowchart TD\n")
	line("accepted([accepted])")
	before, undone := "accepted", []string{}
	past := false
	for _, s := range i.Steps {
		id := "s_" + nodeID(s.Name)
		switch s.Kind {
		case Pivot:
			past = true
			line("%s{%s}", id, s.Name)
		case Await:
			line("%s[/\"%s: wait for %s\"/]", id, s.Name, quoteless(s.For))
		default:
			line("%s[%s]", id, s.Name)
		}
		if s.Conditional {
			line("style %s stroke-dasharray: 5 5", id)
		}
		line("%s --> %s", before, id)
		before = id
		switch {
		case s.Compensated:
			line("u_%s[undo %s]", nodeID(s.Name), s.Name)
			if why := s.turnsBack(); why != "" {
				line("%s -. %s .-> u_%s", id, why, nodeID(s.Name))
			}
			undone = append(undone, "u_"+nodeID(s.Name))
		case s.Kind == Await && !past && len(undone) > 0:
			line("%s -. too late .-> %s", id, undone[len(undone)-1])
		case s.Kind == Pivot && len(undone) > 0:
			line("%s -. turn back .-> %s", id, undone[len(undone)-1])
		}
	}
	line("%s --> completed([completed])", before)
	for n := len(undone) - 1; n > 0; n-- {
		line("%s --> %s", undone[n], undone[n-1])
	}
	if len(undone) > 0 {
		line("%s --> ended([rejected, cancelled or failed])", undone[0])
	}
	return b.String()
}

// turnsBack says why a compensable step has a saga turn back; "" when it does not.
func (s StepInfo) turnsBack() string {
	var whys []string
	if s.Refused != "" {
		whys = append(whys, "refused")
	}
	if s.Deadline != "" {
		whys = append(whys, "unavailable")
	}
	if s.WaitDeadline != "" {
		whys = append(whys, "too late")
	}
	return strings.Join(whys, " or ")
}

// nodeID is the name of a step as the ID of a node.
func nodeID(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}

func quoteless(text string) string { return strings.ReplaceAll(text, `"`, "'") }
