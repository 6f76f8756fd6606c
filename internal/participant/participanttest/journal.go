package participanttest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// journal is what a store must not forget: the last value of each key, in memory, and in a file if there is one. The file survives the end of
// the process, not that of the machine.
type journal[T any] struct {
	mu   sync.Mutex
	file *os.File
	last map[string]T
}

type journalLine[T any] struct {
	Key   string `json:"key"`
	Value T      `json:"value"`
}

// openJournal reads a file; an empty path is none.
func openJournal[T any](path string) (*journal[T], error) {
	j := &journal[T]{last: make(map[string]T)}
	if path == "" {
		return j, nil
	}
	var err error
	if j.file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(j.file); lines.Scan(); {
		var line journalLine[T]
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue // the process ended while it was written: nothing was answered
		}
		j.last[line.Key] = line.Value
	}
	return j, nil
}

// put stores a value. The caller holds mu.
func (j *journal[T]) put(key string, value T) error {
	if j.file != nil {
		text, err := json.Marshal(journalLine[T]{key, value})
		if err != nil {
			return err
		}
		// A line break before it: the line before may be incomplete.
		if _, err := fmt.Fprintf(j.file, "\n%s\n", text); err != nil {
			return err
		}
	}
	j.last[key] = value
	return nil
}
