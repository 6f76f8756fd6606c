package mongoserver

import (
	"database/sql"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

// TestLookupsByIDUseAnIndex: the plan of the query that the server makes for {_id: …}, on a collection that it made.
func TestLookupsByIDUseAnIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.sqlite")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		`CREATE TABLE "events_1" (_ferretdb_sjson TEXT NOT NULL CHECK(_ferretdb_sjson != '')) STRICT`,
		`CREATE UNIQUE INDEX "events_1__id_" ON "events_1" (_ferretdb_sjson->"_id")`,
		`CREATE TABLE "_ferretdb_collections" (name TEXT NOT NULL)`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	plan := func() string {
		var id, parent, unused int
		var detail string
		query := `EXPLAIN QUERY PLAN SELECT _ferretdb_sjson FROM "events_1" WHERE ` + idExpression + ` = ? LIMIT 1`
		if err := db.QueryRow(query, `"a"`).Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		return detail
	}
	if got := plan(); !strings.HasPrefix(got, "SCAN") {
		t.Fatalf("the server's own index serves now (%s): this one is not needed any more", got)
	}
	x := &indexer{dir: filepath.Dir(path), log: slog.New(slog.DiscardHandler)}
	defer x.closeAll()
	x.look(t.Context())
	// EXPLAIN does not look whether another connection has changed the schema; a query does.
	var tables int
	if err := db.QueryRow(`SELECT count(*) FROM sqlite_master`).Scan(&tables); err != nil {
		t.Fatal(err)
	}
	if got := plan(); !strings.Contains(got, "USING INDEX "+idIndexPrefix) {
		t.Fatalf("the plan is %s", got)
	}
	x.look(t.Context()) // once more changes nothing
}
