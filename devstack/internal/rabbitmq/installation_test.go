package rabbitmq

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestLocate(t *testing.T) {
	folder := t.TempDir()
	server := script(t, folder, "rabbitmq_server-4.3.6", "sbin", "rabbitmq-server")
	script(t, folder, "erlang", "bin", "erl")
	for _, path := range []string{server, filepath.Dir(server), filepath.Dir(filepath.Dir(server))} {
		i, err := Locate(path, filepath.Join(folder, "erlang"))
		if err != nil || i.Server != server || i.Root != "" || i.Erlang != filepath.Join(folder, "erlang", "bin") || i.Name == "" {
			t.Errorf("Locate(%s) = %+v, %v", path, i, err)
		}
	}
	one, _ := Locate(server, "")
	other, err := Locate(script(t, folder, "rabbitmq_server-4.0.5", "sbin", "rabbitmq-server"), "")
	if err != nil || one.Name == other.Name {
		t.Errorf("%+v and %+v would share their data, %v", one, other, err)
	}
	for _, test := range []struct{ path, erlang, want string }{
		{filepath.Join(folder, "nowhere"), "", "no rabbitmq-server there"},
		{folder, "", "no rabbitmq-server there"},
		{server, filepath.Join(folder, "nowhere"), "no erl there"},
		{"", folder, "DEVSTACK_ERLANG is set without DEVSTACK_RABBITMQ"},
	} {
		if _, err := Locate(test.path, test.erlang); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Locate(%q, %q) = %v, want %q", test.path, test.erlang, err, test.want)
		}
	}
}

// The root folder of another system: paths are those that the node sees, and its folder is where it sees it.
func TestLocateInARootFolder(t *testing.T) {
	root := t.TempDir()
	script(t, root, "bin", "sh")
	script(t, root, "sbin", "rabbitmq-server") // the package's wrapper, which insists on a system user
	script(t, root, "usr", "lib", "rabbitmq", "bin", "rabbitmq-server")
	script(t, root, "usr", "local", "otp", "bin", "erl")
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	i, err := Locate(root, "/usr/local/otp")
	if canEnterRoot() != nil {
		if err == nil || !strings.Contains(err.Error(), "needs") {
			t.Fatalf("%+v, %v: what is missing is not named", i, err)
		}
		return
	}
	if err != nil || i.Root != root || i.Server != "/usr/lib/rabbitmq/bin/rabbitmq-server" || i.Erlang != "/usr/local/otp/bin" {
		t.Fatalf("%+v, %v", i, err)
	}
	n := Node{Installation: i, Dir: t.TempDir()}
	if environment := strings.Join(n.Environment(), " "); strings.Contains(environment, n.Dir) || !strings.Contains(environment, "HOME=/mnt ") {
		t.Errorf("the node would look for its files at %s", environment)
	}
}

// The command sees the other system's files and the node's folder, and its mounts are gone with it.
func TestCommandRunsInARootFolder(t *testing.T) {
	if err := canEnterRoot(); err != nil {
		t.Skip(err)
	}
	if out, err := exec.Command("unshare", "--mount", "--", "mount", "--bind", "/mnt", "/mnt").CombinedOutput(); err != nil {
		t.Skipf("no right to mount: %v: %s", err, out)
	}
	root, dir := t.TempDir(), t.TempDir()
	for _, name := range []string{"mnt", "proc", "dev"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cookie"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	// This machine's programs, in a folder that has nothing else.
	for _, name := range []string{"usr", "bin", "lib", "lib64"} {
		if _, err := os.Stat("/" + name); err != nil {
			continue
		}
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command := Installation{Root: root}.command(dir, "/bin/sh", "-c", `cat /mnt/cookie && test -r /proc/self/stat && test ! -e /tmp`)
	mounted := `for name in usr bin lib lib64; do if [ -e "/$name" ]; then mount --rbind "/$name" "$0/$name" || exit; fi; done; exec "$@"`
	out, err := exec.Command("unshare", append([]string{"--mount", "--", "/bin/sh", "-c", mounted, root}, command...)...).CombinedOutput()
	if err != nil || string(out) != "secret" {
		t.Errorf("%v: %s", err, out)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), root) {
		t.Errorf("something is still mounted in %s, %v", root, err)
	}
}
