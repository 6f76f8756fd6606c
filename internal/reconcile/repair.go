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

// mend does what can be done about a finding, or says what would be.
func (r *Reconciler) mend(ctx context.Context, o Options, f *Finding) {
	meaning := meanings[f.Kind]
	f.Repair = string(meaning.Repair)
	if !f.Note {
		r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "something that must hold does not", slog.String("kind", string(f.Kind)),
			slog.String("subject", f.Subject), slog.String("detail", f.Detail), slog.Bool("repair", o.Repair))
	}
	if !o.Repair {
		return
	}
	var err error
	switch meaning.Repair {
	case RepairResume:
		_, err = r.cfg.Sagas.Resume(ctx, f.Subject)
		f.Repair = "a run was started that goes on from the log"
	case RepairRerun:
		err = r.cfg.Sagas.Rerun(ctx, f.Subject)
		f.Repair = "a run was started that begins with the order from Temporal"
	case RepairRepublish:
		err = r.cfg.Sagas.Republish(ctx, f.Subject)
		f.Repair = "a run was started that publishes every event again"
	case RepairSignal:
		err = r.cfg.Sagas.TellAgain(ctx, f.Subject)
		f.Repair = "the order was told again"
	case RepairSettle:
		err = r.cfg.Sagas.ResumeLate(ctx, f.Subject)
		f.Repair = "a run was started that settles it"
	case RepairShortage:
		err = r.cfg.Sagas.SettleShortage(ctx, f.Subject)
		f.Repair = "a run was started that asks the orders that hold it"
	case RepairOnboard:
		err = r.cfg.Sagas.Onboard(ctx, f.Subject, true)
		f.Repair = "a run was started that goes on with the customer"
	case RepairNotify:
		err = r.cfg.Sagas.ResumeNotice(ctx, f.Subject)
		f.Repair = "a run was started that goes on with the message"
	case RepairList:
		err = r.cfg.List.Mend(ctx, f.Subject)
		f.Repair = "the list entry was made anew"
	case RepairRecord:
		if err = r.record(ctx, *f); err == nil {
			f.Repair = "recorded in stream " + event.ReconcileStream(f.stream) + ", for people to mend"
			return
		}
	default:
		return
	}
	if err != nil {
		f.Repair = "failed: " + err.Error()
		return
	}
	f.Repaired = true
}

// recordAttempts bounds how often a violation goes after a tail that keeps growing.
const recordAttempts = 10

// record writes the violation down, once, in a stream of its own.
func (r *Reconciler) record(ctx context.Context, f Finding) error {
	stream := event.ReconcileStream(f.stream)
	entry := event.New(stream, string(f.Kind)+"@"+strconv.FormatInt(f.version, 10), event.ReconcileViolationFound, f.Subject, r.cfg.Clock(),
		Violation{Kind: f.Kind, Subject: f.Subject, Stream: f.stream, Version: f.version, Detail: f.Detail})
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

func itoa(n int) string { return strconv.Itoa(n) }
