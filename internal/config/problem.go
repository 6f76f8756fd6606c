package config

import "strings"

// Problem is an invalid variable.
type Problem struct {
	// Name is the variable.
	Name string
	// Value is its value, masked if it is a secret; empty if it is not set.
	Value string
	// Expected is what is expected, to follow the word "expected".
	Expected string
}

// String returns the problem in one line.
func (p Problem) String() string {
	if p.Value == "" {
		return p.Name + " is not set: expected " + p.Expected
	}
	return p.Name + "=" + p.Value + ": expected " + p.Expected
}

// Error has all problems of a configuration, in the order of the table.
type Error struct{ Problems []Problem }

// Error returns the problems, one per line.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	lines = append(lines, "the configuration is invalid:")
	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}
