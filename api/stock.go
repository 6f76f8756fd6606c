package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
)

// maxNote is the most characters that the note of an adjustment may have.
const maxNote = 250

func (s *Server) listStock(c echo.Context) error {
	q := queryOf(c, "limit", "cursor")
	after, limit := q.skuCursor(), q.limit(cursor.DefaultLimit)
	return answerPage(s, c, q, itself[inventory.Balance], func(ctx context.Context) ([]inventory.Balance, string, error) {
		page, next, err := s.cfg.Stock.List(ctx, after, limit)
		return page, cursorOfSKU(next), err
	})
}

func (s *Server) getStock(c echo.Context) error {
	sku := pathParameter(c, "sku")
	if !event.ValidID(sku) {
		return fault.New(fault.NotFound, "SKU %s does not exist", shortened(sku))
	}
	return answer(s, c, itself[inventory.Balance], func(ctx context.Context) (inventory.Balance, error) {
		return s.cfg.Stock.Balance(ctx, sku)
	})
}

// getStockEvents answers with the ledger of a SKU.
func (s *Server) getStockEvents(c echo.Context) error {
	return s.answerTimeline(c, func() (timeline, error) {
		sku := pathParameter(c, "sku")
		if !event.ValidID(sku) {
			return timeline{}, fault.New(fault.NotFound, "SKU %s does not exist", shortened(sku))
		}
		find := func(ctx context.Context) error {
			_, err := s.cfg.Stock.Balance(ctx, sku)
			return err
		}
		return timeline{[]slog.Attr{slog.String("sku", sku)}, event.StockStream(sku), "/v1/stock/" + url.PathEscape(sku), find}, nil
	})
}

func (s *Server) receiveStock(c echo.Context) error {
	return s.changeStock(c, "receipt", decodeReceipt, func(ctx context.Context, sku, id string, change stockChange) (inventory.Balance, error) {
		return s.cfg.Stock.Receive(ctx, sku, change.quantity, id)
	})
}

func (s *Server) adjustStock(c echo.Context) error {
	return s.changeStock(c, "adjustment", decodeAdjustment, func(ctx context.Context, sku, id string, change stockChange) (inventory.Balance, error) {
		return s.cfg.Stock.Adjust(ctx, sku, change.quantity, id, inventory.Remark{By: change.by, Note: change.note})
	})
}

// countStock is a count of what is there. When fewer were counted than are reserved, a saga asks the orders that hold them.
// It is in the ledger by then: what does not start now is started by the check.
func (s *Server) countStock(c echo.Context) error {
	return s.changeStock(c, "count", decodeCount, func(ctx context.Context, sku, id string, change stockChange) (inventory.Balance, error) {
		balance, err := s.cfg.Stock.Count(ctx, sku, change.quantity, id, inventory.Remark{By: change.by})
		if err != nil || balance.Shortfall == 0 {
			return balance, err
		}
		if err := s.cfg.Sagas.SettleShortage(ctx, sku); err != nil {
			s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "the shortage saga did not start", slog.String("sku", sku),
				slog.Int64("shortfall", balance.Shortfall), slog.Any("error", err))
		}
		return balance, nil
	})
}

// changeStock reads a change of the stock and makes it once for each Idempotency-Key.
func (s *Server) changeStock(c echo.Context, what string, decode func(body []byte) (stockChange, error),
	change func(ctx context.Context, sku, id string, change stockChange) (inventory.Balance, error),
) error {
	sku := pathParameter(c, "sku")
	if !event.ValidID(sku) {
		return fault.New(fault.Invalid, "the sku %s", event.IDRule)
	}
	key, wanted, err := posted(s, c, decode)
	if err != nil {
		return err
	}
	wanted.by = callerOf(c).Actor
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	before, err := s.stockVersion(ctx, sku, key)
	if err != nil {
		return err
	}
	balance, err := change(ctx, sku, s.requestID(c, key, what, sku), wanted)
	if errors.Is(err, fault.Conflict) {
		return &fault.Error{Code: fault.IdempotencyConflict, Err: err, Message: "Idempotency-Key was already used for a different quantity"}
	}
	if err != nil {
		return err
	}
	if key != "" && balance.Version <= before {
		c.Response().Header().Set(headerIdempotentReplay, "true")
		return writeJSON(c, http.StatusOK, balance)
	}
	return writeJSON(c, http.StatusCreated, balance)
}

// stockVersion is the version of the SKU before a change with a key. The ledger answers a replay with the
// balance right after the first time, whose version is not above it.
func (s *Server) stockVersion(ctx context.Context, sku, key string) (int64, error) {
	if key == "" {
		return 0, nil
	}
	balance, err := s.cfg.Stock.Balance(ctx, sku)
	if errors.Is(err, fault.NotFound) {
		return 0, nil
	}
	return balance.Version, err
}
