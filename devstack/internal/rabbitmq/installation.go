package rabbitmq

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Variables that name another installation than the machine's own.
const (
	InstallationVariable = "DEVSTACK_RABBITMQ"
	ErlangVariable       = "DEVSTACK_ERLANG"
)

// Installation is a RabbitMQ that can be started.
type Installation struct {
	// Server is the path of the rabbitmq-server script, as the node sees it; rabbitmqctl is in the same folder.
	Server string
	// Root is the root folder of another system that the node runs in; empty for this one.
	Root string
	// Erlang is the folder that has erl, as the node sees it; empty for the one on the PATH.
	Erlang string
	// Name tells the data of a named installation from that of others: nodes of different versions cannot share
	// it. Empty for the machine's own.
	Name string
}

// rootPath is the PATH in the root folder of another system: the usual one, and where the official container image has
// RabbitMQ and Erlang.
const rootPath = "/opt/rabbitmq/sbin:/opt/erlang/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// rootPlaces are where a root folder may have the script, besides places.
var rootPlaces = append([]string{"/usr/local/rabbitmq/sbin/rabbitmq-server"}, places...)

// Find returns this machine's own installation, or false.
func Find() (Installation, bool) {
	server, ok := find(places)
	return Installation{Server: server}, ok
}

// Locate returns the installation at a path: the rabbitmq-server script, the folder that contains it, a folder with sbin
// in it (an unpacked generic archive), or the root folder of another system (made by debootstrap, or unpacked from a
// container image). erlang is the folder that has erl, or one with bin/erl in it; empty for the PATH's. In a root
// folder it is a path inside of it.
func Locate(path, erlang string) (Installation, error) {
	if path == "" {
		return Installation{}, fmt.Errorf("%s is set without %s", ErlangVariable, InstallationVariable)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return Installation{}, fmt.Errorf("%s: %w", InstallationVariable, err)
	}
	i := Installation{Name: nameOf(path)}
	if isRoot(path) {
		i.Root = path
		if err := canEnterRoot(); err != nil {
			return Installation{}, fmt.Errorf("%s=%s is the root folder of another system: %w", InstallationVariable, path, err)
		}
	}
	if i.Server = i.serverAt(path); i.Server == "" {
		return Installation{}, fmt.Errorf("%s=%s: no rabbitmq-server there; name the script, its folder, "+
			"an installation with sbin/rabbitmq-server, or the root folder of a system that has one", InstallationVariable, path)
	}
	if erlang != "" {
		if i.Erlang, err = i.erlangAt(erlang); err != nil {
			return Installation{}, err
		}
	}
	return i, nil
}

// isRoot reports whether a folder is the root of a system.
func isRoot(path string) bool {
	etc, err := os.Stat(filepath.Join(path, "etc"))
	return err == nil && etc.IsDir() && isProgram(filepath.Join(path, "bin", "sh"))
}

// canEnterRoot reports what is missing to run a program in another root folder.
func canEnterRoot() error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return errors.New("running RabbitMQ in it needs Linux and root (unshare, mount, chroot)")
	}
	for _, program := range []string{"unshare", "mount", "chroot"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("running RabbitMQ in it needs %s: %w", program, err)
		}
	}
	return nil
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// serverAt returns the script that belongs to a path, or an empty string.
func (i Installation) serverAt(path string) string {
	if i.Root != "" {
		patterns := make([]string, len(rootPlaces))
		for n, place := range rootPlaces {
			patterns[n] = filepath.Join(i.Root, place)
		}
		if server, ok := newest(patterns); ok {
			return strings.TrimPrefix(server, filepath.Clean(i.Root))
		}
		return ""
	}
	if filepath.Base(path) == "rabbitmq-server" && isProgram(path) {
		return path
	}
	for _, below := range []string{"", "sbin", "bin"} {
		if server := filepath.Join(path, below, "rabbitmq-server"); isProgram(server) {
			return server
		}
	}
	return ""
}

// erlangAt returns the folder that has erl.
func (i Installation) erlangAt(path string) (string, error) {
	if i.Root == "" {
		var err error
		if path, err = filepath.Abs(path); err != nil {
			return "", fmt.Errorf("%s: %w", ErlangVariable, err)
		}
	}
	for _, folder := range []string{path, filepath.Join(path, "bin")} {
		if isProgram(filepath.Join(i.Root, folder, "erl")) {
			return folder, nil
		}
	}
	return "", fmt.Errorf("%s=%s: no erl there; name the folder that has it", ErlangVariable, path)
}

// nameOf returns a short name for a path.
func nameOf(path string) string {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(path)) // never fails
	return fmt.Sprintf("%08x", sum.Sum32())
}

// enterRoot is a shell script that runs a command in the root folder $1 of another system, with the folder $2 at
// rootState and PATH $3. The mounts are seen by that command alone and end with it.
const enterRoot = `root=$1 state=$2 path=$3; shift 3
mount --bind "$state" "$root` + rootState + `" && mount --rbind /proc "$root/proc" && mount --rbind /dev "$root/dev" || exit
if [ -e "$root/etc/hosts" ]; then mount --bind /etc/hosts "$root/etc/hosts" || exit; fi
PATH=$path LANG=C.UTF-8; export PATH LANG
exec "$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v chroot)" "$root" "$@"`

// rootState is where a node in another root folder sees its own folder: /mnt is in every one, and empty.
const rootState = "/mnt"

// command returns the command line that runs a program of the installation with the node's folder.
func (i Installation) command(dir string, args ...string) []string {
	if i.Root != "" {
		path := rootPath
		if i.Erlang != "" {
			path = i.Erlang + ":" + path
		}
		return append([]string{"unshare", "--mount", "--", "/bin/sh", "-c", enterRoot, "enter-root", i.Root, dir, path}, args...)
	}
	if i.Erlang != "" {
		return append([]string{"/bin/sh", "-c", `PATH=$1:$PATH; export PATH; shift; exec "$@"`, "with-erlang", i.Erlang}, args...)
	}
	return args
}
