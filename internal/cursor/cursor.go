// Package cursor makes and reads the cursors of lists that are sorted by time, the newest first, and then by id. A cursor names
// the last item of a page, so that pages stay stable whatever is written meanwhile.
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

// List is a list that gives out cursors. Its value is the first part of each of them: the cursor of one list means nothing to
// another, and another form of cursors needs another letter.
type List string

// The lists.
const (
	Orders      List = "a"
	DeadLetters List = "d"
	// Sagas are named by their streams, which are longer than IDs.
	Sagas List = "s"
)

// Position is a place in a list: after this item.
type Position struct {
	// Millis is the time that the list is sorted by, in milliseconds since 1970.
	Millis int64
	// ID is that of the item, escaped.
	ID string
}

// Compare orders positions as lists do.
func Compare(a, b Position) int {
	return cmp.Or(cmp.Compare(b.Millis, a.Millis), cmp.Compare(b.ID, a.ID))
}

// Format returns the cursor of a position.
func (l List) Format(p Position) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s.%s.%s", l, strconv.FormatInt(p.Millis, 36), p.ID))
}

// Parse reverses Format; ok is false for everything that Format does not make.
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

// Check returns what is wrong with the cursor and the limit of a page that is asked for; both may be empty. The pointers are the
// names of the parameters.
func (l List) Check(cursor string, limit int) (wrong []fault.Field) {
	if limit < 0 || limit > MaxLimit {
		wrong = append(wrong, fault.Fieldf("/limit", "must be from 1 to %d", MaxLimit))
	}
	if _, ok := l.Parse(cursor); !ok && cursor != "" {
		wrong = append(wrong, fault.Fieldf("/cursor", "unknown or expired cursor"))
	}
	return wrong
}

// Cut makes a page of items that were read with one more than the limit, if there is one. It returns the cursor of the next page,
// empty after the last one.
func Cut[T any](l List, items []T, limit int, position func(T) Position) (page []T, next string) {
	if len(items) <= limit {
		return items, ""
	}
	return items[:limit], l.Format(position(items[limit-1]))
}
