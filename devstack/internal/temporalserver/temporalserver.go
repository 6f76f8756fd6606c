// Package temporalserver runs the Temporal server inside this process: all four
// of its services, on SQLite files, for one developer.
//
// Executions and visibility have a file each, because the server writes them
// from different places and SQLite admits one writer a file.
package temporalserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

// Config says where the server listens, always on loopback, and stores.
type Config struct {
	// Dir is the folder of the database files; it must exist.
	Dir string `json:"dir"`
	// Namespace is created when it is missing.
	Namespace string `json:"namespace"`
	// Frontend is the port of the gRPC API; the others are internal.
	Frontend int `json:"frontend"`
	History  int `json:"history"`
	Matching int `json:"matching"`
	Worker   int `json:"worker"`
	// Durable makes commits survive a power failure. Without it they survive
	// the death of the process only.
	Durable bool `json:"durable"`
}

const (
	host        = "127.0.0.1"
	clusterName = "active"
	executions  = "executions"
	visibility  = "visibility"
	// shards cannot change once a database is made.
	shards = 4
)

// Run serves until the context ends.
func Run(ctx context.Context, cfg Config) error {
	stores := map[string]config.DataStore{
		executions: {SQL: cfg.store("executions.db")},
		visibility: {SQL: cfg.store("visibility.db")},
	}
	if err := prepare(ctx, stores, cfg.Namespace); err != nil {
		return err
	}
	stores[visibility].SQL.PluginName = visibilityPlugin
	logger := log.NewZapLogger(log.BuildZapLogger(log.Config{Stdout: true, Level: "warn", Format: "console"}))
	server, err := temporal.NewServer(
		temporal.WithConfig(cfg.server(stores)),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(cfg.hosts()),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithDynamicConfigClient(dynamicConfig()),
	)
	if err != nil {
		return fmt.Errorf("make temporal server: %w", err)
	}
	if err := server.Start(); err != nil {
		return fmt.Errorf("start temporal server: %w", err)
	}
	<-ctx.Done()
	if err := server.Stop(); err != nil {
		return fmt.Errorf("stop temporal server: %w", err)
	}
	return nil
}

// dynamicConfig turns a server that expects a cluster into one that answers a
// developer at once.
func dynamicConfig() dynamicconfig.Client {
	return dynamicconfig.StaticClient{
		// A search attribute is usable as soon as it is registered.
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
		dynamicconfig.EnableEagerWorkflowStart.Key():                true,
		dynamicconfig.FrontendEnableUpdateWorkflowExecution.Key():   true,
		// One partition: no task waits in one while a worker polls another.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
		// There is no load balancer in front of this server.
		dynamicconfig.FrontendShutdownDrainDuration.Key():           time.Duration(0),
		dynamicconfig.FrontendShutdownFailHealthCheckDuration.Key(): time.Duration(0),
		dynamicconfig.MatchingShutdownDrainDuration.Key():           time.Duration(0),
		dynamicconfig.HistoryShutdownDrainDuration.Key():            time.Duration(0),
		// Limits that a burst on one machine would hit.
		dynamicconfig.FrontendRPS.Key():                                 100_000,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():          100_000,
		dynamicconfig.FrontendMaxNamespaceBurstRatioPerInstance.Key():   2.0,
		dynamicconfig.FrontendNamespaceReplicationInducingAPIsRPS.Key(): 1_000,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():                    1_000_000,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():                   1_000_000,
		dynamicconfig.MatchingPersistenceMaxQPS.Key():                   1_000_000,
	}
}

// store describes one database file. Names without a leading underscore or a
// known parameter become pragmas.
func (c Config) store(name string) *config.SQL {
	synchronous := "0" // off
	if c.Durable {
		synchronous = "1" // normal
	}
	return &config.SQL{
		PluginName:   sqliteplugin.PluginName,
		DatabaseName: filepath.Join(c.Dir, name),
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"cache":        "private",
			"journal_mode": "wal",
			"synchronous":  synchronous,
			"busy_timeout": "10000",
		},
		// One connection: transactions wait in line instead of failing.
		MaxConns:     1,
		MaxIdleConns: 1,
	}
}

func prepare(ctx context.Context, stores map[string]config.DataStore, namespace string) error {
	for name, store := range stores {
		_, err := os.Stat(store.SQL.DatabaseName)
		if err == nil {
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("open %s database: %w", name, err)
		}
		if err := makeDatabase(ctx, *store.SQL); err != nil {
			return fmt.Errorf("make %s database: %w", name, err)
		}
	}
	// Only the identifier is new each time; an existing namespace stays.
	description, err := sqlite.NewNamespaceConfig(clusterName, namespace, false, nil)
	if err != nil {
		return fmt.Errorf("describe namespace %s: %w", namespace, err)
	}
	if err := sqlite.CreateNamespaces(stores[executions].SQL, description); err != nil {
		return fmt.Errorf("create namespace %s: %w", namespace, err)
	}
	return nil
}

// makeDatabase sets the schema up under another name first: a file with the
// right name is complete, even when the process is killed half way.
func makeDatabase(ctx context.Context, store config.SQL) error {
	final := store.DatabaseName
	draft := final + ".draft"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	store.DatabaseName = draft
	// With a rollback journal all is in the one file after each commit; a
	// write-ahead log would keep the old name.
	store.ConnectAttributes = maps.Clone(store.ConnectAttributes)
	store.ConnectAttributes["journal_mode"] = "memory"
	if err := sqlite.SetupSchema(&store); err != nil {
		return err
	}
	if err := reduceVisibility(ctx, store); err != nil {
		return err
	}
	return os.Rename(draft, final)
}

func (c Config) hosts() map[primitives.ServiceName]static.Hosts {
	address := func(port int) static.Hosts {
		return static.SingleLocalHost(fmt.Sprintf("%s:%d", host, port))
	}
	return map[primitives.ServiceName]static.Hosts{
		primitives.FrontendService: address(c.Frontend),
		primitives.HistoryService:  address(c.History),
		primitives.MatchingService: address(c.Matching),
		primitives.WorkerService:   address(c.Worker),
	}
}

func (c Config) server(stores map[string]config.DataStore) *config.Config {
	frontend := fmt.Sprintf("%s:%d", host, c.Frontend)
	service := func(port int) config.Service {
		return config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: host}}
	}
	return &config.Config{
		Global: config.Global{
			Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: host},
		},
		Persistence: config.Persistence{
			DefaultStore:     executions,
			VisibilityStore:  visibility,
			NumHistoryShards: shards,
			DataStores:       stores,
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			string(primitives.FrontendService): service(c.Frontend),
			string(primitives.HistoryService):  service(c.History),
			string(primitives.MatchingService): service(c.Matching),
			string(primitives.WorkerService):   service(c.Worker),
		},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchival{State: config.ArchivalDisabled},
		},
		PublicClient: config.PublicClient{HostPort: frontend},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: config.ArchivalDisabled},
		}},
	}
}
