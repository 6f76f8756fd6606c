package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"strconv"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Violation is the data of reconcile.violation_found.
type Violation struct {
	Kind Kind `json:"kind"`
	// Subject is the order id, the SKU or the stream that it is about.
	Subject string `json:"subject"`
	// Stream and Version are what it was seen at.
	Stream  string `json:"stream"`
	Version int64  `json:"version"`
	// Detail is for people.
	Detail string `json:"detail"`
}

// repairs are the repairs by a run of a saga, with their texts.
var repairs = map[Repair]struct {
	done string
	do   func(s FlowSagas, ctx context.Context, id string) error
}{
	RepairResume:    {"started a run that continues from the log", FlowSagas.StartRun},
	RepairSettle:    {"started a run that handles it", FlowSagas.StartRun},
	RepairOnboard:   {"started a run that continues the onboarding", FlowSagas.StartRun},
	RepairNotify:    {"started a run that continues the message", FlowSagas.StartRun},
	RepairRerun:     {"started a run with the order from Temporal", FlowSagas.Rerun},
	RepairRepublish: {"started a run that publishes every event again", FlowSagas.Republish},
	RepairSignal:    {"sent the signal again", FlowSagas.ResendSignals},
}

// repair repairs a finding, or returns what the repair would be.
func (r *Reconciler) repair(ctx context.Context, o Options, f *Finding) {
	meaning := MeaningOf(f.Kind)
	f.Repair = string(meaning.Repair)
	if !f.Note {
		r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "invariant violated", slog.String("kind", string(f.Kind)),
			slog.String("subject", f.Subject), slog.String("detail", f.Detail), slog.Bool("repair", o.Repair))
	}
	if !o.Repair {
		return
	}
	var err error
	repair, does := repairs[meaning.Repair]
	flow, id, known := r.flowOf(f.at.stream)
	switch {
	case does && known:
		err = repair.do(flow.Sagas, ctx, id)
		f.Repair, f.Repaired = repair.done, err == nil
	case meaning.Repair == RepairList && known:
		err = flow.RebuildEntry(ctx, f.at.stream)
		f.Repair, f.Repaired = "wrote the list entry again", err == nil
	case meaning.Repair == RepairShortage:
		err = r.cfg.Shortages.SettleShortage(ctx, f.Subject)
		f.Repair, f.Repaired = "started a run that notifies the orders that hold it", err == nil
	case meaning.Repair == RepairRecord:
		err = r.record(ctx, *f)
		f.Repair = "recorded in stream " + event.ReconcileStream(f.at.stream) + "; a person must resolve it"
	}
	if err != nil {
		f.Repair = "failed: " + err.Error()
	}
}

// recordAttempts bounds how often a violation goes after a tail that keeps growing.
const recordAttempts = 10

// record writes the violation down, once, in a stream of its own.
func (r *Reconciler) record(ctx context.Context, f Finding) error {
	stream := event.ReconcileStream(f.at.stream)
	entry := event.New(stream, string(f.Kind)+"@"+strconv.FormatInt(f.at.version, 10), event.ReconcileViolationFound, f.Subject, r.cfg.Clock(),
		Violation{Kind: f.Kind, Subject: f.Subject, Stream: f.at.stream, Version: f.at.version, Detail: f.Detail})
	var head event.Head
	for range recordAttempts {
		next, _, err := r.cfg.Log.Append(ctx, stream, head, []event.Entry{entry})
		switch {
		case err == nil, errors.Is(err, fault.KeyTaken):
			return nil
		case !errors.Is(err, fault.Concurrency):
			return fault.Wrap(err, fault.CodeOf(err), "record %s of %s", f.Kind, f.Subject)
		}
		head = next
	}
	return fault.New(fault.Unavailable, "stream %s grows faster than a violation can be recorded", stream)
}
