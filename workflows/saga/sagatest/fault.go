package sagatest

import (
	"time"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// faultKind is what happens at a point.
type faultKind string

const (
	faultError     faultKind = "error"
	faultOutage    faultKind = "outage"
	faultCrash     faultKind = "crash"
	faultLate      faultKind = "late attempt"
	faultPause     faultKind = "pause"
	faultSecond    faultKind = "second run"
	faultCancel    faultKind = "cancellation"
	faultOvertaken faultKind = "overtaken"
	faultDuplicate faultKind = "duplicates"
	faultStray     faultKind = "strays"
	faultContinue  faultKind = "continue"
)

var faults = []faultKind{
	faultError, faultOutage, faultCrash, faultLate, faultPause, faultSecond, faultCancel, faultOvertaken, faultDuplicate, faultStray, faultContinue,
}

// applies reports whether the fault of a cell means something at its point.
func (p *plan[S, P]) applies(c cell) bool {
	switch c.fault {
	case faultOvertaken:
		row := p.rowOf(c.point)
		return c.mode == regular && c.point.op == string(saga.Do) && row != nil && row.Kind == saga.Compensable && c.scenario == scenario{}
	case faultError, faultOutage, faultCrash, faultLate:
		return true
	}
	return c.point.op != opPublish
}

// besides are the statuses with which a saga may end because of its fault.
func (p *plan[S, P]) besides(c cell) []saga.Status {
	switch c.fault {
	case faultOutage, faultPause:
		return []saga.Status{saga.Failed}
	case faultCancel, faultOvertaken:
		return []saga.Status{saga.Cancelled}
	}
	return nil
}

// rowOf is the row of a point, or the step that follows from decisions about parts; nil when it is of the kit.
func (p *plan[S, P]) rowOf(at point) *saga.Step[S, P] {
	for row := range p.Flow.Operated() {
		if row.Name == at.row {
			return row
		}
	}
	return nil
}

// parts is the row that is fulfilled in parts; nil if there is none.
func (p *plan[S, P]) parts() *saga.Step[S, P] {
	for i := range p.Flow.Steps {
		if row := &p.Flow.Steps[i]; row.Parts != nil {
			return row
		}
	}
	return nil
}

// errUnavailable is what a call fails with that may come through later.
func errUnavailable(at point) error {
	return fault.New(fault.Unavailable, "%s of %s: no answer", at.op, at.row)
}

// errGone is what a call of a run fails with that has ended: it does nothing any more.
var errGone = fault.New(fault.Invalid, "the run has ended")

// outage has attempts fail at a point.
type outage struct {
	at    point
	until time.Time
}

const (
	// kitOutage is how long an outage of the service's own stores lasts; moreThan is added to a deadline to be past it.
	kitOutage = 5 * time.Minute
	moreThan  = time.Minute
)

// outageAt is how long an operation must fail until something follows from it.
func (p *plan[S, P]) outageAt(at point) time.Duration {
	row := p.rowOf(at)
	switch {
	case row == nil || at.op == opRecord || at.op == rowTurn:
		return kitOutage
	case at.op == string(saga.Lookup):
		return row.Lookup.Within + moreThan
	case at.op == string(saga.Do) && row.Deadline != "":
		return p.Settings.Of(row.Deadline) + moreThan
	}
	return p.Settings.Attention + moreThan
}

// inject has the fault happen to an attempt. The error is what the attempt fails with.
func (t *trial[S, P]) inject(e *execution[S, P], a attemptKey) error {
	switch t.cell.fault {
	case faultError:
		return errUnavailable(t.cell.point)
	case faultOutage:
		t.locked(func() {
			t.outages = append(t.outages, outage{t.cell.point, e.env.Now().Add(t.plan.outageAt(t.cell.point))})
		})
		return errUnavailable(t.cell.point)
	case faultCrash:
		e.crash()
		return errGone
	case faultLate, faultPause:
		e.cut(a)
		e.abandon()
	case faultSecond:
		e.abandon()
	case faultCancel:
		t.cancel()
	case faultOvertaken:
		t.cancel()
		e.wait(a)
	case faultDuplicate:
		t.repeat()
	case faultStray:
		t.unrelatedFact()
	case faultContinue:
		e.continueAsNew()
	}
	return nil
}
