package deadletter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// ErasureNote is the note of discards by Erase.
const ErasureNote = "personal data was erased"

// About returns the IDs of the letters whose message, or a replacement of its body, names a customer. Progress gets the number of letters that
// were read. Errors: Unavailable, also if a master key of sealed letters is missing.
func (s *Service) About(ctx context.Context, customerID string, progress func(read int)) (ids []string, err error) {
	for f, read := (Filter{Limit: cursor.MaxLimit}), 0; ; {
		items, next, err := s.cfg.Store.List(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			names, err := s.about(ctx, item.ID, customerID)
			if err != nil {
				return nil, err
			}
			if names {
				ids = append(ids, item.ID)
			}
			read++
			progress(read)
		}
		if f.Cursor = next; next == "" {
			return ids, nil
		}
	}
}

func (s *Service) about(ctx context.Context, id, customerID string) (bool, error) {
	l, state, err := s.letter(ctx, id)
	if errors.Is(err, fault.NotFound) { // deleted meanwhile, or erased
		return false, nil
	}
	if err != nil || l.Subject == customerID || names(l.Message.Body, customerID) {
		return err == nil, err
	}
	for _, r := range state.Replays {
		if r.ReplacementHash == "" {
			continue
		}
		body, err := s.cfg.Store.LoadBody(ctx, id, r.ReplacementHash)
		if err != nil || names(body, customerID) {
			return err == nil, err
		}
	}
	return false, nil
}

// names reports whether a body names a customer: as a string, or as the number of a field that has the ID of a customer. In what is not JSON,
// every occurrence counts.
func names(body []byte, customerID string) bool {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	for {
		var value any
		switch err := decoder.Decode(&value); {
		case errors.Is(err, io.EOF):
			return false
		case err != nil:
			return bytes.Contains(body, []byte(customerID))
		case hasID("", value, customerID):
			return true
		}
	}
}

func hasID(field string, value any, id string) bool {
	switch v := value.(type) {
	case string:
		return v == id
	case json.Number:
		return v.String() == id && slices.Contains(customerFields, field)
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return hasID(field, item, id) })
	case map[string]any:
		for name, item := range v {
			if hasID(name, item, id) {
				return true
			}
		}
	}
	return false
}

// customerFields are the fields of messages that have the ID of a customer.
var customerFields = func() []string {
	registered, _ := event.Find(event.UserRegistered)
	return append([]string{"aggregateId"}, registered.SubjectFields...)
}()

// Erase discards a letter for a person, unless it is decided, and deletes it with its bodies and its key. Its stream stays. A letter that does not
// exist is no error. Errors: Invalid, Unavailable; it may be repeated.
func (s *Service) Erase(ctx context.Context, id, by string) error {
	l, _, err := s.letter(ctx, id)
	if err == nil && slices.Contains(Undecided, l.Status) {
		_, err = s.Discard(ctx, id, Request{By: by, Note: ErasureNote})
		if errors.Is(err, fault.ResolutionRefused) { // another request was faster
			err = nil
		}
	}
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	return s.cfg.Store.Delete(ctx, id)
}
