package mongoserver

import (
	"context"
	"database/sql"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver that the server uses too
)

// FerretDB 1 makes its index over _id on the expression _ferretdb_sjson->"_id" and looks up
// _ferretdb_sjson->'$._id'. SQLite compares expressions by their text, so every look-up by _id scans the table. An
// index on the expression that is looked up makes it a look-up.
const (
	idIndexPrefix = "devstack_id_"
	idExpression  = "_ferretdb_sjson->'$._id'"
	// indexInterval is how soon a new collection gets its index: before it is large.
	indexInterval = 100 * time.Millisecond
)

// indexer adds the missing index to every collection in a folder of databases.
type indexer struct {
	dir string
	log *slog.Logger
	// open are the databases, by path.
	open map[string]*database
}

type database struct {
	db   *sql.DB
	file os.FileInfo
	// schema is SQLite's counter of schema changes when the collections were looked at.
	schema int64
}

// run looks for new collections until the context ends.
func (x *indexer) run(ctx context.Context) {
	ticker := time.NewTicker(indexInterval)
	defer ticker.Stop()
	defer x.closeAll()
	for {
		x.look(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// look looks at every database once.
func (x *indexer) look(ctx context.Context) {
	paths, err := filepath.Glob(filepath.Join(x.dir, "*.sqlite"))
	if err != nil {
		return
	}
	seen := make(map[string]bool, len(paths))
	for _, path := range paths {
		seen[path] = true
		if err := x.index(ctx, path); err != nil && ctx.Err() == nil {
			x.log.LogAttrs(ctx, slog.LevelDebug, "index over _id", slog.String("database", path), slog.Any("error", err))
			x.close(path)
		}
	}
	for path := range x.open {
		if !seen[path] {
			x.close(path)
		}
	}
}

// index adds what is missing in one database.
func (x *indexer) index(ctx context.Context, path string) error {
	d, err := x.database(path)
	if err != nil {
		return err
	}
	var schema int64
	if err := d.db.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&schema); err != nil {
		return err
	}
	if schema == d.schema {
		return nil
	}
	tables, err := missing(ctx, d.db)
	if err != nil {
		return err
	}
	for _, table := range tables {
		statement := `CREATE INDEX IF NOT EXISTS "` + idIndexPrefix + table + `" ON "` + table + `" (` + idExpression + `)`
		if _, err := d.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if len(tables) == 0 {
		d.schema = schema
	}
	return nil
}

// missing lists the collections without the index.
func missing(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_master AS t WHERE type = 'table'
		AND instr(sql, '_ferretdb_sjson') > 0
		AND NOT EXISTS (SELECT 1 FROM sqlite_master AS i WHERE i.type = 'index' AND i.name = ? || t.name)`, idIndexPrefix)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		tables = append(tables, name)
	}
	return tables, rows.Err()
}

// database opens a database, anew when its file is another one than before.
func (x *indexer) database(path string) (*database, error) {
	file, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if d, ok := x.open[path]; ok {
		if os.SameFile(d.file, file) {
			return d, nil
		}
		x.close(path)
	}
	source := url.URL{Scheme: "file", Opaque: filepath.ToSlash(path), RawQuery: url.Values{
		"mode": {"rw"}, "_pragma": {"busy_timeout(5000)"},
	}.Encode()}
	db, err := sql.Open("sqlite", source.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	d := &database{db: db, file: file}
	if x.open == nil {
		x.open = make(map[string]*database)
	}
	x.open[path] = d
	return d, nil
}

func (x *indexer) close(path string) {
	if d, ok := x.open[path]; ok {
		_ = d.db.Close()
		delete(x.open, path)
	}
}

func (x *indexer) closeAll() {
	for path := range x.open {
		x.close(path)
	}
}
