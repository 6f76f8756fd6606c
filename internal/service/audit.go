package service

import (
	"context"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/checkpoint"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/mongo"
)

// AwaitBroker waits until events can be published. Errors: Unavailable, when the context ends before.
func (s *Service) AwaitBroker(ctx context.Context) error { return s.publisher.WaitReady(ctx) }

// Checkpoints are the audit checkpoints of the log.
func (s *Service) Checkpoints() *checkpoint.Ledger {
	c := checkpoint.Config{
		Log: s.stores.raw, Events: s.stores.raw, Store: mongo.NewAudit(s.stores.db), Signer: s.cfg.AuditSigner, Dir: s.cfg.AuditDir, Clock: time.Now, Logger: s.logger,
	}
	if s.publisher != nil {
		c.Publish = func(ctx context.Context, r event.Record) error {
			_, err := s.publisher.PublishRecords(ctx, []event.Record{r})
			return err
		}
	}
	return checkpoint.New(c)
}

// AuditKeys are the public keys that the settings have. Errors: Invalid without one.
func (s *Service) AuditKeys() (audit.Keys, error) {
	text := s.cfg.AuditVerifierKeys
	if s.cfg.AuditSigner.Configured() {
		text += "\n" + strings.Join(s.cfg.AuditSigner.Public(), "\n")
	}
	return audit.ParseKeys(text)
}

// checkpoints is the activity of the schedule.
func (s *Service) checkpoints() *activities.Checkpoints {
	return &activities.Checkpoints{Create: func(ctx context.Context) (activities.CheckpointResult, error) {
		if !s.cfg.AuditSigner.Configured() {
			return activities.CheckpointResult{}, fault.New(fault.Unavailable, "this process has no AUDIT_SIGNING_KEY; another one may have it")
		}
		created, err := s.Checkpoints().Create(ctx, false)
		return activities.CheckpointResult{N: created.N, New: created.New, Size: created.Size, Leaves: created.Leaves}, err
	}}
}

// prover makes the checkpoints what the API needs.
type prover struct{ *Service }

// Prove returns the proof of the stream of an order, and reports whether it is valid for the public keys of the settings.
func (p prover) Prove(ctx context.Context, orderID string) (audit.Proof, bool, error) {
	proof, err := p.Checkpoints().Prove(ctx, event.OrderStream(orderID))
	if err != nil {
		return proof, false, err
	}
	keys, err := p.AuditKeys()
	if err != nil {
		return proof, false, nil //nolint:nilerr // without a public key nothing is verified
	}
	_, findings, err := proof.Verify(keys)
	return proof, err == nil && len(findings) == 0, nil
}

func (p prover) List(ctx context.Context, after int64, limit int) ([]checkpoint.Summary, error) {
	return p.Checkpoints().List(ctx, after, limit)
}

func (p prover) Get(ctx context.Context, n int64) (checkpoint.Summary, error) {
	return p.Checkpoints().Get(ctx, n)
}
