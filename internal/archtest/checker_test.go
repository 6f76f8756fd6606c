package archtest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

const mongo = "go.mongodb.org/mongo-driver/v2/mongo"

// sound is a graph that keeps every rule.
func sound() graph {
	return graph{module: module, packages: map[string]pkg{
		module + "/workflows": {imports: []string{
			"strings", "go.temporal.io/sdk/workflow", module + "/activities", module + "/workflows/order",
		}, testImports: []string{module + "/internal/eventlog/memlog", "github.com/stretchr/testify/require"}},
		module + "/activities":         {imports: []string{"context", module + "/event", module + "/internal/fault"}},
		module + "/internal/fault":     {imports: []string{"fmt", "net/http"}},
		module + "/event":              {imports: []string{"github.com/google/uuid", module + "/internal/fault"}},
		module + "/workflows/order":    {imports: []string{module + "/event", module + "/internal/fault"}},
		module + "/payment":            {imports: []string{"context"}},
		module + "/internal/simulator": {imports: []string{module + "/internal/eventlog", module + "/payment"}},
		module + "/internal/eventlog":  {imports: []string{module + "/event", module + "/internal/fault"}},
		module + "/internal/mongo":     {imports: []string{mongo, module + "/internal/eventlog"}},
		module + "/internal/rabbitmq":  {imports: []string{"github.com/rabbitmq/amqp091-go"}},
		module + "/api":                {imports: []string{"github.com/labstack/echo/v4"}},
		module + "/cmd/ordersaga":      {imports: []string{module + "/runtime"}},
		module + "/runtime":            {imports: []string{module + "/internal/cli", module + "/internal/service", module + "/workflows/saga"}},
		module + "/internal/cli":       {imports: []string{module + "/internal/service"}},
		module + "/internal/service":   {imports: []string{module + "/internal/mongo", module + "/workflows"}},
		mongo:                          {},
		"go.temporal.io/sdk/workflow":  {},
	}}
}

func TestASoundGraphBreaksNoRule(t *testing.T) {
	assert.Empty(t, check(sound(), rules))
}

// Each of these imports, added to the sound graph, must be found, with these words.
func TestEveryRuleCanBreak(t *testing.T) {
	for _, c := range []struct {
		name          string
		from, imports string
		want          []string
	}{
		{
			"a driver from afar", "workflows/order", module + "/internal/mongo",
			[]string{
				"workflows must not reach go.mongodb.org/mongo-driver: " + module + "/workflows -> " + module + "/workflows/order -> " +
					module + "/internal/mongo -> " + mongo,
				"workflows/order must not reach go.mongodb.org/mongo-driver: " + module + "/workflows/order -> " + module + "/internal/mongo -> " + mongo,
				"workflows/order must not import internal/mongo",
			},
		},
		{"the log from a workflow", "workflows", module + "/internal/eventlog", []string{"workflows must not import internal/eventlog"}},
		{"a library from a workflow", "workflows", "github.com/google/uuid", []string{"workflows must not import github.com/google/uuid"}},
		{"the flows from an activity", "activities", module + "/workflows", []string{"activities must not import workflows"}},
		{"an activity of the kit knows a flow", "activities", module + "/workflows/order", []string{"activities must not import workflows/order"}},
		{"a flow knows another one", "workflows/order", module + "/workflows/latepayment", []string{"workflows/order must not import workflows/latepayment"}},
		{"the saga kit imports no flow", "workflows/saga", module + "/workflows/order", []string{"workflows/saga must not import workflows/order"}},
		{"a leaf grows", "internal/fault", module + "/event", []string{"internal/fault must not import event"}},
		{"a leaf with a library", "internal/fault", "github.com/google/uuid", []string{"internal/fault must not import github.com/google/uuid"}},
		{"event knows the order", "event", module + "/workflows/order", []string{"event must not import workflows/order"}},
		{"the order knows the log", "workflows/order", module + "/internal/eventlog", []string{"workflows/order must not import internal/eventlog"}},
		{"the port knows an adapter", "payment", module + "/internal/simulator", []string{"payment must not import internal/simulator"}},
		{"the contract knows its adapter", "internal/eventlog", module + "/internal/eventlog/memlog", []string{"internal/eventlog must not import internal/eventlog/memlog"}},
		{"MongoDB in the API", "api", mongo, []string{"api must not import " + mongo + ": that is for internal/mongo, test, bench"}},
		{"AMQP in the workers", "workers", "github.com/rabbitmq/amqp091-go", []string{"workers must not import github.com/rabbitmq/amqp091-go: that is for internal/rabbitmq, test, bench, examples/go"}},
		{"Echo in the service", "internal/service", "github.com/labstack/echo/v4/middleware", []string{"internal/service must not import github.com/labstack/echo/v4/middleware: that is for api"}},
		{"main wires", "cmd/ordersaga", module + "/internal/service", []string{"cmd/ordersaga must not import internal/service", "cmd/ordersaga must not import " + module + "/internal/service: that is for internal/cli, runtime"}},
		{"the runtime opens the log", "runtime", module + "/internal/mongo", []string{"runtime must not import internal/mongo"}},
		{"a command opens the log", "internal/cli", module + "/internal/mongo", []string{"internal/cli must not import internal/mongo"}},
		{"the service knows its benchmark", "internal/rabbitmq", module + "/bench/internal/stats", []string{module + "/internal/rabbitmq must not import " + module + "/bench/internal/stats, nor may its tests"}},
		{"a driver in inbound", "inbound", mongo, []string{
			"inbound must not reach go.mongodb.org/mongo-driver: " + module + "/inbound -> " + mongo,
			"inbound must not import " + mongo + ": that is for internal/mongo, test, bench",
		}},
		{"inbound runs workers", "inbound", "go.temporal.io/sdk/worker", []string{"inbound must not reach go.temporal.io/sdk/worker: " + module + "/inbound -> go.temporal.io/sdk/worker"}},
		{"inbound knows the workers", "inbound", module + "/workers", []string{"inbound must not reach " + module + "/workers: " + module + "/inbound -> " + module + "/workers"}},
		{"the workers know the bus", "workers", module + "/inbound", []string{"workers must not reach " + module + "/inbound: " + module + "/workers -> " + module + "/inbound"}},
		{"the naive saga takes a log of its own", "bench/naive", module + "/internal/eventlog", []string{"bench/naive must not import internal/eventlog"}},
		{"the benchmark runs the flows itself", "bench/internal/rig", module + "/workers", []string{"bench/internal/rig must not reach " + module + "/workers: " + module + "/bench/internal/rig -> " + module + "/workers"}},
		{"the shop looks inside", "bench/internal/shop", module + "/workflows/order", []string{"bench/internal/shop must not import workflows/order"}},
		{"Stripe in another package", "internal/inventory", "github.com/stripe/stripe-go/v83", []string{"internal/inventory must not import github.com/stripe/stripe-go/v83: that is for payment/stripe"}},
		{"devstack", "internal/service", module + "/devstack/internal/ports", []string{module + "/internal/service must not import " + module + "/devstack/internal/ports, nor may its tests"}},
		{"a Temporal server", "internal/config", "go.temporal.io/server/temporal", []string{module + "/internal/config must not import go.temporal.io/server/temporal, nor may its tests"}},
	} {
		g := sound()
		from := module + "/" + c.from
		p := g.packages[from]
		p.imports = append(p.imports, c.imports)
		g.packages[from] = p
		assert.Equal(t, c.want, check(g, rules), c.name)
	}
}

func TestNestedModulesAreOutOfReachOfTests(t *testing.T) {
	for _, nested := range []string{"devstack", "bench"} {
		g := sound()
		g.packages[module+"/test/e2e"] = pkg{testImports: []string{module + "/" + nested}}
		g.packages[module+"/bench/naive"] = pkg{testImports: []string{module + "/bench/internal/stats"}}
		assert.Equal(t, []string{module + "/test/e2e must not import " + module + "/" + nested + ", nor may its tests"}, check(g, rules))
	}
}

func TestNamesThatSayNothing(t *testing.T) {
	g := sound()
	g.packages[module+"/internal/utils"] = pkg{}
	g.packages["example.com/utils"] = pkg{}
	assert.Equal(t, []string{"internal/utils has a name that says nothing"}, check(g, rules))
}

func TestAWayThatGoesInCirclesEnds(t *testing.T) {
	g := graph{module: module, packages: map[string]pkg{
		"a": {imports: []string{"b"}}, "b": {imports: []string{"a", "c"}}, "c": {imports: []string{"c/d"}},
	}}
	assert.Nil(t, g.way("a", "x"))
	assert.Equal(t, []string{"a", "b", "c", "c/d"}, g.way("a", "c/d"))
	assert.Equal(t, []string{"a", "b", "c"}, g.way("a", "c"))
}
