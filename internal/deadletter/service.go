package deadletter

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// appendAttempts bounds the attempts of an append that loses races.
const appendAttempts = 10

// Config configures a Service. Inbox may be nil if the Service does not replay.
type Config struct {
	Store Store
	Log   Log
	Inbox Inbox
	// Preview returns what handling a message would do, without doing it.
	Preview func(ctx context.Context, queue string, m wire.Message) (Preview, error)
	// MaxReplays is the number of replays of a message after which Request.Force is required. Default DefaultMaxReplays.
	MaxReplays int
	Clock      func() time.Time
	NewID      func() string
	Logger     *slog.Logger
}

// Preview is what handling a message would do.
type Preview struct {
	// Outcome is for programs: nothing, start, move, book …
	Outcome string `json:"outcome"`
	// Sentence is for people: would start order 42.
	Sentence string `json:"sentence"`
	// OrderID is the order, if any; From and To are its status before and after.
	OrderID string `json:"orderId,omitempty"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
}

// DryRun is the result of a dry run of a replay.
type DryRun struct {
	Preview
	// Refusal is why the replay would be refused; empty if it would not.
	Refusal string `json:"refusal,omitempty"`
}

// Service lists, replays and discards dead letters.
type Service struct{ cfg Config }

// NewService returns a Service. It does no I/O.
func NewService(c Config) *Service {
	c.MaxReplays = cmp.Or(c.MaxReplays, DefaultMaxReplays)
	return &Service{cfg: c}
}

// List returns a page of the matching letters, last failed first. It corrects outdated statuses in the store. Errors: Invalid, Unavailable.
func (s *Service) List(ctx context.Context, f Filter) ([]Letter, string, error) {
	items, next, err := s.cfg.Store.List(ctx, f)
	if err != nil {
		return nil, "", err
	}
	var streams []string
	for _, item := range items {
		// Other letters change only by a forced request.
		if slices.Contains(Undecided, item.Status) {
			streams = append(streams, event.DeadStream(item.ID))
		}
	}
	if len(streams) == 0 {
		return items, next, nil
	}
	heads, err := s.cfg.Log.Heads(ctx, streams)
	if err != nil {
		return items, next, err
	}
	for i := range items {
		if head, there := heads[event.DeadStream(items[i].ID)]; there && head.Version > items[i].Version {
			if _, err := s.readStream(ctx, &items[i]); err != nil {
				return items, next, err
			}
			items[i].History = nil
		}
	}
	return items, next, nil
}

// letter returns a letter with its state. A letter without a stream, because its receiver died before starting it, is open. Errors: NotFound,
// Unavailable.
func (s *Service) letter(ctx context.Context, id string) (Letter, State, error) {
	l, ok, err := s.cfg.Store.Get(ctx, id)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "dead letter %s does not exist", id)
	}
	if err != nil {
		return l, State{}, err
	}
	state, err := s.readStream(ctx, &l)
	return l, state, err
}

// readStream adds the history to a letter, and corrects the status in the store.
func (s *Service) readStream(ctx context.Context, l *Letter) (State, error) {
	state := State{ID: l.ID, Status: StatusOpen}
	var err error
	if l.History, err = s.cfg.Log.Read(ctx, event.DeadStream(l.ID), 0, 0); err != nil {
		return state, err
	}
	if state, err = state.Fold(l.History); err != nil {
		return state, err
	}
	l.Status = state.Status
	if state.Head.Version > l.Version {
		l.Version = state.Head.Version
		s.mark(ctx, state)
	}
	return state, nil
}

// Show returns a letter with its history. Errors: NotFound, Unavailable.
func (s *Service) Show(ctx context.Context, id string) (Letter, error) {
	l, _, err := s.letter(ctx, id)
	return l, err
}

// DryRun returns what a replay would do, without doing it. Errors: NotFound, Unavailable.
func (s *Service) DryRun(ctx context.Context, id string, r Request) (run DryRun, err error) {
	l, state, err := s.letter(ctx, id)
	if err != nil {
		return run, err
	}
	var m wire.Message
	if pending, _ := state.Pending(); r.Body != nil {
		m = l.withBody(r.Body)
	} else if m, err = s.messageOf(ctx, l, pending); err != nil {
		return run, err
	}
	if refused := state.refuseReplay(l, r, s.cfg.MaxReplays); refused != nil {
		run.Refusal = fault.SafeMessage(refused)
	}
	run.Preview, err = s.cfg.Preview(ctx, l.Queue, m)
	return run, err
}

// Replay sends a letter to its queue again. It returns when the broker has it and the result is recorded. Errors: NotFound, Invalid,
// ResolutionRefused with the reason, Unavailable: another replay completes it.
func (s *Service) Replay(ctx context.Context, id string, r Request) (Letter, error) {
	return s.carryOut(ctx, id, r, r.Validate(), s.replay)
}

// Discard decides that a letter will not be handled. Errors: NotFound, Invalid, ResolutionRefused, Unavailable.
func (s *Service) Discard(ctx context.Context, id string, r Request) (Letter, error) {
	return s.carryOut(ctx, id, r, r.ValidateDiscard(), s.discard)
}

// carryOut executes a valid request and returns the resulting letter.
func (s *Service) carryOut(
	ctx context.Context, id string, r Request, invalid error, do func(context.Context, Letter, State, Request) error,
) (Letter, error) {
	if invalid != nil {
		return Letter{}, invalid
	}
	l, state, err := s.letter(ctx, id)
	if err == nil {
		state, _, err = s.open(ctx, l, state)
	}
	if err != nil {
		return Letter{}, err
	}
	r.ID = cmp.Or(r.ID, s.cfg.NewID())
	if err := do(ctx, l, state, r); err != nil {
		return Letter{}, err
	}
	return s.Show(ctx, id)
}

func (s *Service) discard(ctx context.Context, l Letter, state State, r Request) error {
	_, _, err := s.record(ctx, state, func(state State) (*event.Entry, error) {
		switch {
		case slices.Contains(state.Requests, r.ID):
			return nil, nil
		case state.Status == StatusDiscarded:
			return nil, refusal("it has already been discarded")
		}
		return s.entry(l, state, slotDiscard+strconv.Itoa(state.Discards+1), event.DeadDiscarded,
			DiscardData{LetterID: l.ID, RequestID: r.ID, PayloadHash: l.PayloadHash, By: r.by(), Note: r.Note}), nil
	})
	return err
}

// replay sends a letter with a stream to its queue: first it records the decision, then it sends the message, then it records the result. It
// continues an interrupted replay, unless another body is requested.
func (s *Service) replay(ctx context.Context, l Letter, state State, r Request) error {
	replacement := ""
	// decide returns no event if the decision is already recorded and must only be executed.
	decide := func(state State) (*event.Entry, error) {
		if slices.Contains(state.Requests, r.ID) {
			return nil, nil
		}
		if err := state.refuseReplay(l, r, s.cfg.MaxReplays); err != nil {
			return nil, err
		}
		if p, pending := state.Pending(); pending && (r.Body == nil || cmp.Or(p.ReplacementHash, p.PayloadHash) == replacement) {
			return nil, nil
		}
		n := len(state.Replays) + 1
		return s.entry(l, state, slotReplay+strconv.Itoa(n), event.DeadReplayRequested, ReplayData{
			LetterID: l.ID, Replay: n, RequestID: r.ID, PayloadHash: l.PayloadHash, ReplacementHash: replacement,
			Force: r.Force, By: r.by(), Note: r.Note,
		}), nil
	}
	// Refuse before calling broker and store.
	if _, err := decide(state); err != nil {
		return err
	}
	if err := s.cfg.Inbox.Ready(ctx); err != nil {
		return err
	}
	if r.Body != nil {
		replacement = HashOf(r.Body)
		if err := s.cfg.Store.SaveBody(ctx, l.ID, r.Body); err != nil {
			return err
		}
	}
	state, _, err := s.record(ctx, state, decide)
	if err != nil {
		return err
	}
	p, pending := state.Pending()
	if !pending {
		return nil // the same request has already been completed
	}
	m, err := s.messageOf(ctx, l, p)
	if err != nil {
		return err
	}
	if err := s.cfg.Inbox.Replay(ctx, m, l.Queue, l.ID, l.Replays+1); err != nil {
		return err
	}
	_, _, err = s.record(ctx, state, func(state State) (*event.Entry, error) {
		if state.Replays[p.Replay-1].Sent {
			return nil, nil
		}
		return s.entry(l, state, slotReplay+strconv.Itoa(p.Replay)+slotSent, event.DeadReplayed,
			ReplayData{LetterID: l.ID, Replay: p.Replay, PayloadHash: cmp.Or(p.ReplacementHash, p.PayloadHash)}), nil
	})
	return err
}

// messageOf returns the message of a replay, with the body of the decision.
func (s *Service) messageOf(ctx context.Context, l Letter, p Replay) (wire.Message, error) {
	if p.ReplacementHash == "" {
		return l.Message, nil
	}
	body, err := s.cfg.Store.LoadBody(ctx, l.ID, p.ReplacementHash)
	return l.withBody(body), err
}

// open writes the first event of a letter's stream, unless it exists.
func (s *Service) open(ctx context.Context, l Letter, state State) (after State, wrote bool, err error) {
	return s.record(ctx, state, func(state State) (*event.Entry, error) {
		if state.Head.Version > 0 {
			return nil, nil
		}
		d := ReceivedData{LetterID: l.ID, Reason: l.Reason, PayloadHash: l.PayloadHash, Size: l.Size, ReplayOf: string(l.ReplayOf), Replays: l.Replays}
		if _, known := event.Find(l.Type); known {
			d.Type = l.Type
		}
		if event.ValidID(l.Subject) {
			d.Subject = l.Subject
		}
		return s.entry(l, state, slotReceive, event.DeadReceived, d), nil
	})
}

// record makes a decision about a letter and appends it. After a lost race it decides again, with the events of the other writer. decide returns
// nil if there is nothing to append; wrote reports whether an event was appended.
func (s *Service) record(ctx context.Context, state State, decide func(State) (*event.Entry, error)) (after State, wrote bool, err error) {
	stream := event.DeadStream(state.ID)
	for range appendAttempts {
		entry, err := decide(state)
		if err != nil || entry == nil {
			return state, false, err
		}
		_, tail, err := s.cfg.Log.Append(ctx, stream, state.Head, []event.Entry{*entry})
		second := errors.Is(err, fault.Concurrency) || errors.Is(err, fault.KeyTaken)
		if err != nil && !second {
			return state, false, err
		}
		if state, err = state.Fold(tail); err != nil {
			return state, false, err
		}
		if !second {
			s.mark(ctx, state)
			return state, true, nil
		}
	}
	return state, false, fault.New(fault.Unavailable, "stream %s has too many concurrent writers", stream)
}

// mark updates a letter's status in the store. A failure is harmless: lists correct outdated statuses.
func (s *Service) mark(ctx context.Context, state State) {
	if err := s.cfg.Store.Mark(ctx, state.ID, state.Status, state.Head.Version); err != nil {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "status of a dead letter not updated in the list", slog.String("letter_id", state.ID), slog.Any("error", err))
	}
}
