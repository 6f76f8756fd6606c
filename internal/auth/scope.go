package auth

import (
	"fmt"
	"slices"
	"strings"
)

// Scope is a permission of a caller.
type Scope string

// The scopes. A route needs one of them, or is Public.
const (
	// OrdersRead reads orders, sagas and their events.
	OrdersRead Scope = "orders:read"
	// OrdersWrite places and cancels orders.
	OrdersWrite Scope = "orders:write"
	// RefundsWrite refunds, returns and changes orders.
	RefundsWrite Scope = "refunds:write"
	// SagasWrite starts and cancels sagas of flows other than orders.
	SagasWrite Scope = "sagas:write"
	// StockRead reads stock.
	StockRead Scope = "stock:read"
	// StockWrite changes stock.
	StockWrite Scope = "stock:write"
	// Operate lists what needs attention, intervenes, and handles dead letters.
	Operate Scope = "operate"
	// Audit reads the proofs of the event log.
	Audit Scope = "audit"

	// Public is the scope of routes that are open to everyone. No caller has it.
	Public Scope = "public"
)

// Scopes are all scopes that a caller may have.
var Scopes = []Scope{OrdersRead, OrdersWrite, RefundsWrite, SagasWrite, StockRead, StockWrite, Operate, Audit}

// ParseScopes reads a list of scopes, separated by commas or spaces. The error names the scopes that exist.
func ParseScopes(list string) ([]Scope, error) {
	var scopes []Scope
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		scope := Scope(word)
		if !slices.Contains(Scopes, scope) {
			return nil, fmt.Errorf("unknown scope %q: the scopes are %s", word, joined(Scopes))
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 {
		return nil, fmt.Errorf("no scopes are given: the scopes are %s", joined(Scopes))
	}
	return scopes, nil
}

// KnownScopes returns the words that are scopes, each once.
func KnownScopes(words []string) []Scope {
	var scopes []Scope
	for _, s := range Scopes {
		if slices.Contains(words, string(s)) {
			scopes = append(scopes, s)
		}
	}
	return scopes
}

func joined(scopes []Scope) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}
