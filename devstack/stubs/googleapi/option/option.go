// Package option declares the option of a client that the Temporal server uses.
package option

import "golang.org/x/oauth2"

// ClientOption is an option of a client.
type ClientOption any

// WithTokenSource has no effect.
func WithTokenSource(oauth2.TokenSource) ClientOption { return nil }
