package deadletter

import (
	"context"
	"slices"

	"github.com/ordersaga/ordersaga/event"
)

// replay sends a letter to the inbox: the decision, the message, the outcome, each behind the one before it. A replay
// that was broken off is gone on with, whoever began it, unless another payload is wanted.
func (d *Desk) replay(ctx context.Context, l Letter, r Request) (State, error) {
	s, err := d.state(ctx, l.ID)
	if err == nil {
		s, _, err = d.open(ctx, l, s)
	}
	if err != nil {
		return s, err
	}
	// What is refused is refused before anybody is asked for anything.
	if _, err := d.request(l, r, "")(s); err != nil {
		return s, err
	}
	if err := d.inbox.Ready(ctx); err != nil {
		return s, err
	}
	replacement := ""
	if r.Body != nil {
		replacement = HashOf(r.Body)
		if err := d.store.Keep(ctx, l.ID, r.Body); err != nil {
			return s, err
		}
	}
	s, _, err = d.record(ctx, l.ID, s, d.request(l, r, replacement))
	if err != nil {
		return s, err
	}
	p, pending := s.Pending()
	if !pending {
		return s, nil // the same request has come through already
	}
	return d.send(ctx, l, s, p)
}

// request returns the decision to replay; none when it stands already, and only has to be carried out.
func (d *Desk) request(l Letter, r Request, replacement string) func(State) (*event.Entry, error) {
	return func(s State) (*event.Entry, error) {
		if slices.Contains(s.Requests, r.ID) {
			return nil, nil
		}
		if err := s.refuseReplay(l, r, d.maxReplays); err != nil {
			return nil, err
		}
		if p, pending := s.Pending(); pending && (r.Body == nil || p.Hash == replacement) {
			return nil, nil
		}
		e := l.replayRequested(s, r, replacement, d.clock())
		return &e, nil
	}
}

// send carries a replay out.
func (d *Desk) send(ctx context.Context, l Letter, s State, p Replay) (State, error) {
	m := l.Message
	if p.Replaced {
		body, err := d.store.Kept(ctx, l.ID, p.Hash)
		if err != nil {
			return s, err
		}
		m = l.mended(body)
	}
	if err := d.inbox.Replay(ctx, m, l.Queue, l.ID, l.Replays+1); err != nil {
		return s, err
	}
	s, _, err := d.record(ctx, l.ID, s, func(s State) (*event.Entry, error) {
		if s.Replays[p.Number-1].Sent {
			return nil, nil
		}
		e := l.replayed(s, p, d.clock())
		return &e, nil
	})
	return s, err
}
