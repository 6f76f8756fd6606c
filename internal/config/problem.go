package config

import "strings"

// Problem is one complaint about one variable.
type Problem struct {
	// Name is the variable.
	Name string
	// Value is what it is set to, masked when it is a secret; empty when it is not set.
	Value string
	// Expected says what would be right, as the rest of a sentence that begins with "expected".
	Expected string
}

// String returns the complaint in one line.
func (p Problem) String() string {
	if p.Value == "" {
		return p.Name + " is not set: expected " + p.Expected
	}
	return p.Name + "=" + p.Value + ": expected " + p.Expected
}

// Error is every problem of a configuration, in the order of the table.
type Error struct{ Problems []Problem }

// Error lists the problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	lines = append(lines, "the configuration is invalid:")
	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}
