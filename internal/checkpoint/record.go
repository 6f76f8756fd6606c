package checkpoint

import (
	"context"
	"fmt"
	"math"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// body is the data of audit.checkpoint_recorded.
type body struct {
	N        int64  `json:"n"`
	Origin   string `json:"origin"`
	Size     int64  `json:"size"`
	RootHash string `json:"rootHash"`
	// Leaves is the number of leaves that the checkpoint adds.
	Leaves int64  `json:"leaves"`
	Time   string `json:"time"`
	// Sweep reports whether all streams were read.
	Sweep bool `json:"sweep"`
}

func (b body) checkpoint() (audit.Checkpoint, error) {
	c := audit.Checkpoint{N: b.N, Origin: b.Origin, Tree: tlog.Tree{N: b.Size}}
	var err error
	if c.Hash, err = tlog.ParseHash(b.RootHash); err == nil {
		c.Time, err = time.Parse(time.RFC3339, b.Time)
	}
	return c, fault.Wrap(err, fault.Corrupt, "read the record of checkpoint %d", b.N)
}

// signed is the data of audit.checkpoint_signed.
type signed struct {
	N        int64  `json:"n"`
	Origin   string `json:"origin"`
	Size     int64  `json:"size"`
	RootHash string `json:"rootHash"`
	Time     string `json:"time"`
	KeyID    string `json:"keyId"`
	Note     string `json:"note"`
}

// Every checkpoint has two records, at these versions: a checkpoint is recorded only after the previous one is signed.
// No checkpoint after number maxN has them.
const maxN = math.MaxInt64 / 2

func recordedAt(n int64) int64 { return 2*n - 1 }
func signedAt(n int64) int64   { return 2 * n }

func (l *Ledger) entry(slot, eventType string, n int64, at time.Time, data any) event.Entry {
	return event.New(audit.Stream, fmt.Sprintf("%s/%d", slot, n), eventType, l.cfg.Signer.Origin(), at, data)
}

// newest is the newest checkpoint.
type newest struct {
	head event.Head
	// body is zero before the first checkpoint.
	body body
	// signed is nil if it is not signed yet.
	signed *event.Record
}

func (l *Ledger) newest(ctx context.Context) (s newest, err error) {
	head, ok, err := l.cfg.Log.Head(ctx, audit.Stream)
	if err != nil || !ok {
		return s, err
	}
	s.head = head.HeadOf()
	recorded := head
	if head.Type == event.AuditCheckpointSigned {
		s.signed = &head
		records, err := l.cfg.Log.Read(ctx, audit.Stream, head.Version-2, 1)
		if err != nil {
			return s, err
		}
		if len(records) == 0 {
			return s, fault.Missing("version %d of stream %s was not found", head.Version-1, audit.Stream)
		}
		recorded = records[0]
	}
	if s.body, err = event.Decode[body](recorded.Event); err != nil {
		return s, fault.Wrap(err, fault.Corrupt, "read the newest checkpoint")
	}
	return s, nil
}

// Summary is a signed checkpoint.
type Summary struct {
	N, Size               int64
	RootHash, KeyID, Note string
	Time                  time.Time
}

func (s Summary) body() body {
	return body{N: s.N, Size: s.Size, RootHash: s.RootHash, Time: format(s.Time)}
}

func summary(r event.Record) (Summary, error) {
	d, err := event.Decode[signed](r.Event)
	if err != nil {
		return Summary{}, err
	}
	at, err := time.Parse(time.RFC3339, d.Time)
	return Summary{d.N, d.Size, d.RootHash, d.KeyID, d.Note, at}, fault.Wrap(err, fault.Corrupt, "read signed checkpoint %d", d.N)
}

// List returns signed checkpoints, oldest first, after number after; at most limit. Errors: Unavailable.
func (l *Ledger) List(ctx context.Context, after int64, limit int) ([]Summary, error) {
	if after > maxN {
		return nil, nil
	}
	records, err := l.cfg.Log.Read(ctx, audit.Stream, signedAt(after), 2*limit)
	var list []Summary
	for _, r := range records {
		if err == nil && r.Type == event.AuditCheckpointSigned {
			var s Summary
			s, err = summary(r)
			list = append(list, s)
		}
	}
	return list, err
}

// Get returns a signed checkpoint. Errors: NotFound, Unavailable.
func (l *Ledger) Get(ctx context.Context, n int64) (Summary, error) {
	if n > 0 {
		list, err := l.List(ctx, n-1, 1)
		if err != nil {
			return Summary{}, err
		}
		// If records are missing, this is a later one.
		if len(list) > 0 && list[0].N == n {
			return list[0], nil
		}
	}
	return Summary{}, fault.New(fault.NotFound, "there is no signed checkpoint %d", n)
}

// last returns the newest signed checkpoint. Errors: NotCheckpointed before the first one, Unavailable.
func (l *Ledger) last(ctx context.Context) (Summary, error) {
	s, err := l.newest(ctx)
	switch {
	case err != nil:
		return Summary{}, err
	case s.signed != nil:
		return summary(*s.signed)
	case s.body.N > 1:
		return l.Get(ctx, s.body.N-1)
	}
	return Summary{}, fault.New(fault.NotCheckpointed, "there is no signed checkpoint yet")
}

func format(at time.Time) string { return eventlog.FormatTime(at) }
