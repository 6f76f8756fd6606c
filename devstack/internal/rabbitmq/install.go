package rabbitmq

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

//go:embed install.sh
var installScript []byte

// ErrMissing is returned when there is no RabbitMQ and it cannot be installed.
var ErrMissing = errors.New("rabbitmq-server is not installed")

// Hint explains how to install RabbitMQ.
const Hint = `RabbitMQ is needed, and this machine has none. Install it:
  Debian, Ubuntu   sudo apt-get install rabbitmq-server
  Fedora           sudo dnf install rabbitmq-server
  macOS            brew install rabbitmq
A service that the package starts may stay or go (sudo systemctl disable --now
rabbitmq-server): devstack runs a node of its own. Or use a broker that you have:
  docker run -d -p 127.0.0.1:5672:5672 -p 127.0.0.1:15672:15672 rabbitmq:management
  export DEVSTACK_EXTERNAL=rabbitmq AMQP_URL=amqp://guest:guest@127.0.0.1:5672/
`

// CanInstall reports whether Install has a chance: root, and apt-get.
func CanInstall() bool {
	_, err := exec.LookPath("apt-get")
	return err == nil && os.Geteuid() == 0
}

// installLimit covers a slow mirror, and a machine that updates itself first.
const installLimit = 20 * time.Minute

// Install installs the distribution's package without starting a system
// broker. progress is called with each step of the package manager.
func Install(ctx context.Context, progress func(line string)) error {
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-s")
	cmd.Stdin = bytes.NewReader(installScript)
	// SIGTERM lets the script restore what it changed.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	tail := newTail(20)
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			tail.add(lines.Text())
			if step(lines.Text()) {
				progress(strings.TrimSpace(lines.Text()))
			}
		}
		_, _ = io.Copy(io.Discard, reader) // after a line too long to scan
	}()
	err := cmd.Run()
	writer.Close()
	<-read
	if err != nil {
		return fmt.Errorf("install rabbitmq-server: %w\n%s", err, tail)
	}
	return nil
}

// step selects the lines that are useful as progress.
func step(line string) bool {
	for _, prefix := range []string{"Get:", "Fetched ", "Need to get ", "Setting up ", "E: ", "Err:"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// tail keeps the last lines.
type tail struct {
	lines []string
	limit int
}

func newTail(limit int) *tail { return &tail{limit: limit} }

func (t *tail) add(line string) {
	t.lines = append(t.lines, line)
	if len(t.lines) > t.limit {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string { return strings.Join(t.lines, "\n") }
