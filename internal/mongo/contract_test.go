package mongo

import (
	"testing"

	"github.com/ordersaga/ordersaga/internal/eventlog/eventlogtest"
)

// The suite runs as fits the server, and again as on FerretDB 1: what is done there is right everywhere and only slower.
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
