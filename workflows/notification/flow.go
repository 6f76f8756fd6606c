package notification

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/notify"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Registered names. They are part of histories: never rename one.
const (
	// Workflow is the workflow type.
	Workflow = "NoticeSaga"

	NameSend = "notice.Send"
)

// StepSend sends.
const StepSend = "send"

const (
	// sendTimeout bounds one attempt to send. A worker that dies while it sends is noticed after it.
	sendTimeout = 45 * time.Second
	// firstPause is how soon a message is retried; the pause doubles up to longestPause.
	firstPause   = 5 * time.Second
	longestPause = 30 * time.Minute
)

// Flow is the saga of a message to a customer. Any run can finish it; none sends a message for which another attempt has begun.
var Flow = saga.Flow[State, *Participants]{
	Name: "notification", Stream: "notice", Subject: "noticeId", Workflow: Workflow, Queue: saga.QueueOrders,
	Own: own, Endless: true, Private: true, NoAttention: true, Begin: (*Participants).begin, Next: next, Details: details,
	StepState: func(s *State, _ string) saga.ViewState { return stepStates[s.Outcome] }, ShownAs: shownAs,
	Summary: summary, Customer: func(s *State) string { return s.CustomerID },
	NothingStuck: "nothing is stuck: a message is tried until its deadline, and not repeated when it may have been sent",
	Steps: []saga.Step[State, *Participants]{{
		Name: StepSend, Kind: saga.Forward,
		Do: &saga.Operation[State, *Participants]{
			Run: (*Participants).send, Name: NameSend, Queue: saga.QueueNotifications, Summary: "send the message", Once: true, Timeout: sendTimeout,
		},
	}},
}

// stepStates is how far the sending is by what is known of the newest attempt.
var stepStates = map[Outcome]saga.ViewState{
	"": saga.ViewPending, NotAccepted: saga.ViewPending, Sent: saga.ViewDone, Refused: saga.ViewRefused, Unknown: saga.ViewUnknown,
	GivenUp: saga.ViewSkipped,
}

// shownAs is the status of a message, and why it was not sent.
func shownAs(s *State) (saga.Status, string) {
	switch {
	case !s.Settled():
		return saga.Accepted, ""
	case s.Outcome == Sent:
		return saga.Completed, ""
	}
	return saga.Failed, cmp.Or(s.EndReason, string(s.Outcome))
}

// next decides what to do about a message that was requested.
func next(s *State, now time.Time) saga.Action {
	again := s.UpdatedAt.Add(pause(s.Attempt))
	switch {
	case s.Settled():
		return saga.Action{Kind: saga.Close}
	case s.Open():
		// An attempt to send it has begun, and its outcome will stay unknown.
		return saga.Append(outcomeSlot(s.Attempt), event.NoticeUnknown, Result{Attempt: s.Attempt})
	case !now.Before(s.Until), s.Attempt > 0 && !again.Before(s.Until):
		return saga.Append(slotEnd, event.NoticeGivenUp, End{Attempts: s.Attempt, Reason: ReasonDeadline})
	case s.Attempt > 0 && now.Before(again):
		return saga.Action{Kind: saga.Wait, Step: StepSend, Until: again, For: "the mail server"}
	}
	return saga.Action{Kind: saga.Do, Step: StepSend}
}

// pause is the pause after an attempt.
func pause(attempt int) time.Duration {
	d := firstPause
	for n := 1; n < attempt && d < longestPause; n++ {
		d *= 2
	}
	return min(d, longestPause)
}

// Opener opens what was sealed; see sealed.Box.
type Opener interface {
	Open(ctx context.Context, customerID string, s sealed.Sealed) ([]byte, error)
}

// Renderer renders the text of a message; see notify.Templates.
type Renderer interface {
	Render(kind string, f notify.Facts) (notify.Message, error)
}

// Orders reads the order that a message is about from the log: events of the bus are not trusted.
type Orders interface {
	Occasion(ctx context.Context, orderID, eventType string) (notify.Occasion, error)
}

// Participants are what the steps call. Notifier and Templates may be missing: then nothing is requested, and what was is left for a worker
// that has them.
type Participants struct {
	// Customers is the log of customers' streams.
	Customers event.StreamReader
	Orders    Orders
	Profiles  Opener
	Templates Renderer
	Notifier  notify.Notifier
	// Window is how long after its event a message is useful.
	Window time.Duration
	Logger *slog.Logger
}

// begin checks in the log that the event of the message has happened, and for which customer, and requests the message.
func (p *Participants) begin(ctx context.Context, in saga.OpenInput, now time.Time) (*event.Entry, error) {
	s, ok := SubjectOf(in.ID)
	if !ok || p.Notifier == nil {
		return nil, nil //nolint:nilnil // nothing is requested
	}
	var about notify.Occasion
	if s.OrderID != "" {
		var err error
		if about, err = p.Orders.Occasion(ctx, s.OrderID, s.Kind.eventType()); err != nil || about.EventID == "" {
			return nil, err
		}
		s.CustomerID = about.CustomerID
	}
	known, err := onboarding.Load(ctx, p.Customers, onboarding.State{CustomerID: s.CustomerID})
	if err == nil && !known.Known() {
		known, err = onboarding.Load(ctx, certainly(p.Customers), onboarding.State{CustomerID: s.CustomerID})
	}
	if err != nil || !known.Known() {
		return nil, err
	}
	if s.OrderID == "" {
		about = notify.Occasion{EventID: known.LastEventID, At: known.UpdatedAt, CorrelationID: known.CorrelationID}
	}
	until := about.At.Add(p.Window)
	if !now.Before(until) {
		// Events of old orders are published again by recovery runs: they need no message.
		return nil, nil //nolint:nilnil // nothing is requested
	}
	entry := s.Request(about.CorrelationID, about.EventID, until, now)
	return &entry, nil
}

// certainReader is a log with a read that misses no committed record.
type certainReader interface {
	ReadCertain(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
}

// certain reads with ReadCertain.
type certain struct{ certainReader }

// Read implements event.StreamReader.
func (c certain) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	return c.ReadCertain(ctx, stream, after, limit)
}

// certainly uses the read that misses nothing, where the log has one: the absence of a record has consequences here.
func certainly(log event.StreamReader) event.StreamReader {
	if reader, ok := log.(certainReader); ok {
		return certain{reader}
	}
	return log
}

// send claims the attempt, sends, and returns the outcome. Every attempt of Temporal has its own token: one that finds the intent of
// another does not send.
func (p *Participants) send(ctx context.Context, c saga.Call[State]) (saga.Outcome, error) {
	if p.Notifier == nil {
		return saga.Outcome{}, fault.New(fault.Unavailable, "this worker does not send notifications")
	}
	message, reason, err := p.message(ctx, c.State)
	switch {
	case !c.Now().Before(c.State.Until):
		// It waited for a worker that sends until it was no longer useful.
		return givenUp(c.State, ReasonDeadline), nil
	case err != nil:
		return saga.Outcome{}, err
	case reason != "":
		return givenUp(c.State, reason), nil
	}
	info, attempt := activity.GetInfo(ctx), c.State.Attempt+1
	token := info.WorkflowExecution.RunID + "/" + info.ActivityID + "/" + strconv.Itoa(int(info.Attempt))
	won, err := c.Claim(ctx, SlotIntent+strconv.Itoa(attempt), event.NoticeIntended, Intent{Attempt: attempt, Token: token})
	if err != nil || !won {
		return saga.Fenced(), err
	}
	result := p.Notifier.Send(ctx, message)
	p.Logger.LogAttrs(ctx, slog.LevelInfo, "notification attempted", slog.String("notice_id", c.ID), slog.String("kind", string(c.State.Kind)),
		slog.String("customer_id", c.State.CustomerID), slog.String("order_id", c.State.OrderID), slog.Int("attempt", attempt),
		slog.String("outcome", string(result.Outcome)), slog.String("code", result.Code))
	return saga.Done(Result{Attempt: attempt, Code: result.Code}).As(types[outcomeOf(result.Outcome)]).In(outcomeSlot(attempt)), nil
}

// givenUp is the outcome of a message that will not be sent.
func givenUp(s State, reason string) saga.Outcome {
	return saga.Done(End{Attempts: s.Attempt, Reason: reason}).As(event.NoticeGivenUp).In(slotEnd)
}

// outcomeOf maps a notifier's outcome to the log's; in doubt it is unknown.
func outcomeOf(o notify.Outcome) Outcome {
	switch o {
	case notify.Accepted:
		return Sent
	case notify.Refused:
		return Refused
	case notify.NotAccepted:
		return NotAccepted
	}
	return Unknown
}

// message makes the message, or returns the reason why there never will be one.
func (p *Participants) message(ctx context.Context, s State) (notify.Message, string, error) {
	known, err := onboarding.Load(ctx, p.Customers, onboarding.State{CustomerID: s.CustomerID})
	if err == nil && !known.Known() {
		// The message was requested for a known customer. Without the profile, the customer would count as erased.
		err = fault.Missing("the stream of customer %s was not found", s.CustomerID)
	}
	if err != nil {
		return notify.Message{}, "", err
	}
	raw, err := p.Profiles.Open(ctx, s.CustomerID, known.Profile)
	switch {
	case errors.Is(err, fault.NotFound):
		return notify.Message{}, ReasonErased, nil
	case err != nil:
		return notify.Message{}, "", err
	}
	var profile onboarding.Profile
	if json.Unmarshal(raw, &profile) != nil {
		// The error would quote the data.
		return notify.Message{}, "", fault.New(fault.Corrupt, "the profile of customer %s cannot be read", s.CustomerID)
	}
	var about notify.Occasion
	if s.OrderID != "" {
		about, err = p.Orders.Occasion(ctx, s.OrderID, s.Kind.eventType())
		if err == nil && about.EventID == "" {
			err = fault.Missing("the stream of order %s was not found", s.OrderID)
		}
		if err != nil {
			return notify.Message{}, "", err
		}
	}
	about.Facts.Name = profile.Username
	message, err := p.Templates.Render(string(s.Kind), about.Facts)
	if err != nil {
		p.Logger.LogAttrs(ctx, slog.LevelError, "a template cannot be used", slog.String("notice_id", s.Subject.ID()), slog.Any("error", err))
		return notify.Message{}, ReasonTemplate, nil
	}
	message.Key, message.CustomerID, message.To = s.Subject.ID(), s.CustomerID, profile.Email
	return message, "", nil
}

// summary is a message's saga in one line, for the Temporal Web UI.
func summary(s *State) string {
	if s.OrderID == "" {
		return string(s.Kind) + " for customer " + s.CustomerID
	}
	return "order " + s.OrderID + " is " + string(s.Kind)
}

func details(s *State, note string) string {
	return fmt.Sprintf("Message %s: **%s**, %d attempts %s\n", s.Subject.ID(), note, s.Attempt, s.Outcome)
}
