package main

import (
	"os"
	"runtime"
)

// ballastBytes is how much the heap seems to hold at least. The collector runs when the heap has doubled: with the few dozen
// megabytes that a service without parked sagas lives on, it would run for every few dozen orders. The ballast is never
// written to, so that the operating system gives no memory for it; what it costs is up to as much garbage more. What is
// set with GOGC or GOMEMLIMIT counts as ever.
const ballastBytes = 64 << 20

var ballast []byte

// loadBallast is called once. GOGC=off and small limits are left alone.
func loadBallast() {
	if os.Getenv("GOMEMLIMIT") == "" && os.Getenv("GOGC") == "" {
		ballast = make([]byte, ballastBytes)
		runtime.KeepAlive(&ballast)
	}
}
