// Package stack decides what a stack consists of: which components are started,
// which servers are used instead, on which ports, with which commands, and what
// environment a command is given to find them.
//
// The package imports internal/{ports,probe,process,rabbitmq,state,supervise}
// and the packages of the embedded servers for their configuration types.
package stack

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The components, as they are called in commands and variables.
const (
	Temporal = "temporal"
	UI       = "ui"
	MongoDB  = "mongodb"
	RabbitMQ = "rabbitmq"
)

// Names lists the components in the order in which they are shown.
var Names = []string{Temporal, UI, MongoDB, RabbitMQ}

// Variables that choose.
const (
	ExternalVariable = "DEVSTACK_EXTERNAL"
	OnlyVariable     = "DEVSTACK_ONLY"
)

// addressVariables name the server that is used instead of a component.
var addressVariables = map[string]string{
	Temporal: "TEMPORAL_ADDRESS",
	UI:       "TEMPORAL_UI_URL",
	MongoDB:  "MONGODB_URI",
	RabbitMQ: "AMQP_URL",
}

// Selection says for each component whether it is started, external or absent.
type Selection struct {
	started, external map[string]bool
}

// Select reads the two lists of component names: only those to start (all when
// empty), and external ones. lookup finds variables of the environment.
func Select(only, external string, lookup func(string) (string, bool)) (Selection, error) {
	wanted, err1 := parseNames(OnlyVariable, only)
	outside, err2 := parseNames(ExternalVariable, external)
	if err := errors.Join(err1, err2); err != nil {
		return Selection{}, err
	}
	s := Selection{started: make(map[string]bool), external: make(map[string]bool)}
	var missing []error
	for _, name := range Names {
		switch {
		case slices.Contains(outside, name):
			s.external[name] = true
			if value, _ := lookup(addressVariables[name]); value == "" {
				missing = append(missing, fmt.Errorf("%s names %s, so %s must say where it is",
					ExternalVariable, name, addressVariables[name]))
			}
		case len(wanted) == 0 || slices.Contains(wanted, name):
			s.started[name] = true
		}
	}
	if s.external[Temporal] && secured(lookup) {
		delete(s.started, UI) // the started one has no credentials
	}
	return s, errors.Join(missing...)
}

// secured reports whether a Temporal server is reached with credentials.
func secured(lookup func(string) (string, bool)) bool {
	for _, name := range []string{"TEMPORAL_API_KEY", "TEMPORAL_TLS", "TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_DATA"} {
		if value, _ := lookup(name); value != "" {
			return true
		}
	}
	return false
}

// Started reports whether the component is started.
func (s Selection) Started(name string) bool { return s.started[name] }

// External reports whether a server from outside is used for the component.
func (s Selection) External(name string) bool { return s.external[name] }

// Check explains why a component cannot be acted upon, or returns nil.
func (s Selection) Check(name string) error {
	switch {
	case !slices.Contains(Names, name):
		return fmt.Errorf("there is no component %q; there are: %s", name, strings.Join(Names, ", "))
	case s.external[name]:
		return fmt.Errorf("%s is external (%s): devstack neither started it nor ends it", name, ExternalVariable)
	case !s.started[name]:
		return fmt.Errorf("%s is not part of this stack", name)
	}
	return nil
}

func parseNames(variable, list string) ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if !slices.Contains(Names, name) {
			return nil, fmt.Errorf("%s: there is no component %q; there are: %s",
				variable, name, strings.Join(Names, ", "))
		}
		names = append(names, name)
	}
	return names, nil
}
