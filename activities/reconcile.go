package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
)

// NameReconcile is the registered name of the check of everything that must hold. Never rename it.
const NameReconcile = "order.Reconcile"

// heartbeatEvery is how often a check says that it is alive, also when a store is slow to answer.
const heartbeatEvery = 10 * time.Second

// ReconcileInput says what a check does.
type ReconcileInput struct {
	// Repair repairs what can be repaired, and records the rest.
	Repair bool `json:"repair"`
	// Stale is how long a run may be without progress; 0 is the default.
	Stale time.Duration `json:"stale,omitempty"`
	// Since spares questions about orders that ended longer ago than that; 0 asks about all of them.
	Since time.Duration `json:"since,omitempty"`
	// Now is the workflow's time, which the orders' deadlines are measured in; the workflow sets it.
	Now time.Time `json:"now,omitzero"`
}

// ReconcileFinding is something that does not hold, or a note.
type ReconcileFinding struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	Detail  string `json:"detail"`
	// Repair says what would be done, or was.
	Repair   string `json:"repair"`
	Repaired bool   `json:"repaired,omitempty"`
	Note     bool   `json:"note,omitempty"`
}

// ReconcileResult is what a check found and did.
type ReconcileResult struct {
	Violations int `json:"violations"`
	Repaired   int `json:"repaired"`
	Notes      int `json:"notes"`
	Orders     int `json:"orders"`
	Streams    int `json:"streams"`
	SKUs       int `json:"skus"`
	Payments   int `json:"payments"`
	// Findings are the first of them.
	Findings   []ReconcileFinding `json:"findings,omitempty"`
	TookMillis int64              `json:"tookMillis"`
}

// Reconciler checks what must hold; see internal/reconcile. Progress is called now and then with what was looked at so
// far.
type Reconciler interface {
	Reconcile(ctx context.Context, in ReconcileInput, progress func(streams int)) (ReconcileResult, error)
}

// Reconciliation is the activity that checks what must hold.
type Reconciliation struct{ Reconciler Reconciler }

// Reconcile checks everything, and says meanwhile that it is alive.
func (r *Reconciliation) Reconcile(ctx context.Context, in ReconcileInput) (ReconcileResult, error) {
	if !in.Now.IsZero() {
		in.Now = attemptTime(ctx, in.Now)
	}
	progress := make(chan int, 1)
	ctx, cancel := context.WithCancel(ctx)
	alive := make(chan struct{})
	go func() {
		defer close(alive)
		beat(ctx, progress)
	}()
	result, err := r.Reconciler.Reconcile(ctx, in, func(streams int) {
		select {
		case progress <- streams:
		default:
		}
	})
	cancel()
	<-alive
	return result, ToTemporal(err)
}

// beat heartbeats until the context ends.
func beat(ctx context.Context, progress <-chan int) {
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	streams := 0
	for {
		activity.RecordHeartbeat(ctx, streams)
		select {
		case streams = <-progress:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
