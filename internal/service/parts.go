package service

import (
	"context"
	"strings"
)

// part returns a page of one part of a list.
type part[T any] func(ctx context.Context, cursor string, limit int) (items []T, next string, err error)

// namedPart is a part of a list. Its cursors begin with its name; that of the first part is empty.
type namedPart[T any] struct {
	name string
	page part[T]
}

// pageOfParts returns a page of a list that consists of parts, one after the other, and the cursor of the next page.
func pageOfParts[T any](ctx context.Context, cursor string, limit int, parts []namedPart[T]) (items []T, next string, err error) {
	first := 0
	for i, p := range parts[1:] {
		if after, in := strings.CutPrefix(cursor, p.name); in {
			first, cursor = i+1, after
		}
	}
	for i, p := range parts[first:] {
		if len(items) == limit {
			// It leads on to one more page, which begins with this part.
			return items, p.name, nil
		}
		if i > 0 {
			cursor = ""
		}
		more, next, err := p.page(ctx, cursor, limit-len(items))
		if err != nil {
			return nil, "", err
		}
		if items = append(items, more...); next != "" {
			return items, p.name + next, nil
		}
	}
	return items, "", nil
}
