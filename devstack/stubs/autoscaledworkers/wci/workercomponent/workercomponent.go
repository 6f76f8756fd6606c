// Package workercomponent registers nothing with the system worker.
package workercomponent

import "go.uber.org/fx"

// Module is empty.
var Module = fx.Options()
