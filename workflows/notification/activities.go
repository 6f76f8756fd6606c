package notification

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/notify"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// StepInput is what every step of a notice's saga gets.
type StepInput struct {
	State State `json:"state"`
	// Entry is what to append; for Record.
	Entry event.Entry `json:"entry,omitzero"`
	// Now is the workflow's time, as in StepInput.
	Now time.Time `json:"now,omitzero"`
}

// StepResult is what every step of a notice's saga answers. No personal data is in it.
type StepResult struct {
	// Tail are the records behind the input's head, as they stand in the log. When they are too many, and of Open, State is
	// what they make of the input's state.
	Tail  []event.Record `json:"tail,omitempty"`
	State *State         `json:"state,omitempty"`
	// Answer is what an attempt came to; of Send.
	Answer *Answer `json:"answer,omitempty"`
	// Requested is how the stream begins, when it has not begun; nil when there is nobody to be told; of Open.
	Requested *event.Entry `json:"requested,omitempty"`
}

// Opener opens what was sealed; see sealed.Box.
type Opener interface {
	Open(ctx context.Context, customerID string, s sealed.Sealed) ([]byte, error)
}

// Renderer makes what a message says; see notify.Templates.
type Renderer interface {
	Render(kind string, f notify.Facts) (notify.Message, error)
}

// Activities are the activities of the notices' saga. Notifier and Templates may be missing: then nothing is requested, and what
// was is left for a worker that has them.
type Activities struct {
	Log       activities.Log
	Profiles  Opener
	Templates Renderer
	Notifier  notify.Notifier
	// Window is for how long after an event its message is of use.
	Window time.Duration
	// Clock is the worker's clock, as in Recorder.
	Clock  func() time.Time
	Logger *slog.Logger
}

// Open reads a notice's stream; when it is empty, it finds out how it begins.
func (n *Activities) Open(ctx context.Context, in StepInput) (StepResult, error) {
	ctx = activities.WithClock(ctx, in.Now, n.Clock)
	state, err := event.FoldPages(ctx, n.Log, event.NoticeStream(in.State.Subject.ID()), in.State.Head.Version, in.State, State.Fold)
	if err != nil {
		return StepResult{}, activities.ToTemporal(err)
	}
	if state.Head != in.State.Head || in.State.Requested() {
		return StepResult{State: &state}, nil
	}
	if n.Notifier == nil {
		return StepResult{}, nil
	}
	requested, err := n.request(ctx, in.State.Subject)
	return StepResult{Requested: requested}, activities.ToTemporal(err)
}

// request asks the log whether what the message is about has happened, and to whom: nobody else is believed.
func (n *Activities) request(ctx context.Context, s Subject) (*event.Entry, error) {
	var correlationID, causationID string
	var happened time.Time
	if s.OrderID != "" {
		fold := func(o order.State, page []event.Record) (order.State, error) {
			if id, at := cause(page, s.Kind); id != "" {
				causationID, happened = id, at
			}
			return o.Fold(page)
		}
		state, err := event.FoldPages(ctx, n.Log, event.OrderStream(s.OrderID), 0, order.State{}, fold)
		if err == nil && causationID == "" {
			// The bus says that it happened: the read may have missed it.
			state, err = event.FoldPages(ctx, certainly(n.Log), event.OrderStream(s.OrderID), 0, order.State{}, fold)
		}
		if err != nil {
			return nil, err
		}
		if causationID == "" {
			return nil, nil
		}
		s.CustomerID, correlationID = state.Order.CustomerID, state.CorrelationID
	}
	known, err := n.customer(ctx, s.CustomerID)
	if err == nil && !known.Known() {
		known, err = onboarding.Load(ctx, certainly(n.Log), onboarding.State{CustomerID: s.CustomerID})
	}
	if err != nil || !known.Known() {
		return nil, err
	}
	if s.OrderID == "" {
		correlationID, causationID, happened = known.CorrelationID, known.LastEventID, known.UpdatedAt
	}
	now, until := activities.Now(ctx, n.Clock), happened.Add(n.Window)
	if !now.Before(until) {
		// Events of old orders are published again when their runs are made up for: that is no news.
		return nil, nil
	}
	entry := s.Request(correlationID, causationID, until, now)
	return &entry, nil
}

// cause returns the ID and the time of the event that a message of the kind is about.
func cause(records []event.Record, kind Kind) (id string, happened time.Time) {
	for _, r := range records {
		if k, told := KindOf(r.Type); told && k == kind {
			id, happened = r.ID, r.Time
		}
	}
	return id, happened
}

// certainReader is a log that can read in the way that misses nothing.
type certainReader interface {
	ReadCertain(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
}

// certain reads with ReadCertain.
type certain struct{ certainReader }

// Read implements event.StreamReader.
func (c certain) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	return c.ReadCertain(ctx, stream, after, limit)
}

// certainly reads in the way that misses nothing, where the log has one: something is concluded from what is not there.
func certainly(log activities.Log) event.StreamReader {
	if reader, ok := log.(certainReader); ok {
		return certain{reader}
	}
	return log
}

// Record appends an event that the run has decided on. Losing a race is no error: what stands there is the answer.
func (n *Activities) Record(ctx context.Context, in StepInput) (StepResult, error) {
	_, tail, err := n.Log.Append(ctx, event.NoticeStream(in.State.Subject.ID()), in.State.Head, []event.Entry{in.Entry})
	if err != nil && !activities.Lost(err) {
		return StepResult{}, activities.ToTemporal(err)
	}
	return n.answer(in.State, tail)
}

// answer is what stands in the stream behind a state: the records when they are few, else what they come to.
func (n *Activities) answer(before State, tail []event.Record) (StepResult, error) {
	if activities.Fits(tail) {
		return StepResult{Tail: tail}, nil
	}
	state, err := before.Fold(tail)
	return StepResult{State: &state}, activities.ToTemporal(err)
}

// Send writes down that it is about to send, sends, and says what came of it. Every attempt of Temporal's has a token of its
// own: one that finds the intent of another does not send.
func (n *Activities) Send(ctx context.Context, in StepInput) (StepResult, error) {
	if n.Notifier == nil {
		return StepResult{}, activities.ToTemporal(fault.New(fault.Unavailable, "this worker does not send notifications"))
	}
	ctx = activities.WithClock(ctx, in.Now, n.Clock)
	message, reason, err := n.message(ctx, in.State)
	switch {
	case !activities.Now(ctx, n.Clock).Before(in.State.Until):
		// It waited for somebody who sends until nobody wants to know any more.
		return StepResult{Answer: &Answer{Outcome: GivenUp, Reason: ReasonDeadline}}, nil
	case err != nil:
		return StepResult{}, activities.ToTemporal(err)
	case reason != "":
		return StepResult{Answer: &Answer{Outcome: GivenUp, Reason: reason}}, nil
	}
	info := activity.GetInfo(ctx)
	token := info.WorkflowExecution.RunID + "/" + info.ActivityID + "/" + strconv.Itoa(int(info.Attempt))
	tail, err := n.intend(ctx, in.State, in.State.Intent(token, activities.Now(ctx, n.Clock)))
	if err != nil && !activities.Lost(err) {
		return StepResult{}, activities.ToTemporal(err)
	}
	after, foldErr := in.State.Fold(tail)
	switch {
	case foldErr != nil:
		return StepResult{}, activities.ToTemporal(foldErr)
	case after.Token != token, !after.Open():
		// Somebody else was about to send: what is known of that stands in the log.
		return n.answer(in.State, tail)
	}
	result := n.Notifier.Send(ctx, message)
	n.Logger.LogAttrs(ctx, slog.LevelInfo, "a notification was tried", slog.String("notice_id", after.Subject.ID()), slog.String("kind", string(after.Kind)),
		slog.String("customer_id", after.CustomerID), slog.String("order_id", after.OrderID), slog.Int("attempt", after.Attempt),
		slog.String("outcome", string(result.Outcome)), slog.String("code", result.Code))
	return StepResult{Tail: tail, Answer: &Answer{Attempt: after.Attempt, Outcome: outcomeOf(result.Outcome), Code: result.Code}}, nil
}

// intendPause is the pause before the log is asked again whether an intent stands; intendReserve is what has to be left of
// the attempt's time, for the mail server.
const (
	intendPause   = 250 * time.Millisecond
	intendReserve = 30 * time.Second
)

// intend writes an intent down. While the log is away it is asked again: the next attempt has another token, and would take
// an intent of this one for a message that may have been sent.
func (n *Activities) intend(ctx context.Context, s State, intent event.Entry) ([]event.Record, error) {
	for {
		_, tail, err := n.Log.Append(ctx, event.NoticeStream(s.Subject.ID()), s.Head, []event.Entry{intent})
		deadline, bounded := ctx.Deadline()
		if !errors.Is(err, fault.Unavailable) || bounded && time.Until(deadline) < intendReserve {
			return tail, err
		}
		timer := time.NewTimer(intendPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
	}
}

// outcomeOf is what a notifier's outcome means to the log; in doubt nobody knows.
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

// message makes the message, or says why there never will be one.
func (n *Activities) message(ctx context.Context, s State) (notify.Message, string, error) {
	known, err := n.customer(ctx, s.CustomerID)
	if err == nil && !known.Known() {
		// The message was requested for somebody who was known. Without the profile the customer would pass for erased.
		err = fault.Missing("the stream of customer %s was not found", s.CustomerID)
	}
	if err != nil {
		return notify.Message{}, "", err
	}
	raw, err := n.Profiles.Open(ctx, s.CustomerID, known.Profile)
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
	facts, err := n.facts(ctx, s)
	if err != nil {
		return notify.Message{}, "", err
	}
	facts.Name = profile.Username
	message, err := n.Templates.Render(string(s.Kind), facts)
	if err != nil {
		n.Logger.LogAttrs(ctx, slog.LevelError, "a template cannot be used", slog.String("notice_id", s.Subject.ID()), slog.Any("error", err))
		return notify.Message{}, ReasonTemplate, nil
	}
	message.Key, message.CustomerID, message.To = s.Subject.ID(), s.CustomerID, profile.Email
	return message, "", nil
}

// customer folds a customer's stream.
func (n *Activities) customer(ctx context.Context, customerID string) (onboarding.State, error) {
	return onboarding.Load(ctx, n.Log, onboarding.State{CustomerID: customerID})
}

// facts are what the order's stream says about the order.
func (n *Activities) facts(ctx context.Context, s State) (notify.Facts, error) {
	if s.OrderID == "" {
		return notify.Facts{}, nil
	}
	state, err := event.FoldPages(ctx, n.Log, event.OrderStream(s.OrderID), 0, order.State{}, order.State.Fold)
	if err == nil && !state.Opened() {
		err = fault.Missing("the stream of order %s was not found", s.OrderID)
	}
	if err != nil {
		return notify.Facts{}, err
	}
	o := state.Order
	f := notify.Facts{OrderID: o.ID, Total: order.Money(o.TotalAmount, o.Currency), Reason: state.Reason, Why: why(state.Reason)}
	for _, l := range o.Lines {
		f.Lines = append(f.Lines, notify.Item{SKU: l.SKU, Quantity: l.Quantity, Amount: order.Money(l.Quantity*l.UnitAmount, o.Currency)})
	}
	return f, nil
}

// whys say to a customer why an order did not complete.
var whys = map[string]string{
	order.ReasonOutOfStock: "something in it is out of stock", order.ReasonUnknownSKU: "something in it is not sold here",
	order.ReasonStockLost:       "something in it is not there any more",
	order.ReasonPaymentDeclined: "the payment was declined", order.ReasonPaymentFailed: "the payment failed",
	order.ReasonCaptureRefused: "the payment was refused", order.ReasonRequested: "it was cancelled",
	order.ReasonPaymentTimeout: "the payment did not arrive in time", order.ReasonShipmentTimeout: "it could not be sent in time",
}

func why(reason string) string {
	if words, known := whys[reason]; known {
		return words
	}
	return "something that it needs was not available"
}

// Workflow is the workflow type, and its function.
func (*Activities) Workflow() (name string, run any) { return Workflow, Run }

// Activities are the activities by their registered names.
func (n *Activities) Activities() map[string]any {
	return map[string]any{NameOpen: n.Open, NameRecord: n.Record, NameSend: n.Send}
}

// Check reports what is wrong with the flow.
func (*Activities) Check() error {
	_, err := Calls()
	return err
}
