package oidc

import (
	"encoding/json"
	"testing"

	"github.com/ordersaga/ordersaga/internal/auth"
)

// FuzzScopes: a claim of any form gives known scopes alone, each once.
func FuzzScopes(f *testing.F) {
	for _, seed := range []string{`"orders:read orders:write"`, `["orders:read","orders:read",1,null,{"a":"operate"}]`, `{"operate":true}`, `"operate\u0000"`, `null`, `"OPERATE"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var claim any
		if json.Unmarshal(raw, &claim) != nil {
			return
		}
		seen := make(map[auth.Scope]bool)
		for _, scope := range scopesOf(claim) {
			if len(auth.KnownScopes([]string{string(scope)})) != 1 || seen[scope] {
				t.Fatalf("%s gives %q", raw, scope)
			}
			seen[scope] = true
		}
	})
}
