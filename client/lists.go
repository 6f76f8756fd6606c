package client

import (
	"context"
	"iter"
	"maps"
	"net/url"
)

// list reads a list page by page.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		query := maps.Clone(query)
		for {
			page, err := get[struct {
				Items      []T    `json:"items"`
				NextCursor string `json:"nextCursor"`
			}](ctx, c, path, query)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			if query == nil {
				query = make(url.Values)
			}
			query.Set("cursor", page.NextCursor)
		}
	}
}

// Collect reads an iterator to its end: client.Collect(c.Orders(ctx, filter)).
func Collect[T any](items iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for item, err := range items {
		if err != nil {
			return all, err
		}
		all = append(all, item)
	}
	return all, nil
}
