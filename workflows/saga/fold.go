package saga

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Fold returns the state that records make of s. Records that s knows already are passed over. Errors: Unavailable for a gap and
// for an event whose version is newer than this code, Malformed for data that cannot be read.
func (f *Flow[S, P]) Fold(s S, records []event.Record) (S, error) {
	next := s
	k := kitOf(&next)
	if len(records) > 0 && records[len(records)-1].Version <= k.Head.Version {
		return s, nil
	}
	k.Slots = append(make([]Slot, 0, len(k.Slots)+len(records)), k.Slots...)
	if f.Clone != nil {
		f.Clone(&next)
	}
	k.Resolutions, k.ByHand, k.Causes = slices.Clone(k.Resolutions), slices.Clone(k.ByHand), slices.Clone(k.Causes)
	for _, r := range records {
		if r.Version <= k.Head.Version {
			continue
		}
		if r.Version != k.Head.Version+1 {
			return s, fault.Missing("stream %s has version %d where %d should be", r.Stream, r.Version, k.Head.Version+1)
		}
		if err := f.apply(&next, r); err != nil {
			return s, fault.Wrap(err, fault.CodeOf(err), "fold version %d of stream %s", r.Version, r.Stream)
		}
	}
	return next, nil
}

// FoldAt makes the state as it was at a time: the events after it have not happened yet. Errors: those of Fold.
func (f *Flow[S, P]) FoldAt(records []event.Record, at time.Time) (S, error) {
	if n := slices.IndexFunc(records, func(r event.Record) bool { return r.Time.After(at) }); n >= 0 {
		records = records[:n]
	}
	var s S
	return f.Fold(s, records)
}

// Must returns the state that a fold made, in workflow code. A record that cannot be folded was written by a newer version of this
// service: Must panics, which fails the workflow task and never the workflow. The task is retried until a worker that knows the
// version takes it.
func Must[S any](s S, err error) S {
	if err != nil {
		panic(err)
	}
	return s
}

// apply folds one record. A type that is not known changes nothing but the head, so that an older binary can read a newer
// stream; a version of a known type that is newer than this code is an error.
func (f *Flow[S, P]) apply(s *S, r event.Record) (err error) {
	if r.Event, err = r.Newest(); err != nil {
		return err
	}
	k := kitOf(s)
	if k.Head.Version == 0 {
		k.ID, k.CreatedAt, k.CorrelationID = r.Subject, r.Time, r.CorrelationID
		if id, ok := f.IDOf(r.Stream); ok && id != r.Subject {
			k.ID, k.EventSubject = id, r.Subject
		}
	}
	status, err := f.applySlot(s, r)
	if err == nil {
		status, err = f.applyKit(s, r, status)
	}
	if err == nil && f.Start != nil && r.Key == SlotAccept {
		err = f.Start.accept(s, r.Event)
	}
	if err == nil && f.Own != nil {
		err = f.Own(s, r)
	}
	if err != nil {
		return err
	}
	k.Head, k.UpdatedAt, k.LastEventID = r.HeadOf(), r.Time, r.ID
	if status != "" && (f.KeepsStatus == nil || !f.KeepsStatus(s, status)) {
		k.Flow = status
	}
	k.Status = k.Flow
	if k.Attention.Open && !k.Flow.Terminal() {
		k.Status = NeedsAttention
	}
	return nil
}

// outcome is what the kit reads in the data of an event that takes the slot of a row. The names are reserved.
type outcome struct {
	Reason        string `json:"reason"`
	ExpiresAt     string `json:"expiresAt"`
	EventIdentity string `json:"eventIdentity"`
}

// mayHaveOutcome reports whether the data of an event may have one of the fields of outcome; most have none.
func mayHaveOutcome(data []byte) bool {
	return bytes.Contains(data, []byte(`"reason"`)) || bytes.Contains(data, []byte(`"expiresAt"`)) || bytes.Contains(data, []byte(`"eventIdentity"`))
}

// applySlot folds an event that takes a slot of the table, and returns the status that it makes.
func (f *Flow[S, P]) applySlot(s *S, r event.Record) (Status, error) {
	k := kitOf(s)
	if f.ofPart(r) {
		return "", event.DecodeInto(r.Event, k.applyPart)
	}
	row, ofRow := f.rowOf(r.Key)
	if row == nil && !ofRow && r.Key != SlotAccept && r.Key != SlotDecide && r.Key != SlotTurn && r.Key != SlotEnd {
		return "", nil
	}
	slot := Slot{Key: r.Key, Type: r.Type, At: r.Time}
	var status Status
	if row != nil {
		if mayHaveOutcome(r.Data) {
			d, err := event.Decode[outcome](r.Event)
			if err != nil {
				return "", err
			}
			slot.Reason, slot.ExpiresAt = d.Reason, timeOf(d.ExpiresAt)
			k.causedBy(d.EventIdentity)
		}
		switch {
		case r.Type == row.Done:
			status = row.Status
		case row.Pending != nil && r.Type == row.Pending.Event:
			status = row.Pending.Status
		}
	}
	k.Slots = append(k.Slots, slot)
	return status, nil
}

// rowOf returns the row that has a slot, and reports whether the slot belongs to the table without being a row's own.
func (f *Flow[S, P]) rowOf(key string) (row *Step[S, P], known bool) {
	for i := range f.Steps {
		row := &f.Steps[i]
		slot := row.slot()
		rest, own := strings.CutPrefix(key, slot)
		switch {
		case own && (rest == "" || rest == slotPending):
			return row, true
		case row.Parts != nil && row.Parts.Follow != nil && strings.HasPrefix(key, row.Parts.Follow.slot()+"/"):
			return row.Parts.Follow, true
		case own && rest == slotSettled, strings.HasPrefix(key, slotUndo) && key[len(slotUndo):] == row.Name:
			return nil, true
		case row.Wait != nil && row.Wait.AfterCancel != nil && key == row.Wait.AfterCancel.Step:
			return nil, true
		}
	}
	return nil, false
}

// applyKit folds an event that every flow has. Status is what the event makes of the status so far.
func (f *Flow[S, P]) applyKit(s *S, r event.Record, status Status) (Status, error) {
	k := kitOf(s)
	kind, own := strings.CutPrefix(r.Type, f.prefix())
	if !own || kind == "" || kind[0] != '.' {
		return status, nil
	}
	kind = kind[1:]
	pivot := r.Key == SlotDecide || r.Key == SlotTurn
	if Status(kind).Terminal() && r.Key != SlotEnd || (kind == kindSettling || kind == kindCompensating) && !pivot {
		return status, nil
	}
	switch kind {
	case kindAccepted:
		return Accepted, nil
	case kindSettling:
		k.Decision = GoForward
		return f.pivotStatus(), nil
	case kindCompensating:
		return Compensating, event.DecodeInto(r.Event, func(d Ending) {
			k.Decision, k.Ending, k.Reason, k.Detail = GoBack, d, d.Reason, d.Detail
			k.causedBy(d.EventIdentity)
			if d.RequestID != "" {
				k.Resolutions = AddResolution(k.Resolutions, d.RequestID)
			}
		})
	case string(Completed), string(Rejected), string(Cancelled), string(Failed):
		return Status(kind), event.DecodeInto(r.Event, func(d Ending) { k.Ended, k.Reason, k.Detail = true, d.Reason, d.Detail })
	case kindCancellationRefused:
		k.CancelRefused = true
	case kindNeedsAttention:
		return status, event.DecodeInto(r.Event, func(d Attention) {
			k.HappenedAfterCancel = k.HappenedAfterCancel || f.troubleAfterCancel(d.Step) != nil
			k.Attention = d.Opened(k.Attention, r.Time)
			if f.Item != nil {
				k.AttentionItem, _ = f.Item(s, d.Step)
			}
		})
	case kindStepRetried, kindStepSkipped, kindStepSubstituted:
		return status, event.DecodeInto(r.Event, func(d ResolutionData) {
			if row := f.partsRow(); d.Action != Retry && row != nil && (d.Step == row.Name || row.Parts.follows(d.Step)) {
				k.Attention.Decided, k.Attention.By = d.Action, d.By
			}
			k.resolved(d, r.Time, f.Next == nil && f.hasStep(d.Step) && !aboutPart(r.Key))
		})
	case kindAttentionResolved:
		k.Attention.Open = false
	}
	return status, nil
}

// pivotStatus is the status of a saga whose pivot has decided forward.
func (f *Flow[S, P]) pivotStatus() Status {
	for i := range f.Steps {
		if f.Steps[i].Kind == Pivot {
			return f.Steps[i].Status
		}
	}
	return ""
}

// troubleAfterCancel returns the rule for events that arrive although the saga has turned back, by the name that events give it.
func (f *Flow[S, P]) troubleAfterCancel(step string) *Trouble {
	for i := range f.Steps {
		if w := f.Steps[i].Wait; w != nil && w.AfterCancel != nil && w.AfterCancel.Step == step {
			return w.AfterCancel
		}
	}
	return nil
}

// hasStep reports whether a step is in the table, or is a name that the table gives to what strays.
func (f *Flow[S, P]) hasStep(name string) bool {
	for row := range f.Operated() {
		if row.Name == name {
			return true
		}
	}
	return f.troubleAfterCancel(name) != nil
}

// resolved folds a resolution. What settles something else than a step of the table is the flow's to remember.
func (s *Saga) resolved(d ResolutionData, at time.Time, ofTable bool) {
	s.Resolutions = AddResolution(s.Resolutions, d.RequestID)
	if d.Action == Retry {
		s.Attention.Retries++
		s.Attention.NextTry = at
		return
	}
	if !ofTable {
		return
	}
	s.ByHand = append(s.ByHand, ByHand{Step: d.Step, Undo: d.Undo, Action: d.Action, By: d.By})
}

// causedBy remembers the identity of the event that caused a record.
func (s *Saga) causedBy(identity string) {
	if identity != "" && !s.Caused(identity) {
		s.Causes = append(s.Causes, identity)
	}
}
