package service

import (
	"context"
	"errors"

	"github.com/ordersaga/ordersaga/workers"
)

// Migrate creates what the roles need and what is missing: all indexes, search attributes, exchanges and queues. It waits for them, and brings
// the lists of earlier versions up to date. It may be called while other processes run. The Service has been opened with all parts. Errors:
// Unavailable, and the context's.
func (s *Service) Migrate(ctx context.Context) error {
	if err := s.stores.indexes.Build(ctx, s.stores.wantedIndexes()...); err != nil {
		return err
	}
	// Open has tried, and continues without them; here they must exist, unless an administrator manages them.
	err := workers.RegisterSearchAttributes(ctx, s.temporal, s.cfg.TemporalNamespace)
	if err != nil && !errors.Is(err, workers.ErrAttributesRefused) {
		return err
	}
	s.moveLate(ctx)
	// The publisher declares exchanges and queues when it connects.
	return s.publisher.WaitReady(ctx)
}
