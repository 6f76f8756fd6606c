// Package rabbitmq runs a private RabbitMQ node: found on this machine or
// installed, configured for one user's stack, started as any user, and out of
// the way of a system broker.
//
// The package imports the standard library only.
package rabbitmq

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Ports of a node, all on loopback.
type Ports struct {
	AMQP, Management, Prometheus, Distribution, EPMD int
}

// Node is the configuration of a private node.
type Node struct {
	// Installation is the RabbitMQ to run.
	Installation Installation
	// Dir holds the data, the cookie and the configuration.
	Dir   string
	Ports Ports
}

// places are where packages put the script besides the PATH: Debian's and
// Fedora's wrapper in /usr/sbin insists on a system user, so the script that
// it calls comes first; then Homebrew on Apple silicon and on Intel, and the generic
// Unix archive.
var places = []string{
	"/usr/lib/rabbitmq/bin/rabbitmq-server",
	"/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
	"/usr/lib64/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
	"/opt/homebrew/sbin/rabbitmq-server",
	"/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
	"/usr/local/sbin/rabbitmq-server",
	"/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
	"/opt/rabbitmq/sbin/rabbitmq-server",
	"/opt/rabbitmq_server-*/sbin/rabbitmq-server",
}

// find returns the path of the rabbitmq-server script, or false.
func find(patterns []string) (string, bool) {
	if server, ok := newest(patterns); ok {
		return server, true
	}
	path, err := exec.LookPath("rabbitmq-server")
	return path, err == nil
}

// newest returns the first program that the patterns match; of several versions, the newest.
func newest(patterns []string) (string, bool) {
	for _, pattern := range patterns {
		matches, _ := filepath.Glob(pattern)
		for i := len(matches) - 1; i >= 0; i-- { // the newest version sorts last
			if info, err := os.Stat(matches[i]); err == nil && info.Mode()&0o111 != 0 {
				return matches[i], true
			}
		}
	}
	return "", false
}

// nodeName is short and local: a host name that does not resolve cannot stop
// the node, and the data stays valid when the machine is renamed.
const nodeName = "devstack@localhost"

// Prepare writes the node's configuration files.
func (n Node) Prepare() error {
	// Watermarks far away: a publisher that the broker blocks because a
	// developer's disk is nearly full would look like a bug of the service.
	configuration := fmt.Sprintf(`listeners.tcp.1 = 127.0.0.1:%d
management.tcp.ip = 127.0.0.1
management.tcp.port = %d
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = %d
log.file = false
log.console = true
log.console.level = info
vm_memory_high_watermark.relative = 0.9
disk_free_limit.absolute = 1MB
collect_statistics_interval = 1000
`, n.Ports.AMQP, n.Ports.Management, n.Ports.Prometheus)
	files := map[string]string{
		n.file("rabbitmq.conf"):   configuration,
		n.file("enabled_plugins"): "[rabbitmq_management,rabbitmq_prometheus].\n",
		n.file("advanced.config"): "[].\n",
		n.file("environment.sh"):  "",
	}
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return fmt.Errorf("prepare rabbitmq: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return fmt.Errorf("prepare rabbitmq: %w", err)
		}
	}
	if err := os.WriteFile(Control(n.Dir), []byte(n.control()), 0o700); err != nil {
		return fmt.Errorf("prepare rabbitmq: %w", err)
	}
	return nil
}

// Control is the path of a script that is rabbitmqctl for the node in a folder. Tests bring about with it what
// no client can: alarms, short timeouts.
func Control(dir string) string { return filepath.Join(dir, "rabbitmqctl") }

// control is that script: the name server and the cookie are the node's own.
func (n Node) control() string {
	ctl := filepath.Join(filepath.Dir(n.Installation.Server), "rabbitmqctl")
	var command strings.Builder
	for _, word := range n.Installation.command(n.Dir, ctl, "-n", nodeName) {
		command.WriteString(quote(word) + " ")
	}
	return fmt.Sprintf("#!/bin/sh\nexport HOME=%s ERL_EPMD_PORT=%d RABBITMQ_CONF_ENV_FILE=%s\nexec %s\"$@\"\n", quote(n.seen("")), n.Ports.EPMD,
		quote(n.seen("environment.sh")), &command)
}

// quote returns a text as one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func (n Node) file(name string) string { return filepath.Join(n.Dir, name) }

// seen is the path of a file of the node as the node sees it.
func (n Node) seen(name string) string {
	if n.Installation.Root != "" {
		return filepath.Join(rootState, name)
	}
	return n.file(name)
}

// Command is the command line. The shell starts epmd, Erlang's name server, in
// the foreground as a child of its own, because the node would start it as a
// daemon; without one on the PATH the node does so all the same.
func (n Node) Command() []string {
	const script = `command -v epmd >/dev/null 2>&1 && epmd &
exec "$0"`
	return n.Installation.command(n.Dir, "/bin/sh", "-c", script, n.Installation.Server)
}

// Environment is what the node needs besides a PATH.
func (n Node) Environment() []string {
	return []string{
		"HOME=" + n.seen(""), // the cookie
		"ERL_EPMD_ADDRESS=127.0.0.1",
		fmt.Sprintf("ERL_EPMD_PORT=%d", n.Ports.EPMD),
		"RABBITMQ_NODENAME=" + nodeName,
		fmt.Sprintf("RABBITMQ_DIST_PORT=%d", n.Ports.Distribution),
		"RABBITMQ_MNESIA_BASE=" + n.seen("data"),
		"RABBITMQ_LOG_BASE=" + n.seen("log"),
		"RABBITMQ_PID_FILE=" + n.seen("pid"),
		// Each of these would otherwise be looked for in /etc/rabbitmq.
		"RABBITMQ_CONFIG_FILE=" + n.seen("rabbitmq.conf"),
		"RABBITMQ_CONFIG_FILES=" + n.seen("conf.d"),
		"RABBITMQ_ADVANCED_CONFIG_FILE=" + n.seen("advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + n.seen("enabled_plugins"),
		"RABBITMQ_CONF_ENV_FILE=" + n.seen("environment.sh"),
		// The distribution port is the one listener that the configuration
		// file does not know.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
	}
}

// Foreign reports whether a variable of the surrounding environment would
// change the node: it must not be passed on.
func Foreign(name string) bool {
	return strings.HasPrefix(name, "RABBITMQ_") || strings.HasPrefix(name, "ERL_") || name == "NOTIFY_SOCKET"
}
