// Package rig has the environment of the benchmark: the servers and the names that a run uses there, what the servers
// report about their work, the sagas that run in this process, and the checks of the placed orders.
package rig

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// Stack says where the servers are, and what a run calls its own there: nothing that a run makes can be taken for
// another program's, and no other worker gets its sagas.
type Stack struct {
	// Run is the run's id: lower-case letters, digits and -.
	Run string
	// Temporal is host:port, MongoDB and AMQP are URIs.
	Temporal, MongoDB, AMQP string
	// Namespace is the Temporal namespace.
	Namespace string
}

// FromEnvironment reads where the servers are.
func FromEnvironment(run string) (Stack, error) {
	s := Stack{
		Run: run, Temporal: os.Getenv("TEMPORAL_ADDRESS"), MongoDB: os.Getenv("MONGODB_URI"), AMQP: os.Getenv("AMQP_URL"),
		Namespace: "bench-" + run,
	}
	if s.Temporal == "" || s.MongoDB == "" || s.AMQP == "" {
		return s, errors.New("TEMPORAL_ADDRESS, MONGODB_URI and AMQP_URL must say where the servers are: run `make bench`, " +
			"or `devstack exec -- bin/bench`")
	}
	return s, nil
}

// Database is the database of a round's orders. Each round has its own, so that no round is slowed down by the data
// of earlier ones.
func (s Stack) Database(round int) string {
	return fmt.Sprintf("bench_%s_%d", strings.ReplaceAll(s.Run, "-", "_"), round)
}

// NaiveDatabase is the database of what runs in this process.
func (s Stack) NaiveDatabase(round int) string { return s.Database(round) + "_naive" }

// Exchange is where events are published.
func (s Stack) Exchange() string { return "bench." + s.Run }

// Prefix begins the names of the service's queues.
func (s Stack) Prefix() string { return "bench." + s.Run }

// Env are the settings of a service that works here.
func (s Stack) Env(database string) []string {
	return []string{
		"TEMPORAL_ADDRESS=" + s.Temporal, "TEMPORAL_NAMESPACE=" + s.Namespace, "MONGODB_URI=" + s.MongoDB,
		"MONGODB_DATABASE=" + database, "AMQP_URL=" + s.AMQP, "EVENT_EXCHANGE=" + s.Exchange(), "BROKER_PREFIX=" + s.Prefix(),
		// A check in the middle of a round would be measured with it; there is one at the end of each.
		"RECONCILE_EVERY=0", "LOG_LEVEL=warn", "LOG_FORMAT=json",
	}
}

// Environ is the whole environment of such a service. Of two lines of one name the first counts, for config.Load as well
// as here.
func (s Stack) Environ(database string) []string { return append(s.Env(database), os.Environ()...) }

// MongoAddress and AMQPAddress are host:port, of the first host when there are several.
func (s Stack) MongoAddress() string { return hostPort(s.MongoDB, "27017") }

// AMQPAddress is the broker's.
func (s Stack) AMQPAddress() string { return hostPort(s.AMQP, "5672") }

// hostPort returns the first address in a URI.
func hostPort(uri, port string) string {
	_, rest, found := strings.Cut(uri, "://")
	if !found {
		return ""
	}
	authority, _, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = authority[at+1:]
	}
	first, _, _ := strings.Cut(authority, ",")
	u := url.URL{Host: first}
	if u.Port() == "" {
		return u.Hostname() + ":" + port
	}
	return first
}
