package stack

import (
	"slices"
	"strings"
)

// Context has the values of the environment besides the endpoints.
type Context struct {
	// Control is the path of the control socket.
	Control string
	// Executable is the path of this program.
	Executable string
	// EmptyFile is the path of an empty file: the SDK reads a user's
	// temporal.toml unless it is shown another one.
	EmptyFile string
	// MongoDBQuery is appended to the URI.
	MongoDBQuery string
	// RabbitMQControl is the path of the private node's rabbitmqctl.
	RabbitMQControl string
	// KeepAPIAddress leaves an address for the API that the user has chosen.
	KeepAPIAddress bool
}

// Variables that devstack itself sets.
const (
	ControlVariable = "DEVSTACK_CONTROL"
	apiVariable     = "HTTP_ADDR"
)

// owned reports whether a variable belongs to a component: it is removed unless
// the component is external, so that no command writes to another server by accident.
func owned(component, variable string) bool {
	switch component {
	case UI:
		return variable == "TEMPORAL_UI_URL"
	case Temporal: // address, credentials, headers, profiles
		return strings.HasPrefix(variable, "TEMPORAL_") && variable != "TEMPORAL_UI_URL"
	case MongoDB:
		return strings.HasPrefix(variable, "MONGODB_")
	case RabbitMQ:
		return variable == "AMQP_URL" || variable == "RABBITMQ_MANAGEMENT_URL" || variable == "DEVSTACK_RABBITMQCTL"
	}
	return false
}

// Environment returns what a command is given: base without the variables that
// are not meant for it, and Settings.
func Environment(base []string, s Selection, e Endpoints, c Context) []string {
	environment := slices.DeleteFunc(slices.Clone(base), func(pair string) bool {
		variable, _, _ := strings.Cut(pair, "=")
		for _, component := range Names {
			if owned(component, variable) && !s.External(component) {
				return true
			}
		}
		return false
	})
	return append(environment, Settings(environment, s, e, c)...)
}

// Settings returns what devstack adds to an environment.
func Settings(base []string, s Selection, e Endpoints, c Context) []string {
	has := func(variable string) bool {
		return slices.ContainsFunc(base, func(pair string) bool {
			name, value, _ := strings.Cut(pair, "=")
			return name == variable && value != ""
		})
	}
	var settings []string
	set := func(variable, value string) { settings = append(settings, variable+"="+value) }

	if !c.KeepAPIAddress || !has(apiVariable) {
		set(apiVariable, address(e.API))
	}
	if s.Started(Temporal) {
		set("TEMPORAL_ADDRESS", address(e.Temporal))
		set("TEMPORAL_CONFIG_FILE", c.EmptyFile)
	}
	if s.Started(Temporal) || s.External(Temporal) && !has("TEMPORAL_NAMESPACE") {
		set("TEMPORAL_NAMESPACE", namespace)
	}
	if s.Started(UI) {
		set("TEMPORAL_UI_URL", e.UIURL())
	}
	if s.Started(MongoDB) {
		set("MONGODB_URI", "mongodb://"+address(e.MongoDB)+"/"+c.MongoDBQuery)
	}
	if s.Started(MongoDB) || s.External(MongoDB) && !has("MONGODB_DATABASE") {
		set("MONGODB_DATABASE", database)
	}
	if s.Started(RabbitMQ) {
		set("AMQP_URL", e.AMQPURL())
		set("RABBITMQ_MANAGEMENT_URL", e.ManagementURL())
		set("DEVSTACK_RABBITMQCTL", c.RabbitMQControl)
	}
	set("DEVSTACK", "1")
	set("DEVSTACK_BIN", c.Executable)
	set(ControlVariable, c.Control)
	return settings
}
