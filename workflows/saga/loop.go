package saga

import "time"

// Loop is what Run asks of a flow that has no deadlines and about which a person has nothing to decide. A run embeds it, and has methods
// of its own for what is different. The zero value is ready.
type Loop[In any] struct{ drain Drain }

// Durable returns the same input: nothing of it is for an inline step only.
func (l *Loop[In]) Durable(in In) In { return in }

// Fast reports that remote calls never run inside a workflow task.
func (l *Loop[In]) Fast() bool { return false }

// Interrupts reports that nothing makes an attempt pointless.
func (l *Loop[In]) Interrupts(Action) bool { return false }

// GiveUp is not called without deadlines.
func (l *Loop[In]) GiveUp(Action, In, error) {}

// Raise does nothing: the step is tried again, and the driver shows why it is stuck.
func (l *Loop[In]) Raise(Stuck) {}

// Patience is AttentionTimeout.
func (l *Loop[In]) Patience() time.Duration { return AttentionTimeout }

// Drain is what callers see of the run when it is about to continue as new.
func (l *Loop[In]) Drain() *Drain { return &l.drain }

// MayContinueAsNew reports that everything which the run knows is in the log.
func (l *Loop[In]) MayContinueAsNew() bool { return true }
