package temporalserver

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/iancoleman/strcase"
	"github.com/jmoiron/sqlx"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	persistence "go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/resolver"
)

// Temporal writes a row of visibility when a workflow starts, when its search attributes change, and when it closes. With the schema of its SQLite
// plugin, each write maintains 58 indexes and two full-text tables and prepares its statement anew: half of what the server spends on a
// workflow. Here only the indexes exist that ordersaga and the Web UI query, the full-text tables change only with their columns, and statements
// are prepared once. Every query has the same result; some scan the table.

// neededIndexes are kept. Custom search attributes take the columns of their type in the order of their registration: ordersaga has three
// keywords and a bool, and one more keyword is left for a flow of a team.
var neededIndexes = []string{
	"default_idx", "by_workflow_id", "by_workflow_type", "by_status", "by_bool_01", "by_keyword_01", "by_keyword_02", "by_keyword_03", "by_keyword_04",
}

// sparseIndexes are kept for the rows that have a value: Schedules, and the workflows that they start.
var sparseIndexes = map[string]string{
	"by_temporal_namespace_division": "TemporalNamespaceDivision",
	"by_temporal_scheduled_by_id":    "TemporalScheduledById",
}

// reduceVisibility changes the schema of a new database.
func reduceVisibility(ctx context.Context, store config.SQL) error {
	db, err := openSQLite(store)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var indexes []struct{ Name, SQL string }
	if err := db.SelectContext(ctx, &indexes,
		"SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'executions_visibility' AND sql IS NOT NULL"); err != nil {
		return fmt.Errorf("read indexes: %w", err)
	}
	var changes []string
	for _, i := range indexes {
		if slices.Contains(neededIndexes, i.Name) {
			continue
		}
		changes = append(changes, "DROP INDEX "+i.Name)
		if column, sparse := sparseIndexes[i.Name]; sparse {
			changes = append(changes, i.SQL+" WHERE "+column+" IS NOT NULL")
		}
	}
	for _, trigger := range []string{"ai", "ad", "au"} {
		changes = append(changes, "DROP TRIGGER executions_visibility_"+trigger)
	}
	for _, table := range []string{"executions_visibility_fts_text", "executions_visibility_fts_keyword_list"} {
		var columns []string
		if err := db.SelectContext(ctx, &columns, "SELECT name FROM pragma_table_info(?)", table); err != nil {
			return fmt.Errorf("read columns of %s: %w", table, err)
		}
		changes = append(changes, textTriggers(table, columns)...)
	}
	for _, change := range changes {
		if _, err := db.ExecContext(ctx, change); err != nil {
			return fmt.Errorf("%s: %w", change, err)
		}
	}
	return nil
}

// textTriggers keep a full-text table equal to its columns, as the triggers of Temporal's schema do, but write nothing for a row without
// texts, and nothing when an update changes none of them.
func textTriggers(table string, columns []string) []string {
	each := func(join, format string) string {
		parts := make([]string, len(columns))
		for i, c := range columns {
			parts[i] = strings.ReplaceAll(format, "@", c)
		}
		return strings.Join(parts, join)
	}
	add := fmt.Sprintf("INSERT INTO %s (rowid, %s) SELECT NEW.rowid, %s WHERE %s;",
		table, each(", ", "@"), each(", ", "NEW.@"), each(" OR ", "NEW.@ IS NOT NULL"))
	remove := fmt.Sprintf("INSERT INTO %s (%s, rowid, %s) SELECT 'delete', OLD.rowid, %s WHERE %s;",
		table, table, each(", ", "@"), each(", ", "OLD.@"), each(" OR ", "OLD.@ IS NOT NULL"))
	return []string{
		fmt.Sprintf("CREATE TRIGGER %s_ai AFTER INSERT ON executions_visibility BEGIN %s END", table, add),
		fmt.Sprintf("CREATE TRIGGER %s_ad AFTER DELETE ON executions_visibility BEGIN %s END", table, remove),
		fmt.Sprintf("CREATE TRIGGER %s_au AFTER UPDATE ON executions_visibility WHEN %s BEGIN %s %s END",
			table, each(" OR ", "OLD.@ IS NOT NEW.@"), remove, add),
	}
}

// visibilityPlugin is the name of a plugin like Temporal's for SQLite, with prepared writes of visibility.
const visibilityPlugin = "devstack-visibility"

func init() { persistence.RegisterPlugin(visibilityPlugin, &preparingPlugin{}) }

type preparingPlugin struct {
	mu     sync.Mutex
	writes map[string]*visibilityWrites // by database
}

func (p *preparingPlugin) GetVisibilityQueryConverter() sqlplugin.VisibilityQueryConverter {
	converter, err := persistence.GetPluginVisibilityQueryConverter(sqliteplugin.PluginName)
	if err != nil {
		panic(err) // the plugin is imported
	}
	return converter
}

func (p *preparingPlugin) CreateDB(
	kind sqlplugin.DbKind, cfg *config.SQL, r resolver.ServiceResolver, l log.Logger, mh metrics.Handler,
) (sqlplugin.GenericDB, error) {
	store := *cfg
	store.PluginName = sqliteplugin.PluginName
	db, err := persistence.NewSQLDB(kind, &store, r, l, mh)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	writes, found := p.writes[store.DatabaseName]
	if !found {
		if writes, err = prepareWrites(store); err != nil {
			return nil, fmt.Errorf("prepare writes of visibility: %w", err)
		}
		if p.writes == nil {
			p.writes = make(map[string]*visibilityWrites)
		}
		p.writes[store.DatabaseName] = writes
	}
	return preparingDB{database: db.(database), writes: writes}, nil
}

// preparingDB is the plugin's database, but for the writes of rows. All databases of a file share their statements, which live as long as the process, as
// the plugin's connections do.
type preparingDB struct {
	database
	writes *visibilityWrites
}

// database is what the server uses a database of the plugin as; it asserts the type.
type database interface {
	sqlplugin.DB
	sqlplugin.AdminDB
}

// InsertIntoVisibility adds a row, if there is none.
func (d preparingDB) InsertIntoVisibility(ctx context.Context, row *sqlplugin.VisibilityRow) (sql.Result, error) {
	return d.writes.insert.ExecContext(ctx, stored(row))
}

// ReplaceIntoVisibility adds a row or replaces an older version of it.
func (d preparingDB) ReplaceIntoVisibility(ctx context.Context, row *sqlplugin.VisibilityRow) (sql.Result, error) {
	return d.writes.replace.ExecContext(ctx, stored(row))
}

type visibilityWrites struct{ insert, replace *sqlx.NamedStmt }

func prepareWrites(store config.SQL) (*visibilityWrites, error) {
	db, err := openSQLite(store)
	if err != nil {
		return nil, err
	}
	fields := sqlplugin.DbFields
	updates := make([]string, len(fields))
	for i, f := range fields {
		updates[i] = f + " = excluded." + f
	}
	add := fmt.Sprintf("INSERT INTO executions_visibility (%s) VALUES (%s) ON CONFLICT (namespace_id, run_id) DO ",
		strings.Join(fields, ", "), sqlplugin.BuildNamedPlaceholder(fields...))
	version := sqlplugin.VersionColumnName
	insert, err := db.PrepareNamed(add + "NOTHING")
	if err != nil {
		return nil, err
	}
	replace, err := db.PrepareNamed(add + fmt.Sprintf("UPDATE SET %s WHERE executions_visibility.%s < excluded.%s", strings.Join(updates, ", "), version, version))
	if err != nil {
		return nil, err
	}
	return &visibilityWrites{insert, replace}, nil
}

// openSQLite opens a connection of its own to a file, with the pragmas of the store.
func openSQLite(store config.SQL) (*sqlx.DB, error) {
	source := "file:" + store.DatabaseName + "?_time_format=sqlite"
	for name, value := range store.ConnectAttributes {
		if name == "mode" || name == "cache" {
			source += "&" + name + "=" + value
		} else {
			source += "&_pragma=" + name + "=" + value
		}
	}
	db, err := sqlx.Connect("sqlite", source)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	db.MapperFunc(strcase.ToSnake)
	return db, nil
}

// noTime is what the plugin stores for the zero time.
var noTime = time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC)

// stored is a row in the plugin's form: times of microseconds in UTC, lists of keywords as one text.
func stored(row *sqlplugin.VisibilityRow) *sqlplugin.VisibilityRow {
	at := func(t time.Time) time.Time {
		if t.IsZero() {
			return noTime
		}
		return t.UTC().Truncate(time.Microsecond)
	}
	r := *row
	r.StartTime, r.ExecutionTime = at(r.StartTime), at(r.ExecutionTime)
	if r.CloseTime != nil {
		closed := at(*r.CloseTime)
		r.CloseTime = &closed
	}
	if r.SearchAttributes != nil {
		attributes := make(sqlplugin.VisibilitySearchAttributes, len(*r.SearchAttributes))
		for name, value := range *r.SearchAttributes {
			switch v := value.(type) {
			case []string:
				attributes[name] = strings.Join(v, "♡")
			case time.Time:
				attributes[name] = v.Format(time.RFC3339Nano)
			default:
				attributes[name] = v
			}
		}
		r.SearchAttributes = &attributes
	}
	return &r
}
