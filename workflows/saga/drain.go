package saga

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// TryAgain is the type of the error with which a run rejects an Update that is to be sent again, under the same id: either
// the log has the answer, or the run is about to continue as new.
const TryAgain = "TryAgain"

// ErrTryAgain makes that error.
func ErrTryAgain() error {
	return temporal.NewApplicationError(
		"the log has the answer, or the run is about to continue as new: read the log, then send the same Update again", TryAgain)
}

const (
	// maxUpdates is how many Updates a run takes before it continues as new. Temporal refuses all further ones after 2,000.
	maxUpdates = 1000
	// maxDrainRecords bounds how many decisions a run still records for Updates that wait, before it continues as new.
	maxDrainRecords = 10
)

// Drain controls the Updates of a run that is about to continue as new. Callers cannot delay it: new Updates are rejected with
// ErrTryAgain, and those that wait for an answer are released. The zero value takes Updates.
type Drain struct {
	updates          int
	closed, released bool
	recorded         int
}

// Count counts an Update that was taken.
func (d *Drain) Count() { d.updates++ }

// Closed reports whether new Updates are to be rejected, and Released whether those that wait are to return.
func (d *Drain) Closed() bool { return d.closed }

// Released reports whether Updates that wait for an answer are to return ErrTryAgain.
func (d *Drain) Released() bool { return d.released }

// Due reports whether the run should continue as new; if so, no new Update is accepted.
func (d *Drain) Due(ctx workflow.Context) bool {
	if d.updates >= maxUpdates || workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
		d.closed = true
	}
	return d.closed
}

// ready reports whether a run that is due continues as new instead of doing what is next. What an Update waits for is
// recorded first: that takes a moment, and the number of times is bounded.
func (d *Drain) ready(ctx workflow.Context, next ActionKind) bool {
	if next == Record && !workflow.AllHandlersFinished(ctx) && d.recorded < maxDrainRecords {
		d.recorded++
		return false
	}
	return next != Close
}

// Release has every Update that waits return.
func (d *Drain) Release(ctx workflow.Context) error {
	d.closed, d.released = true, true
	return workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}
