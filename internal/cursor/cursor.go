// Package cursor encodes and decodes the cursors of lists that are sorted by time, newest first, and then by ID. A cursor names the last item of
// a page, so that pages are stable whatever is written meanwhile.
//
// It may import event and internal/fault.
package cursor

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Limits of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// List is a list with cursors. Its value is the first part of its cursors: a cursor is valid only for its list, and a new cursor format needs
// another letter.
type List string

// The lists.
const (
	Orders      List = "a"
	DeadLetters List = "d"
	// Sagas have stream names as IDs, which are longer.
	Sagas List = "s"
)

// Position is the position after an item.
type Position struct {
	// Millis is the time of the item, in milliseconds since 1970.
	Millis int64
	// ID is the escaped ID of the item.
	ID string
}

// Compare orders positions, newest first.
func Compare(a, b Position) int {
	return cmp.Or(cmp.Compare(b.Millis, a.Millis), cmp.Compare(b.ID, a.ID))
}

// Format returns the cursor of a position.
func (l List) Format(p Position) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s.%s.%s", l, strconv.FormatInt(p.Millis, 36), p.ID))
}

// Parse reverses Format; ok is false for all other texts.
func (l List) Parse(cursor string) (p Position, ok bool) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return Position{}, false
	}
	parts := strings.SplitN(string(text), ".", 3)
	if len(parts) != 3 || parts[0] != string(l) || parts[2] == "" || !utf8.ValidString(parts[2]) {
		return Position{}, false
	}
	if _, escaped := event.Unescape(parts[2]); l != Sagas && !escaped {
		return Position{}, false
	}
	millis, err := strconv.ParseInt(parts[1], 36, 64)
	p = Position{millis, parts[2]}
	return p, err == nil && l.Format(p) == cursor
}

// Check returns the errors in cursor and limit of a request; both may be empty. The pointers are the names of the query parameters.
func (l List) Check(cursor string, limit int) (wrong []fault.Field) {
	if limit < 0 || limit > MaxLimit {
		wrong = append(wrong, fault.Fieldf("/limit", "must be from 1 to %d", MaxLimit))
	}
	if _, ok := l.Parse(cursor); !ok && cursor != "" {
		wrong = append(wrong, fault.Fieldf("/cursor", "unknown or expired cursor"))
	}
	return wrong
}

// Cut returns a page of items that were read with a limit of limit+1, and the cursor of the next page, empty after the last one.
func Cut[T any](l List, items []T, limit int, position func(T) Position) (page []T, next string) {
	if len(items) <= limit {
		return items, ""
	}
	return items[:limit], l.Format(position(items[limit-1]))
}
