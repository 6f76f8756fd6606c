package saga

import (
	"encoding/json"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// Fact is what an event from outside said, as far as it is used.
type Fact struct {
	Type string `json:"type"`
	// ID is derived from the event's source and ID; Cause is the event's ID.
	ID    string `json:"id"`
	Cause string `json:"cause,omitempty"`
	// Identity names the event by source, type, subject, ID and the content that is used.
	Identity string `json:"identity,omitempty"`
	// Part is what the event is about, in flows whose waits are fulfilled in parts: facts about different parts do not replace each other.
	Part string `json:"part,omitempty"`
	// Unused reports that the saga cannot use the event: it is recorded as a late one when the saga has ended.
	Unused bool `json:"unused,omitempty"`
	// Asked counts how often the participant was asked about a notification and did not know of it; NotBefore is when it is asked
	// again.
	Asked     int             `json:"asked,omitempty"`
	NotBefore time.Time       `json:"notBefore,omitzero"`
	Data      json.RawMessage `json:"data,omitempty"`
}

// Cancellation is a request to cancel.
type Cancellation struct {
	// ID makes the request the same when it comes again.
	ID string `json:"id"`
	// Cause is the ID of the event that brought it, and Identity the event's identity, if one did.
	Cause    string `json:"cause,omitempty"`
	Identity string `json:"identity,omitempty"`
	// Reason is what the requester gave; for people.
	Reason string `json:"reason,omitempty"`
}

// Later is a participant's answer that a step may succeed soon; nothing is recorded. It is a fact of the run, not of the log: a
// run that takes over finds it itself, and waits again.
type Later struct {
	Step string `json:"step,omitempty"`
	Item string `json:"item,omitempty"`
	// Hint is what the step function said, for its next attempt; For says to people what is waited for.
	Hint string `json:"hint,omitempty"`
	For  string `json:"for,omitempty"`
	// Since is when the wait began; At is when the step is retried; Tries counts the attempts so far.
	Since time.Time `json:"since,omitzero"`
	At    time.Time `json:"at,omitzero"`
	Tries int       `json:"tries,omitempty"`
	// Pause is how long the step function wants to wait.
	Pause time.Duration `json:"pause,omitempty"`
}

// Answer is the outcome of an operation with Once that is to be recorded: it is the one to the state with the version After.
type Answer struct {
	After int64       `json:"after"`
	Entry event.Entry `json:"entry"`
}

// Facts are what a run knows besides the log: what signals and Updates brought, and the results of its own attempts.
type Facts struct {
	// Received has at most one fact of a type, and of types about parts one of a type and part: see PartsRule.
	Received      []Fact         `json:"heard,omitempty"`
	Cancellations []Cancellation `json:"cancellations,omitempty"`
	Resolutions   []Resolution   `json:"resolutions,omitempty"`
	// TurnBack asks a saga that is not decided to turn back, and says how it ends then.
	TurnBack *Ending `json:"turnBack,omitempty"`
	// GivenUp is the row that was unavailable past its deadline; LookedUp is the row for which a lookup found no effect,
	// after that or after the time of a pending answer was over.
	GivenUp  string `json:"givenUp,omitempty"`
	LookedUp string `json:"lookedUp,omitempty"`
	// Later has a step wait before it is retried.
	Later *Later `json:"later,omitempty"`
	// Stuck is the call that must succeed and does not.
	Stuck *StuckCall `json:"stuck,omitempty"`
	// Answer is an outcome that the run has to record.
	Answer *Answer `json:"answer,omitempty"`
	// NotDone is the ID of the resolution for which a lookup has found that the step was not done.
	NotDone string `json:"notDone,omitempty"`
}

// first returns the fact of the first of the types that was received.
func (f *Facts) first(types []string) *Fact {
	for _, t := range types {
		for i := range f.Received {
			if f.Received[i].Type == t {
				return &f.Received[i]
			}
		}
	}
	return nil
}

// DataOf reads the data of a fact. The error says that it is of another form.
func DataOf[T any](f *Fact) (data T, err error) {
	if f == nil || len(f.Data) == 0 {
		return data, nil
	}
	err = json.Unmarshal(f.Data, &data)
	return data, err
}
