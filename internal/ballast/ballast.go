// Package ballast keeps the garbage collector from running for every few dozen orders.
package ballast

import (
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// size is how much the heap seems to hold at least. The collector runs when the heap has doubled: with the few dozen
// megabytes that a service without parked sagas lives on, it would run for every few dozen orders. The ballast is never
// written to, so that the operating system gives no memory for it; what it costs is up to as much garbage more.
const size = 64 << 20

var ballast []byte

// roomy is how much memory a container must have for a ballast: it doubles what a small service takes.
const roomy = 512 << 20

// Load is called once, when a process begins. What is set with GOGC or GOMEMLIMIT counts as ever, and a small container
// gets no ballast.
func Load() {
	if os.Getenv("GOMEMLIMIT") == "" && os.Getenv("GOGC") == "" && memoryLimit("/sys/fs/cgroup/memory.max") >= roomy {
		ballast = make([]byte, size)
		runtime.KeepAlive(&ballast)
	}
}

// memoryLimit is the limit of the control group (Linux, cgroup v2: memory.max); the largest number where there is none.
func memoryLimit(path string) int64 {
	raw, err := os.ReadFile(path)
	if err != nil {
		return math.MaxInt64
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil { // "max"
		return math.MaxInt64
	}
	return limit
}
