package saga

import (
	"time"

	"go.temporal.io/sdk/workflow"
)

// awaitStored returns when Temporal has stored that it accepted the Update whose handler calls it. A handler sets its fact after that.
//
// Temporal keeps an Update in memory until the workflow task that accepts it is completed. The server fails that task when, for
// example, an event arrives while the task closes the run (UnhandledCommand), and drops the Update: it is not in the next task. The
// effects of the task stay: its local activities have written to the log, and to participants. A run that acted on an Update which was not
// stored would not know of them, and the client that reads its answer in the log does not send the Update again. Signals are stored before
// a task has them.
func awaitStored(ctx workflow.Context) error {
	// The timer is started by the task that accepts the Update, and fires in a later one.
	timer := workflow.NewTimerWithOptions(ctx, time.Millisecond, workflow.TimerOptions{Summary: Summary("store the update")})
	return timer.Get(ctx, nil)
}
