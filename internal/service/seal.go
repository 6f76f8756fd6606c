package service

import (
	"context"

	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/sealed"
)

// RotateMaster wraps the keys of all sealed data with the first key of SEAL_MASTER_KEY. Report gets, for customers and for dead letters, how many keys
// it wrapped, how many were wrapped with it already, and how many were deleted meanwhile. It may be repeated after an interruption. Errors: Invalid
// without a key, Unavailable when a master key is missing.
func (s *Service) RotateMaster(ctx context.Context, report func(of string, wrapped, current, gone int)) error {
	master := sealed.Master{Set: s.cfg.SealMasterKeys}
	for _, each := range []struct {
		of string
		in sealed.Store
	}{{"customers", mongo.NewKeys(s.stores.db)}, {"dead letters", mongo.NewLetterKeys(s.stores.db)}} {
		r, err := sealed.Rotate(ctx, each.in, master)
		report(each.of, r.Wrapped, r.Current, r.Gone)
		if err != nil {
			return err
		}
	}
	return nil
}
