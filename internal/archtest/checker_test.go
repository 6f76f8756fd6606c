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
			"strings", "go.temporal.io/sdk/workflow", module + "/activities", module + "/internal/order",
		}, testImports: []string{module + "/internal/eventlog/memlog", "github.com/stretchr/testify/require"}},
		module + "/activities":         {imports: []string{"context", module + "/payment", module + "/internal/fault"}},
		module + "/internal/fault":     {imports: []string{"fmt", "net/http"}},
		module + "/event":              {imports: []string{"github.com/google/uuid", module + "/internal/fault"}},
		module + "/internal/order":     {imports: []string{module + "/event", module + "/internal/fault"}},
		module + "/payment":            {imports: []string{"context"}},
		module + "/internal/simulator": {imports: []string{module + "/internal/eventlog", module + "/payment"}},
		module + "/internal/eventlog":  {imports: []string{module + "/event", module + "/internal/fault"}},
		module + "/internal/mongo":     {imports: []string{mongo, module + "/internal/eventlog"}},
		module + "/internal/broker":    {imports: []string{"github.com/rabbitmq/amqp091-go"}},
		module + "/api":                {imports: []string{"github.com/labstack/echo/v4"}},
		module + "/cmd/ordersaga":      {imports: []string{module + "/internal/mongo", module + "/workflows"}},
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
			"a driver from afar", "internal/order", module + "/internal/mongo",
			[]string{
				"workflows must not reach go.mongodb.org/mongo-driver: " + module + "/workflows -> " + module + "/internal/order -> " +
					module + "/internal/mongo -> " + mongo,
				"internal/order must not import internal/mongo",
			},
		},
		{"the log from a workflow", "workflows", module + "/internal/eventlog", []string{"workflows must not import internal/eventlog"}},
		{"a library from a workflow", "workflows", "github.com/google/uuid", []string{"workflows must not import github.com/google/uuid"}},
		{"the flows from an activity", "activities", module + "/workflows", []string{"activities must not import workflows"}},
		{"the saga kit knows nobody", "workflows/saga", module + "/internal/order", []string{"workflows/saga must not import internal/order"}},
		{"a leaf grows", "internal/fault", module + "/event", []string{"internal/fault must not import event"}},
		{"a leaf with a library", "internal/fault", "github.com/google/uuid", []string{"internal/fault must not import github.com/google/uuid"}},
		{"event knows the order", "event", module + "/internal/order", []string{"event must not import internal/order"}},
		{"the order knows the log", "internal/order", module + "/internal/eventlog", []string{"internal/order must not import internal/eventlog"}},
		{"the port knows an adapter", "payment", module + "/internal/simulator", []string{"payment must not import internal/simulator"}},
		{"the contract knows its adapter", "internal/eventlog", module + "/internal/eventlog/memlog", []string{"internal/eventlog must not import internal/eventlog/memlog"}},
		{"MongoDB in the API", "api", mongo, []string{"api must not import " + mongo + ": that is for internal/mongo, test, bench"}},
		{"AMQP in the workers", "workers", "github.com/rabbitmq/amqp091-go", []string{"workers must not import github.com/rabbitmq/amqp091-go: that is for internal/broker, test, bench, examples/go"}},
		{"Echo in cmd", "cmd/ordersaga", "github.com/labstack/echo/v4/middleware", []string{"cmd/ordersaga must not import github.com/labstack/echo/v4/middleware: that is for api"}},
		{"the service knows its benchmark", "internal/broker", module + "/bench/internal/stats", []string{"internal/broker must not import " + module + "/bench/internal/stats: that is for bench"}},
		{"the naive saga takes a log of its own", "bench/naive", module + "/internal/eventlog", []string{"bench/naive must not import internal/eventlog"}},
		{"the benchmark runs the flows itself", "bench/internal/rig", module + "/activities", []string{"bench/internal/rig must not reach " + module + "/activities: " + module + "/bench/internal/rig -> " + module + "/activities"}},
		{"the shop looks inside", "bench/internal/shop", module + "/internal/order", []string{"bench/internal/shop must not import internal/order"}},
		{"Stripe in the port's neighbour", "internal/inventory", "github.com/stripe/stripe-go/v83", []string{"internal/inventory must not import github.com/stripe/stripe-go/v83: that is for payment/stripe"}},
		{"devstack", "cmd/ordersaga", module + "/devstack/internal/ports", []string{module + "/cmd/ordersaga must not import " + module + "/devstack/internal/ports, nor may its tests"}},
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

func TestDevstackIsOutOfReachOfTests(t *testing.T) {
	g := sound()
	g.packages[module+"/test/e2e"] = pkg{testImports: []string{module + "/devstack"}}
	assert.Equal(t, []string{module + "/test/e2e must not import " + module + "/devstack, nor may its tests"}, check(g, rules))
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
