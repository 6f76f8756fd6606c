package deadletter

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// DeskConfig is what a Desk needs. Inbox may be nil for a desk that only looks.
type DeskConfig struct {
	Store Store
	Log   Log
	Inbox Inbox
	// Foresee tells what would come of a message, without any effect.
	Foresee func(ctx context.Context, queue string, m wire.Message) (Foresight, error)
	// MaxReplays is how often a message is replayed before somebody has to insist. Default 3.
	MaxReplays int
	Clock      func() time.Time
	NewID      func() string
	Logger     *slog.Logger
}

// Foresight is what would come of a message.
type Foresight struct {
	// Outcome is a word for programs: nothing, start, move, book …
	Outcome string `json:"outcome"`
	// Sentence is for people: would start order 42.
	Sentence string `json:"sentence"`
	// OrderID is the order that it is about, if it is about one; From and To are where it stands, and would.
	OrderID string `json:"orderId,omitempty"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
}

// DryRun is what a replay would come to.
type DryRun struct {
	Foresight
	// Refusal says why the letter would not be replayed; empty when it would be.
	Refusal string `json:"refusal,omitempty"`
}

// Detail is everything that is known about a letter.
type Detail struct {
	Summary
	State State
	// History is the letter's stream.
	History []event.Record
}

// Desk is where people look at dead letters and decide about them.
type Desk struct {
	book
	inbox   Inbox
	foresee func(ctx context.Context, queue string, m wire.Message) (Foresight, error)
	newID   func() string
}

// NewDesk returns a Desk. It does no I/O.
func NewDesk(c DeskConfig) *Desk {
	return &Desk{book: book{c.Store, c.Log, c.Clock, c.Logger, cmp.Or(c.MaxReplays, DefaultMaxReplays)}, inbox: c.Inbox, foresee: c.Foresee, newID: c.NewID}
}

// headsReader reads the newest records of many streams; see eventlog.HeadsReader.
type headsReader interface {
	Heads(ctx context.Context, streams []string) (map[string]event.Record, error)
}

// List returns a page of the letters that match, those that failed last first. A status that the store is behind with is
// made right on the way. Errors: Invalid, Unavailable.
func (d *Desk) List(ctx context.Context, f Filter) ([]Summary, string, error) {
	items, next, err := d.store.List(ctx, f)
	if err != nil {
		return nil, "", err
	}
	// What is settled stays so, unless somebody insists.
	var behind []*Summary
	for i := range items {
		if slices.Contains(Unsettled, items[i].Status) {
			behind = append(behind, &items[i])
		}
	}
	if behind, err = d.outdated(ctx, behind); err != nil {
		return items, next, err
	}
	work, within := errgroup.WithContext(ctx)
	work.SetLimit(refreshes)
	for _, item := range behind {
		work.Go(func() error { return d.refresh(within, item) })
	}
	return items, next, work.Wait()
}

// refreshes is how many letters of a page are compared with their streams at once.
const refreshes = 16

// outdated returns the letters whose streams are at another version than the store says; all of them when the log cannot tell.
func (d *Desk) outdated(ctx context.Context, items []*Summary) ([]*Summary, error) {
	log, ok := d.log.(headsReader)
	if !ok || len(items) == 0 {
		return items, nil
	}
	streams := make([]string, len(items))
	for i, item := range items {
		streams[i] = event.DeadStream(item.ID)
	}
	heads, err := log.Heads(ctx, streams)
	if err != nil {
		return nil, err
	}
	var outdated []*Summary
	for i, item := range items {
		if head, there := heads[streams[i]]; there && head.Version != item.Version {
			outdated = append(outdated, item)
		}
	}
	return outdated, nil
}

// refresh makes a status right.
func (d *Desk) refresh(ctx context.Context, item *Summary) error {
	s, err := d.state(ctx, item.ID)
	if err != nil || s.Head.Version <= item.Version {
		return err
	}
	item.Status, item.Version = s.Status, s.Head.Version
	d.mark(ctx, item.ID, s)
	return nil
}

// letter returns a letter with its state. A letter whose stream has not begun, because its keeper died in between, is
// open. Errors: NotFound.
func (d *Desk) letter(ctx context.Context, id string) (Summary, State, []event.Record, error) {
	item, ok, err := d.store.Get(ctx, id)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "there is no dead letter %s", id)
	}
	if err != nil {
		return item, State{}, nil, err
	}
	records, err := d.log.Read(ctx, event.DeadStream(id), 0, 0)
	if err != nil {
		return item, State{}, nil, err
	}
	s, err := State{ID: id, Status: StatusOpen}.Fold(records)
	item.Status = s.Status
	if err == nil && s.Head.Version > item.Version {
		item.Version = s.Head.Version
		d.mark(ctx, id, s)
	}
	return item, s, records, err
}

// Show returns everything about a letter. Errors: NotFound, Unavailable.
func (d *Desk) Show(ctx context.Context, id string) (Detail, error) {
	item, s, records, err := d.letter(ctx, id)
	return Detail{Summary: item, State: s, History: records}, err
}

// DryRun tells what a replay would come to, without any effect. Errors: NotFound, Unavailable.
func (d *Desk) DryRun(ctx context.Context, id string, r Request) (DryRun, error) {
	item, s, _, err := d.letter(ctx, id)
	if err != nil {
		return DryRun{}, err
	}
	body := r.Body
	if p, pending := s.Pending(); pending && p.Replaced && body == nil {
		if body, err = d.store.Kept(ctx, id, p.Hash); err != nil {
			return DryRun{}, err
		}
	}
	m := item.Message
	if body != nil {
		m = item.mended(body)
	}
	run := DryRun{}
	if refused := s.refuseReplay(item.Letter, r, d.maxReplays); refused != nil {
		run.Refusal = fault.SafeMessage(refused)
	}
	run.Foresight, err = d.foresee(ctx, item.Queue, m)
	return run, err
}

// Replay sends a letter to the inbox again. It returns when the broker has it there and the letter says so. Errors:
// NotFound, Invalid, ResolutionRefused with the reason, Unavailable: replaying it again finishes it.
func (d *Desk) Replay(ctx context.Context, id string, r Request) (Detail, error) {
	if err := r.Validate(); err != nil {
		return Detail{}, err
	}
	item, _, _, err := d.letter(ctx, id)
	if err != nil {
		return Detail{}, err
	}
	if r.ID == "" {
		r.ID = d.newID()
	}
	if _, err := d.replay(ctx, item.Letter, r); err != nil {
		return Detail{}, err
	}
	return d.Show(ctx, id)
}

// Discard decides that nothing is to come of a letter. Errors: NotFound, Invalid, ResolutionRefused, Unavailable.
func (d *Desk) Discard(ctx context.Context, id string, r Request) (Detail, error) {
	if err := r.ValidateDiscard(); err != nil {
		return Detail{}, err
	}
	item, s, _, err := d.letter(ctx, id)
	if err == nil {
		s, _, err = d.open(ctx, item.Letter, s)
	}
	if err != nil {
		return Detail{}, err
	}
	if r.ID == "" {
		r.ID = d.newID()
	}
	_, _, err = d.record(ctx, id, s, func(s State) (*event.Entry, error) {
		if slices.Contains(s.Requests, r.ID) {
			return nil, nil
		}
		if err := s.refuseDiscard(); err != nil {
			return nil, err
		}
		e := item.discarded(s, r, d.clock())
		return &e, nil
	})
	if err != nil {
		return Detail{}, err
	}
	return d.Show(ctx, id)
}
