package deadlettertest

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Memory is a deadletter.Store in memory, for tests. Its zero value is ready.
type Memory struct {
	mu      sync.Mutex
	letters map[string]deadletter.Letter
	bodies  map[string][]byte
}

var _ deadletter.Store = (*Memory)(nil)

// Insert implements deadletter.Store.
func (m *Memory) Insert(_ context.Context, l deadletter.Letter) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.letters[l.ID]; there {
		return false, nil
	}
	if m.letters == nil {
		m.letters, m.bodies = make(map[string]deadletter.Letter), make(map[string][]byte)
	}
	l.Message.Body = bytes.Clone(l.Message.Body)
	m.letters[l.ID] = l
	return true, nil
}

// Get implements deadletter.Store.
func (m *Memory) Get(_ context.Context, id string) (deadletter.Letter, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.letters[id]
	return s, ok, nil
}

// List implements deadletter.Store.
func (m *Memory) List(_ context.Context, f deadletter.Filter) ([]deadletter.Letter, string, error) {
	if err := f.Validate(); err != nil {
		return nil, "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	after, paging := cursor.DeadLetters.Parse(f.Cursor)
	items := []deadletter.Letter{}
	for _, s := range m.letters {
		if matches(f, s) && (!paging || cursor.Compare(after, positionOf(s)) < 0) {
			s.Message.Body, s.Message.Headers = nil, nil
			items = append(items, s)
		}
	}
	slices.SortFunc(items, func(a, b deadletter.Letter) int {
		return cursor.Compare(positionOf(a), positionOf(b))
	})
	items, next := cursor.Cut(cursor.DeadLetters, items, cmp.Or(f.Limit, cursor.DefaultLimit), positionOf)
	return items, next, nil
}

// Mark implements deadletter.Store.
func (m *Memory) Mark(_ context.Context, id string, status deadletter.Status, version int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, there := m.letters[id]; there && s.Version < version {
		s.Status, s.Version = status, version
		m.letters[id] = s
	}
	return nil
}

// SaveBody implements deadletter.Store.
func (m *Memory) SaveBody(_ context.Context, id string, body []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bodies == nil {
		m.bodies = make(map[string][]byte)
	}
	m.bodies[id+"/"+deadletter.HashOf(body)] = bytes.Clone(body)
	return nil
}

// LoadBody implements deadletter.Store.
func (m *Memory) LoadBody(_ context.Context, id, hash string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, ok := m.bodies[id+"/"+hash]
	if !ok {
		return nil, fault.Missing("the replacement body of letter %s was not found", id)
	}
	return body, nil
}

// Delete implements deadletter.Store.
func (m *Memory) Delete(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.letters, id)
	maps.DeleteFunc(m.bodies, func(name string, _ []byte) bool { return strings.HasPrefix(name, id+"/") })
	return nil
}

// matches reports whether a filter selects a letter, regardless of the cursor.
func matches(f deadletter.Filter, l deadletter.Letter) bool {
	return (len(f.Reasons) == 0 || slices.Contains(f.Reasons, l.Reason)) &&
		(len(f.Types) == 0 || slices.Contains(f.Types, l.Type)) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, l.Status)) &&
		(f.From.IsZero() || !l.FailedAt.Before(f.From)) && (f.To.IsZero() || l.FailedAt.Before(f.To))
}

// positionOf returns the position of a letter in lists.
func positionOf(l deadletter.Letter) cursor.Position {
	return cursor.Position{Millis: l.FailedAt.UnixMilli(), ID: l.ID}
}
