package saga

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// StartedWith reports whether a saga was started with data that ReadStart has read. Errors: those of Fold.
func (f *Flow[S, P]) StartedWith(records []event.Record, data json.RawMessage) (bool, error) {
	var none S
	s, err := f.Fold(none, records)
	return err == nil && f.SameStart(&s, data), err
}

// Answers reports whether a saga has recorded the effect of an event, or what answers it: then nothing follows when it comes again. Errors:
// those of Fold.
func (f *Flow[S, P]) Answers(records []event.Record, e LateEvent) (bool, error) {
	var none S
	s, err := f.Fold(none, records)
	if err != nil {
		return false, err
	}
	k := kitOf(&s)
	return f.Answered(&s, e) || e.Type == f.cancelRequested() && k.Cancelling() && !k.Ended, nil
}

// Due says what a saga is to do next, by what its records and facts say, and how long a run may be at it; "" when it waits for something, or is
// over. Timing is how long its waits last. Errors: those of Fold.
func (f *Flow[S, P]) Due(records []event.Record, facts Facts, now time.Time, timing Timing) (what string, within time.Duration, err error) {
	var none S
	s, err := f.Fold(none, records)
	if err != nil {
		return "", 0, err
	}
	a := f.Decide(s, facts, now, timing)
	if a.Kind == Wait || a.Kind == Close || kitOf(&s).Ended {
		return "", 0, nil
	}
	if row := f.row(&s, a.Step); row != nil && row.Deadline != "" && a.Kind == Do {
		// The participant may have asked to be asked again later, which the log does not say.
		within = timing(row.Deadline)
	}
	return string(a.Kind) + " " + a.Step, within, nil
}

// tooLong reports whether data is more than a run takes: see carried.
func tooLong(data json.RawMessage) bool {
	var compact bytes.Buffer
	return json.Compact(&compact, data) != nil || compact.Len() > maxFactData
}
