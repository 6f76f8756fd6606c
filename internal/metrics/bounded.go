package metrics

import (
	"regexp"
	"sync"
)

const (
	// maxValues bounds the values of a label for each flow.
	maxValues = 50
	// other is the value of those that are too many, or no names.
	other = "other"
)

// valuePattern is the form of statuses, steps and reasons.
var valuePattern = regexp.MustCompile(`^[a-z][a-z0-9_/-]{0,63}$`)

// bounded bounds the values of a label. The zero value is ready.
type bounded struct {
	mu    sync.Mutex
	known map[[2]string]bool
	count map[string]int
}

// value returns a value as the label of a flow has it.
func (b *bounded) value(flow, value string) string {
	if value == "" {
		return value
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key := [2]string{flow, value}
	switch {
	case b.known[key]:
		return value
	case b.count[flow] >= maxValues, !valuePattern.MatchString(value):
		return other
	case b.known == nil:
		b.known, b.count = make(map[[2]string]bool), make(map[string]int)
	}
	b.known[key] = true
	b.count[flow]++
	return value
}
