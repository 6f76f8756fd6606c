package rabbitmq

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func script(t *testing.T, elements ...string) string {
	t.Helper()
	name := filepath.Join(elements...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestFindPrefersKnownPlacesAndNewVersions(t *testing.T) {
	root := t.TempDir()
	onPath := script(t, root, "path", "rabbitmq-server")
	t.Setenv("PATH", filepath.Dir(onPath))
	pattern := filepath.Join(root, "rabbitmq_server-*", "sbin", "rabbitmq-server")

	if got, ok := find([]string{pattern}); !ok || got != onPath {
		t.Errorf("find = %q, %t, want the one on the PATH", got, ok)
	}
	script(t, root, "rabbitmq_server-3.10.8", "sbin", "rabbitmq-server")
	newer := script(t, root, "rabbitmq_server-3.13.7", "sbin", "rabbitmq-server")
	if got, ok := find([]string{pattern}); !ok || got != newer {
		t.Errorf("find = %q, %t, want %q", got, ok, newer)
	}
	t.Setenv("PATH", filepath.Join(root, "nowhere"))
	if got, ok := find(nil); ok {
		t.Errorf("find = %q although there is none", got)
	}
}

func TestPrepareBindsLoopbackOnly(t *testing.T) {
	n := Node{Dir: filepath.Join(t.TempDir(), "node"), Ports: Ports{AMQP: 5672, Management: 15672, Prometheus: 15692, Distribution: 25672, EPMD: 4369}}
	if err := n.Prepare(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(n.Dir, "rabbitmq.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"listeners.tcp.1 = 127.0.0.1:5672", "management.tcp.ip = 127.0.0.1", "management.tcp.port = 15672",
		"prometheus.tcp.ip = 127.0.0.1", "prometheus.tcp.port = 15692",
	} {
		if !slices.Contains(strings.Split(string(content), "\n"), line) {
			t.Errorf("no %q in:\n%s", line, content)
		}
	}
	for _, variable := range []string{"ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT=4369", "RABBITMQ_DIST_PORT=25672", "HOME=" + n.Dir} {
		if !slices.Contains(n.Environment(), variable) {
			t.Errorf("no %s in %q", variable, n.Environment())
		}
	}
}

func TestHintNamesEverySystem(t *testing.T) {
	for _, word := range []string{"apt-get install rabbitmq-server", "dnf install rabbitmq-server", "brew install rabbitmq", "docker run", "DEVSTACK_EXTERNAL=rabbitmq"} {
		if !strings.Contains(Hint, word) {
			t.Errorf("the hint does not say %q", word)
		}
	}
}

func TestForeignVariables(t *testing.T) {
	for name, want := range map[string]bool{"RABBITMQ_NODENAME": true, "ERL_FLAGS": true, "NOTIFY_SOCKET": true, "PATH": false, "AMQP_URL": false} {
		if got := Foreign(name); got != want {
			t.Errorf("Foreign(%s) = %t, want %t", name, got, want)
		}
	}
}

func TestControlTalksToThePrivateNode(t *testing.T) {
	n := Node{Installation: Installation{Server: "/opt/it's/sbin/rabbitmq-server"}, Dir: filepath.Join(t.TempDir(), "node"), Ports: Ports{EPMD: 4370}}
	if err := n.Prepare(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(Control(n.Dir))
	if err != nil || info.Mode()&0o100 == 0 {
		t.Fatalf("%v, %v: not executable", info, err)
	}
	text, err := os.ReadFile(Control(n.Dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"HOME='" + n.Dir + "'", "ERL_EPMD_PORT=4370", `'/opt/it'\''s/sbin/rabbitmqctl' '-n' '` + nodeName + `'`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}
