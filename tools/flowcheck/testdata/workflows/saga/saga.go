// Package saga has as much of the kit as the test needs.
package saga

// Flow is the type that flowcheck looks for.
type Flow[S any] struct {
	Own  func(*S)
	When func(*S) bool
}
