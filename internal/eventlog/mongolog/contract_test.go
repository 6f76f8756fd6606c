package mongolog

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/eventlog/eventlogtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// The suite runs with the look-ups that fit the server, and again with probes where ranges fit: probes are right
// everywhere and only slower.
func TestContract(t *testing.T) {
	lookups := map[string]Lookup{"auto": LookupAuto}
	auto, err := newLog(t).how(t.Context())
	require.NoError(t, err)
	if auto == LookupRange {
		lookups["probe"] = LookupProbe
	}
	for name, lookup := range lookups {
		t.Run(name, func(t *testing.T) {
			eventlogtest.Run(t, func(t *testing.T) eventlogtest.Opener {
				uri, database := testenv.MongoDB(t)
				db := connect(t, uri, database)
				open(t, db, LookupAuto)
				return func(t *testing.T) eventlogtest.Store {
					// Another handle needs no Setup.
					log, err := New(Config{Database: db, Lookup: lookup, Timeout: testenv.Patience})
					require.NoError(t, err)
					return log
				}
			})
		})
	}
}
