package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/build"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/ordersaga/ordersaga"

// drivers are what the flows must never depend on.
var drivers = []string{
	"go.mongodb.org/mongo-driver",
	"github.com/rabbitmq/amqp091-go",
	"github.com/labstack/echo",
	"github.com/stripe",
	"github.com/wneessen/go-mail",
}

// rules are the import rules of the repository.
var rules = []rule{
	// The flows decide, adapters do, internal/service wires: a workflow or an activity that reaches a driver cannot be tested
	// without one, and sooner or later does I/O where only decisions belong.
	unreachable{from: []string{"workflows", "activities"}, forbidden: drivers},
	mayImport{
		from: "workflows/saga", exactly: true, local: []string{"event", "internal/fault", "internal/text", "internal/jsondoc"}, outside: []string{"go.temporal.io"},
	},
	mayImport{
		from: "workflows/saga/sagatest",
		local: []string{
			"workflows/saga", "activities", "event", "event/eventtest", "internal/eventlog/memlog", "internal/fault",
		},
		outside: []string{"go.temporal.io", "google.golang.org/protobuf", "pgregory.net/rapid"},
	},
	// The registry knows every flow; a flow knows its own folder, the kit and the generic activities.
	mayImport{
		from: "workflows", exactly: true,
		local: []string{
			"workflows/saga", "workflows/order", "workflows/latepayment", "workflows/onboarding", "workflows/notification", "workflows/shortage",
			"workflows/refund", "workflows/returns", "workflows/dispute", "activities", "internal/trace",
		},
		outside: []string{"go.temporal.io"},
	},
	mayImport{
		from: "workflows/order", local: []string{"workflows/saga", "event", "payment", "internal/fault", "internal/stock", "internal/text", "internal/refunds"},
		outside: []string{"go.temporal.io", "golang.org/x/sync", "golang.org/x/text/currency"},
	},
	mayImport{
		from: "workflows/latepayment",
		local: []string{
			"workflows/saga", "activities", "event", "payment", "internal/fault", "internal/refunds", "internal/groupcommit",
		},
		outside: []string{"go.temporal.io", "golang.org/x/sync"},
	},
	mayImport{
		from:    "workflows/refund",
		local:   []string{"workflows/saga", "workflows/order", "event", "payment", "internal/fault", "internal/refunds", "internal/text"},
		outside: []string{},
	},
	mayImport{
		from:    "workflows/dispute",
		local:   []string{"workflows/saga", "workflows/order", "event", "payment", "internal/fault", "internal/refunds", "internal/text"},
		outside: []string{},
	},
	mayImport{
		from:    "workflows/returns",
		local:   []string{"workflows/saga", "workflows/order", "workflows/refund", "event", "internal/fault", "internal/refunds", "internal/text"},
		outside: []string{},
	},
	mayImport{
		from: "workflows/onboarding", local: []string{"workflows/saga", "event", "internal/fault", "internal/sealed"}, outside: []string{},
	},
	mayImport{
		from: "workflows/notification",
		local: []string{
			"workflows/saga", "workflows/onboarding", "event", "internal/fault", "internal/notify", "internal/sealed",
		},
		outside: []string{"go.temporal.io"},
	},
	mayImport{
		from: "workflows/shortage", local: []string{"workflows/saga", "workflows/order", "activities", "event", "internal/fault", "internal/stock"},
		outside: []string{"go.temporal.io"},
	},
	mayImport{
		from: "activities", local: []string{"workflows/saga", "event", "internal/fault", "internal/trace"},
		outside: []string{"go.temporal.io"},
	},

	// From the bus to the flows, and the flows on Temporal: two sides that know nothing of each other.
	unreachable{from: []string{"inbound"}, forbidden: append([]string{"go.temporal.io/sdk/worker", module + "/workers"}, drivers...)},
	unreachable{from: []string{"workers"}, forbidden: []string{module + "/inbound"}},

	// The check looks through small interfaces, so that what it finds does not depend on what it looks through.
	unreachable{from: []string{"internal/reconcile"}, forbidden: drivers},
	mayImport{
		from: "internal/reconcile", exactly: true,
		local: []string{
			"workflows/saga", "workflows/order", "workflows/latepayment", "workflows/refund", "workflows/returns", "internal/deadletter", "event", "internal/eventlog",
			"internal/fault", "payment", "internal/refunds", "internal/readmodel",
		},
		outside: []string{"golang.org/x/sync"},
	},

	// The leaves: every package may import them, they import almost nothing.
	mayImport{from: "internal/fault", outside: []string{}},
	mayImport{from: "internal/stock", exactly: true, local: []string{}, outside: []string{}},
	unreachable{from: []string{"internal/inventory"}, forbidden: []string{module + "/workflows"}},
	mayImport{from: "internal/trace", exactly: true, outside: []string{"go.opentelemetry.io/otel"}},
	mayImport{from: "internal/tracing", local: []string{"internal/trace"}, outside: []string{"go.opentelemetry.io/otel", "go.temporal.io/sdk"}},
	mayImport{from: "internal/null", exactly: true, outside: []string{}},
	mayImport{from: "event", exactly: true, local: []string{"internal/fault"}, outside: []string{"github.com/google/uuid"}},
	mayImport{from: "internal/text", exactly: true, local: []string{"internal/fault"}, outside: []string{}},
	mayImport{
		from: "internal/jsondoc", exactly: true, local: []string{"event", "internal/fault"}, outside: []string{"github.com/go-json-experiment/json"},
	},
	mayImport{
		from: "internal/refunds", exactly: true, local: []string{"event", "internal/fault"}, outside: []string{},
	},
	mayImport{from: "internal/cursor", exactly: true, local: []string{"event", "internal/fault"}, outside: []string{}},
	mayImport{
		from: "internal/deadletter", exactly: true,
		local: []string{"event", "internal/wire", "internal/cursor", "internal/null", "internal/text", "internal/fault"}, outside: []string{},
	},
	// Personal data: the package that encrypts it imports neither the log nor the bus; the package that sends it imports no store.
	mayImport{
		from: "internal/sealed", exactly: true, local: []string{"internal/fault", "internal/keyset"}, outside: []string{"github.com/google/uuid"},
	},
	mayImport{
		from: "internal/notify", exactly: true, local: []string{"internal/fault"},
		outside: []string{"golang.org/x/net/idna", "golang.org/x/text/unicode/norm"},
	},
	mayImport{
		from: "internal/notify/orders", exactly: true, local: []string{"event", "internal/eventlog", "internal/notify", "workflows/order"},
		outside: []string{},
	},
	// Callers: what they may do knows neither HTTP nor stores.
	mayImport{from: "internal/auth", exactly: true, local: []string{"event", "internal/fault"}, outside: []string{}},
	mayImport{
		from: "internal/oidc", exactly: true, local: []string{"event", "internal/auth", "internal/fault"}, outside: []string{"github.com/coreos/go-oidc"},
	},
	// The console asks the REST API of its process, and nothing else.
	mayImport{
		from: "internal/console", exactly: true, local: []string{"internal/auth", "internal/keyset", "internal/fault", "workflows/saga"},
		outside: []string{"golang.org/x/text/currency"},
	},
	mayImport{from: "payment", exactly: true, local: []string{"event", "internal/fault"}, outside: []string{}},
	mayImport{
		from: "internal/wire", local: []string{"event", "internal/fault", "internal/jsondoc"},
		outside: []string{"github.com/google/uuid", "github.com/go-json-experiment/json"},
	},
	unreachable{from: []string{"internal/readmodel"}, forbidden: drivers},
	mayImport{
		from: "internal/readmodel", exactly: true,
		local:   []string{"event", "internal/eventlog", "workflows/saga", "workflows/order", "internal/cursor", "internal/fault"},
		outside: []string{"golang.org/x/sync"},
	},
	mayImport{
		from: "internal/eventlog", exactly: true, local: []string{"event", "internal/fault"},
		outside: []string{"github.com/go-json-experiment/json", "golang.org/x/sync"},
	},
	// An auditor's verifier depends on the format alone.
	mayImport{
		from: "internal/audit", exactly: true, local: []string{"event", "internal/eventlog", "internal/fault"},
		outside: []string{"github.com/go-json-experiment/json", "golang.org/x/mod/sumdb", "golang.org/x/sync"},
	},
	mayImport{
		from: "internal/checkpoint", exactly: true, local: []string{"event", "internal/audit", "internal/eventlog", "internal/fault"},
		outside: []string{"golang.org/x/mod/sumdb/tlog", "golang.org/x/sync"},
	},

	// One place for each driver.
	onlyIn{imported: "go.mongodb.org/mongo-driver", places: []string{"internal/mongo", "test", "bench"}},
	mayImport{
		from: "internal/mongo", exactly: true,
		local: []string{
			"event", "internal/eventlog", "internal/readmodel", "internal/deadletter", "internal/sealed", "internal/auth", "workflows/order", "workflows/saga", "internal/wire",
			"internal/audit", "internal/checkpoint",
			"internal/cursor", "internal/null", "internal/groupcommit", "internal/fault", "internal/trace",
		},
		outside: []string{
			"go.mongodb.org/mongo-driver", "github.com/go-json-experiment/json", "github.com/hashicorp/golang-lru", "golang.org/x/sync",
			"github.com/prometheus/client_golang",
		},
	},
	// The client is for other modules: they compile nothing else with it.
	mayImport{from: "client", exactly: true, local: []string{}, outside: []string{}},
	// What it replays, its callers say.
	mayImport{from: "internal/replay", exactly: true, local: []string{}, outside: []string{"go.temporal.io", "golang.org/x/sync"}},
	mayImport{
		from: "internal/metrics",
		local: []string{
			"activities", "workflows/saga", "internal/readmodel", "internal/reconcile", "internal/deadletter", "internal/fault",
		},
		outside: []string{"github.com/prometheus/client_golang", "go.opentelemetry.io/otel", "go.temporal.io/sdk"},
	},
	onlyIn{imported: "github.com/rabbitmq/amqp091-go", places: []string{"internal/rabbitmq", "test", "bench", "examples/go"}},
	onlyIn{imported: "github.com/wneessen/go-mail", places: []string{"internal/notify/smtpmail"}},
	// The examples are other teams' services: they know names on the bus and nothing of this module.
	mayImport{from: "examples/go", outside: []string{"github.com/rabbitmq/amqp091-go", "github.com/google/uuid"}},
	mayImport{from: "examples/participant", outside: []string{}},
	// The check of a team's service knows the contract, not the client that is written for it.
	mayImport{
		from: "internal/participantcheck", exactly: true, local: []string{"api"},
		outside: []string{"github.com/google/uuid", "github.com/santhosh-tekuri/jsonschema", "go.yaml.in/yaml", "golang.org/x/text"},
	},
	onlyIn{imported: "github.com/labstack/echo", places: []string{"api"}},
	onlyIn{imported: "github.com/coreos/go-oidc", places: []string{"internal/oidc"}},
	onlyIn{imported: "github.com/stripe", places: []string{"payment/stripe"}},
	onlyIn{imported: module + "/cmd", places: []string{"cmd"}},
	// The command line prints; what it works on, internal/service opens.
	mayImport{from: "cmd", local: []string{"runtime"}, outside: []string{}},
	mayImport{
		from: "runtime", exactly: true, local: []string{"internal/cli", "internal/service", "event", "payment", "workflows/saga"}, outside: []string{},
	},
	onlyIn{imported: module + "/internal/cli", places: []string{"runtime"}},
	onlyIn{imported: module + "/internal/service", places: []string{"internal/cli", "runtime"}},
	mayImport{
		from: "internal/cli",
		local: []string{
			"internal/service", "internal/config", "internal/audit", "internal/checkpoint", "internal/participantcheck", "internal/replay", "internal/auth", "internal/cursor", "internal/rabbitmq", "internal/wire", "internal/deadletter", "internal/reconcile",
			"internal/readmodel", "workflows", "workflows/saga", "workflows/order", "internal/fault", "api", "event", "inbound", "client",
		},
		outside: []string{"github.com/spf13/cobra", "github.com/google/uuid"},
	},

	// The benchmark is a module of its own: nothing depends on it, tests included. Its naive saga owes nothing to the flows that it is compared
	// with, its shop knows the service from outside only, and no other package imports its arithmetic.
	notImported{imported: module + "/bench", but: "bench"},
	unreachable{from: []string{"bench"}, forbidden: []string{module + "/workflows/notification", module + "/workers"}},
	mayImport{
		from: "bench/naive", local: []string{"workflows/order", "event", "payment"}, outside: []string{"go.temporal.io"},
	},
	mayImport{from: "bench/internal/shop", local: []string{"test/harness"}},
	mayImport{from: "bench/internal/report", local: []string{"bench/internal/stats"}, outside: []string{"gonum.org/v1/plot"}},
	mayImport{from: "bench/internal/stats", outside: []string{}},
	mayImport{from: "bench/internal/bar", outside: []string{}},
	mayImport{from: "bench/internal/load", outside: []string{}},
	mayImport{from: "bench/internal/procs", outside: []string{"github.com/prometheus/procfs"}},

	// A user's build never compiles a Temporal server.
	notImported{imported: module + "/devstack"},
	notImported{imported: module + "/tools"},
	notImported{imported: "go.temporal.io/server"},

	noName{"util", "utils", "common", "helper", "helpers", "model", "models", "misc", "shared"},
}

func TestImports(t *testing.T) {
	if testing.Short() {
		t.Skip("lists the packages of the module with the go command")
	}
	g := listPackages(t, filepath.Join("..", ".."))
	require.Contains(t, g.packages, module+"/workflows", "the packages were not listed")
	addBench(t, g)
	for _, sentence := range check(g, rules) {
		t.Error(sentence)
	}
}

// A rule about a path that is not there keeps nothing.
func TestRulesNameWhatIsThere(t *testing.T) {
	var paths []string
	for _, r := range rules {
		switch r := r.(type) {
		case unreachable:
			paths = append(paths, r.from...)
		case mayImport:
			paths = append(append(paths, r.from), r.local...)
		case onlyIn:
			paths = append(paths, r.places...)
		}
	}
	for _, p := range paths {
		require.DirExists(t, filepath.Join("..", "..", filepath.FromSlash(p)))
	}
}

// addBench adds the packages of the benchmark, a module of its own, with the imports that their files state: nothing of what
// it depends on alone has to be downloaded for that.
func addBench(t *testing.T, g graph) {
	t.Helper()
	root := filepath.Join("..", "..")
	require.NoError(t, filepath.WalkDir(filepath.Join(root, "bench"), func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		listed, err := build.ImportDir(dir, 0)
		var none *build.NoGoError
		if errors.As(err, &none) {
			return nil
		}
		local, _ := filepath.Rel(root, dir)
		g.packages[module+"/"+filepath.ToSlash(local)] = pkg{
			imports: listed.Imports, testImports: append(listed.TestImports, listed.XTestImports...),
		}
		return err
	}))
	require.Contains(t, g.packages, module+"/bench")
}

// listPackages asks the go command for the packages of the module in dir and everything that they import. A package
// that does not build is listed with the imports that it states: whether it builds is for other tests to say.
func listPackages(t *testing.T, dir string) graph {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps",
		"-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	command.Dir = dir
	command.Env = append(os.Environ(), "GOWORK=off")
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	require.NoError(t, err, stderr.String())

	g := graph{module: module, packages: make(map[string]pkg)}
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var listed struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		err := decoder.Decode(&listed)
		if errors.Is(err, io.EOF) {
			return g
		}
		require.NoError(t, err)
		g.packages[listed.ImportPath] = pkg{
			imports:     listed.Imports,
			testImports: append(listed.TestImports, listed.XTestImports...),
		}
	}
}
