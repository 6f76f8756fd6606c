package stack

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/devstack/internal/mongoserver"
	"github.com/ordersaga/ordersaga/devstack/internal/ports"
	"github.com/ordersaga/ordersaga/devstack/internal/probe"
	"github.com/ordersaga/ordersaga/devstack/internal/process"
	"github.com/ordersaga/ordersaga/devstack/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/devstack/internal/state"
	"github.com/ordersaga/ordersaga/devstack/internal/supervise"
	"github.com/ordersaga/ordersaga/devstack/internal/temporalserver"
	"github.com/ordersaga/ordersaga/devstack/internal/webui"
)

// ServeCommand is the hidden subcommand of this executable that runs one
// embedded server: [ServeCommand, component, configuration as JSON].
const ServeCommand = "internal-serve"

// stopLimit is how long a graceful stop of a server may take on a slow machine.
const stopLimit = time.Minute

// replicaSetName is the one of a mongod from the PATH.
const replicaSetName = "devstack"

// Builder makes the components of a stack.
type Builder struct {
	Selection  Selection
	Endpoints  Endpoints
	Folder     *state.Folder
	Ports      *ports.Reservation
	Executable string
	// Base is the surrounding environment.
	Base []string
	// Durable stores survive a power failure; the others are faster.
	Durable bool
	// RabbitMQ is the broker to start.
	RabbitMQ rabbitmq.Installation
	// ExternalTemporal is the address of the server that the Web UI shows when
	// none is started.
	ExternalTemporal string
}

// Components prepares the started components: folders, configuration files and
// internal ports. It starts nothing.
func (b Builder) Components() ([]supervise.Component, error) {
	makers := map[string]func() (supervise.Component, error){
		Temporal: b.temporal, UI: b.ui, MongoDB: b.mongodb, RabbitMQ: b.rabbitmq,
	}
	var components []supervise.Component
	for _, name := range Names {
		if !b.Selection.Started(name) {
			continue
		}
		component, err := makers[name]()
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", name, err)
		}
		component.Name = name
		components = append(components, component)
	}
	return components, nil
}

// MongoDBQuery returns the parameters of the server's URI.
func MongoDBQuery() string {
	if _, err := exec.LookPath("mongod"); err == nil {
		return "?replicaSet=" + replicaSetName
	}
	return ""
}

func (b Builder) embedded(name string, configuration any) (process.Spec, error) {
	text, err := json.Marshal(configuration)
	if err != nil {
		return process.Spec{}, err
	}
	return process.Spec{Args: []string{b.Executable, ServeCommand, name, string(text)}, Env: b.environment()}, nil
}

// environment is the surrounding one without variables that would configure a
// server.
func (b Builder) environment(extra ...string) []string {
	environment := slices.DeleteFunc(slices.Clone(b.Base), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return rabbitmq.Foreign(name) || owned(Temporal, name) || owned(UI, name) || name == process.MarkVariable
	})
	return append(environment, extra...)
}

func (b Builder) temporal() (supervise.Component, error) {
	listen := address(b.Endpoints.Temporal)
	component := supervise.Component{
		URL:       listen,
		Ready:     probe.Temporal(listen, namespace),
		StopLimit: stopLimit,
	}
	if cli, err := exec.LookPath("temporal"); err == nil {
		dir, err := b.Folder.Sub("data", "temporal-cli")
		if err != nil {
			return component, err
		}
		component.Spec = process.Spec{Args: temporalCLI(cli, b.Endpoints.Temporal, filepath.Join(dir, "temporal.db")), Env: b.environment(), Foreign: true}
		return component, nil
	}
	dir, err := b.Folder.Sub("data", "temporal")
	if err != nil {
		return component, err
	}
	configuration := temporalserver.Config{Dir: dir, Namespace: namespace, Frontend: b.Endpoints.Temporal, Durable: b.Durable}
	for _, port := range []*int{&configuration.History, &configuration.Matching, &configuration.Worker} {
		if *port, err = b.Ports.Any(); err != nil {
			return component, err
		}
	}
	component.Spec, err = b.embedded(Temporal, configuration)
	return component, err
}

func temporalCLI(path string, port int, file string) []string {
	return []string{
		path, "server", "start-dev", "--headless",
		"--ip", loopback, "--port", strconv.Itoa(port),
		"--namespace", namespace, "--db-filename", file,
		"--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1",
		"--log-level", "warn",
		"--dynamic-config-value", "system.forceSearchAttributesCacheRefreshOnRead=true",
		"--dynamic-config-value", "system.enableEagerWorkflowStart=true",
	}
}

func (b Builder) ui() (supervise.Component, error) {
	temporal := b.ExternalTemporal
	if b.Selection.Started(Temporal) {
		temporal = address(b.Endpoints.Temporal)
	}
	if temporal == "" {
		return supervise.Component{}, fmt.Errorf("it shows a Temporal server, and this stack has none")
	}
	spec, err := b.embedded(UI, webui.Config{Port: b.Endpoints.UI, Temporal: temporal, Namespace: namespace})
	return supervise.Component{
		URL:       b.Endpoints.UIURL(),
		Spec:      spec,
		Ready:     probe.HTTP(b.Endpoints.UIURL() + "/healthz"),
		StopLimit: stopLimit,
	}, err
}

func (b Builder) mongodb() (supervise.Component, error) {
	listen := address(b.Endpoints.MongoDB)
	component := supervise.Component{
		URL:       "mongodb://" + listen + "/" + MongoDBQuery(),
		StopLimit: stopLimit,
	}
	if mongod, err := exec.LookPath("mongod"); err == nil {
		dir, err := b.Folder.Sub("data", "mongod")
		component.Ready = probe.ReplicaSet(listen, replicaSetName)
		component.Spec = process.Spec{
			Args: []string{
				mongod, "--dbpath", dir, "--bind_ip", loopback, "--port", strconv.Itoa(b.Endpoints.MongoDB),
				"--replSet", replicaSetName, "--quiet",
			},
			Env:     b.environment(),
			Foreign: true,
		}
		return component, err
	}
	dir, err := b.Folder.Sub("data", "mongodb")
	if err != nil {
		return component, err
	}
	component.Ready = probe.MongoDB(listen)
	component.Spec, err = b.embedded(MongoDB, mongoserver.Config{Dir: dir, Port: b.Endpoints.MongoDB, Durable: b.Durable})
	return component, err
}

// RabbitMQControl is the path of the private node's rabbitmqctl, once the node is prepared.
func RabbitMQControl(folder *state.Folder, installation rabbitmq.Installation) string {
	return rabbitmq.Control(filepath.Join(folder.Dir, "data", rabbitMQFolder(installation)))
}

// rabbitMQFolder names the folder of the node's data. Each installation that was named has one of its own.
func rabbitMQFolder(installation rabbitmq.Installation) string {
	if installation.Name == "" {
		return "rabbitmq"
	}
	return "rabbitmq-" + installation.Name
}

func (b Builder) rabbitmq() (supervise.Component, error) {
	dir, err := b.Folder.Sub("data", rabbitMQFolder(b.RabbitMQ))
	if err != nil {
		return supervise.Component{}, err
	}
	node := rabbitmq.Node{
		Installation: b.RabbitMQ,
		Dir:          dir,
		Ports:        rabbitmq.Ports{AMQP: b.Endpoints.AMQP, Management: b.Endpoints.Management},
	}
	for _, port := range []*int{&node.Ports.Prometheus, &node.Ports.Distribution, &node.Ports.EPMD} {
		if *port, err = b.Ports.Any(); err != nil {
			return supervise.Component{}, err
		}
	}
	if err := node.Prepare(); err != nil {
		return supervise.Component{}, err
	}
	return supervise.Component{
		URL: fmt.Sprintf("%s, management %s", b.Endpoints.AMQPURL(), b.Endpoints.ManagementURL()),
		Spec: process.Spec{
			Args:    node.Command(),
			Env:     b.environment(node.Environment()...),
			Foreign: true,
		},
		Ready:     probe.All(probe.AMQP(address(b.Endpoints.AMQP)), probe.HTTP(b.Endpoints.ManagementURL()+"/api/overview")),
		StopLimit: stopLimit,
	}, nil
}
