package mongo

import (
	"testing"

	"github.com/ordersaga/ordersaga/internal/eventlog/eventlogtest"
)

// The suite runs in the mode of the server, and again in the mode for FerretDB 1, which is correct on every server and only slower.
func TestContract(t *testing.T) {
	servers := map[string]Server{"auto": connect(t).Server, "FerretDB 1": FerretDB1}
	if servers["auto"] == FerretDB1 {
		delete(servers, "auto")
	}
	for name, server := range servers {
		t.Run(name, func(t *testing.T) {
			eventlogtest.Run(t, func(t *testing.T) eventlogtest.Opener {
				db := connect(t)
				open(t, db)
				// Another handle needs no Setup.
				return func(*testing.T) eventlogtest.Store { return NewLog(as(db, server), EventsCollection) }
			})
		})
	}
}
