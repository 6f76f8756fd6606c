package e2e

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// program is a process whose lines a test reads while it runs.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	done  chan struct{}
	mu    sync.Mutex
	said  []string
}

// startProgram runs a command; it is killed when the test ends.
func startProgram(t *testing.T, env []string, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(name, args...), lines: make(chan string, 10_000), done: make(chan struct{})}
	p.cmd.Env = append(environ(), env...)
	reader, writer := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = writer, writer
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		_ = writer.Close()
	}()
	go func() {
		defer close(p.done)
		for scanner := bufio.NewScanner(reader); scanner.Scan(); {
			p.mu.Lock()
			p.said = append(p.said, scanner.Text())
			p.mu.Unlock()
			p.lines <- scanner.Text()
		}
		_, _ = io.Copy(io.Discard, reader)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(name), strings.Join(p.all(), "\n"))
		}
	})
	return p
}

// all are the lines so far.
func (p *program) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.said...)
}

// await returns the match of the pattern's first group in the next line that matches, and skips the lines before it.
func (p *program) await(pattern string) string {
	p.t.Helper()
	expr := regexp.MustCompile(pattern)
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		select {
		case line := <-p.lines:
			if match := expr.FindStringSubmatch(line); match != nil {
				return match[len(match)-1]
			}
		case <-timeout.C:
			require.FailNow(p.t, "no such line", "%s", pattern)
		}
	}
}

// stop ends the process as Ctrl-C does, and returns its exit code.
func (p *program) stop() int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGINT))
	p.wait()
	return p.cmd.ProcessState.ExitCode()
}

// kill kills the process.
func (p *program) kill() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Kill())
	p.wait()
}

func (p *program) wait() {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		require.FailNow(p.t, "it does not end")
	}
}

// goBuild builds a package of this module, as `make build` does, and returns the binary.
func goBuild(t *testing.T, path string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(path))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", out, path)
	build.Env = append(environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	return out
}
