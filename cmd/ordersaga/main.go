// Command ordersaga runs order sagas: the REST API, the Temporal workers and the event consumer, together or
// each on its own.
package main

import "github.com/ordersaga/ordersaga/runtime"

// version is set by the build: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	runtime.Version = version
	runtime.Main()
}
