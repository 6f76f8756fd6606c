package inbound

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/customer"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/notice"
	"github.com/ordersaga/ordersaga/internal/notify"
	"github.com/ordersaga/ordersaga/internal/sealed"
)

// maxName is how many characters a name may have.
const maxName = 100

// Sealer seals personal data, and opens it; see sealed.Box.
type Sealer interface {
	Seal(ctx context.Context, customerID string, data []byte) (sealed.Sealed, error)
	Open(ctx context.Context, customerID string, s sealed.Sealed) ([]byte, error)
}

// register seals what somebody says about themselves, writes it down, and has it published. Behind this line nobody sees
// it in the clear but who sends a message.
func (r *Router) register(ctx context.Context, e event.Event) error {
	var d struct {
		Email    string `json:"email"`
		Username string `json:"username"`
	}
	if err := decode(e, &d); err != nil {
		return err
	}
	if err := checkProfile(d.Email, d.Username); err != nil {
		return err
	}
	said := customer.Profile{Email: d.Email, Username: d.Username}
	raw, err := json.Marshal(said)
	if err != nil {
		return fault.New(fault.Internal, "the profile of customer %s cannot be written", e.Subject)
	}
	profile, err := r.Sealer.Seal(ctx, e.Subject, raw)
	if err != nil {
		return err
	}
	now := r.Clock()
	at := e.Time
	if at.IsZero() || at.After(now.Add(maxAhead)) {
		// A clock that is ahead must not shut out what comes after it.
		at = now
	}
	state, stored, err := activities.Register(ctx, r.Log, customer.Registration{
		ID: unique(e), CustomerID: e.Subject, OccurredAt: at.UTC().Truncate(event.TimeResolution), Profile: profile,
		CorrelationID: correlation(e), CausationID: e.ID,
	}, now)
	if err == nil {
		err = r.sameProfile(ctx, e, stored, said)
	}
	if err != nil {
		return err
	}
	return r.Sagas.Onboard(ctx, e.Subject, state.Head.Version != 1)
}

// sameProfile compares what an event says with the record in its slot, which an earlier event with the same identity may have
// written. The error is Conflict when the record says something else. What was outdated was not kept, and what was erased
// cannot be opened: then nothing says that it was something else.
func (r *Router) sameProfile(ctx context.Context, e event.Event, stored event.Record, said customer.Profile) error {
	d, err := event.Decode[customer.ProfileData](stored.Event)
	if err != nil || d.Sealed == "" {
		return err
	}
	raw, err := r.Sealer.Open(ctx, e.Subject, sealed.Sealed{KeyID: d.KeyID, Text: d.Sealed})
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	var before customer.Profile
	if err == nil {
		err = json.Unmarshal(raw, &before)
	}
	if err != nil {
		return fault.Wrap(err, cmp.Or(fault.CodeOf(err), fault.Corrupt), "compare the profile of customer %s", e.Subject)
	}
	if before != said {
		return fault.New(fault.Conflict, "the id of the event was used with another profile of customer %s", e.Subject)
	}
	return nil
}

// maxAhead is how far a sender's clock may be ahead.
const maxAhead = time.Hour

// checkProfile names what cannot be used. It quotes nothing.
func checkProfile(email, username string) error {
	var fields []fault.Field
	if _, err := notify.ParseAddress(email); err != nil {
		fields = append(fields, fault.Fieldf("/data/email", "must be an e-mail address"))
	}
	if utf8.RuneCountInString(username) > maxName || !printable(username) {
		fields = append(fields, fault.Fieldf("/data/username", "must be printable and have at most %d characters", maxName))
	}
	return fault.NewInvalid("event", fields)
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Teller starts messages to customers; see sagaclient.Client.
type Teller interface {
	Notify(ctx context.Context, s notice.Subject) error
}

// Announcer turns events of orders into messages to their customers. It only starts them: whether an event is true, and what
// the message says, is read from the log by the message's saga.
type Announcer struct {
	Log    StreamReader
	Sagas  Teller
	Logger *slog.Logger
}

// Handle handles one event of an order. The code of the error says what is to become of its message.
func (a *Announcer) Handle(ctx context.Context, e event.Event) error {
	kind, ok := notice.KindOf(e.Type)
	if !ok {
		return fault.New(fault.UnknownType, "customers do not hear of %q", e.Type)
	}
	accepted, err := a.Log.Read(ctx, event.OrderStream(e.Subject), 0, 1)
	if err == nil && len(accepted) == 0 {
		// The event is new, and so may its order be: a read after a failover may miss it.
		accepted, err = eventlog.ReadCertain(ctx, a.Log, event.OrderStream(e.Subject), 0, 1)
	}
	if err != nil || len(accepted) == 0 {
		// An order that is not in this log is somebody else's.
		return err
	}
	who, err := event.Decode[struct {
		CustomerID string `json:"customerId"`
	}](accepted[0].Event)
	if err != nil {
		return err
	}
	known, err := a.Log.Read(ctx, event.CustomerStream(who.CustomerID), 0, 1)
	if err != nil || len(known) == 0 {
		return err
	}
	err = a.Sagas.Notify(ctx, notice.Subject{Kind: kind, OrderID: e.Subject, CustomerID: who.CustomerID})
	a.Logger.LogAttrs(ctx, slog.LevelDebug, "customer is to be notified", slog.String("order_id", e.Subject), slog.String("type", e.Type), slog.Any("error", err))
	return err
}
