package api

import (
	"context"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/workflows/refund"
)

// ledgerItem is a reservation in the refund ledger of an order.
type ledgerItem struct {
	Key string `json:"key"`
	// Flow and ID are the refund or the dispute that has reserved; null for what the order itself, or its late payment, refunds.
	Flow     null.Text      `json:"flow"`
	ID       null.Text      `json:"id"`
	Source   refunds.Source `json:"source"`
	Status   string         `json:"status"`
	Amount   int64          `json:"amount"`
	Currency string         `json:"currency"`
	Lines    []refunds.Line `json:"lines"`
}

func ledgerItemOf(r refunds.Reservation) ledgerItem {
	item := ledgerItem{
		Key: r.Key, Source: r.Source, Status: "reserved", Amount: r.Amount, Currency: r.Currency, Lines: append([]refunds.Line{}, r.Lines...),
	}
	switch {
	case r.Released:
		item.Status = "released"
	case r.Refunded:
		item.Status = "refunded"
	}
	flow, id := refunds.SagaOf(r.Key)
	item.Flow, item.ID = null.Text(flow), null.Text(id)
	return item
}

// ledgerPage is the ledger, and what can still be refunded.
type ledgerPage struct {
	page[ledgerItem]
	Refundable int64 `json:"refundable"`
}

// listLedger is GET /v1/orders/{id}/ledger.
func (s *Server) listLedger(c echo.Context) error {
	id, err := orderID(c)
	if err != nil {
		return err
	}
	var refundable int64
	return answerPageWith(s, c, queryOf(c), ledgerItemOf, func(ctx context.Context) (items []refunds.Reservation, _ string, err error) {
		of, err := s.loadOrder(ctx, id)
		if of, err = ownOrder(c, of, err); err != nil {
			return nil, "", err
		}
		ledger, err := refunds.Load(ctx, s.cfg.Log, id)
		if err != nil {
			return nil, "", err
		}
		for _, key := range ledger.Keys {
			items = append(items, ledger.ByKey[key])
		}
		refundable = refund.Refundable(ledger, &of)
		return items, "", nil
	}, func(p page[ledgerItem]) any { return ledgerPage{p, refundable} })
}

// refundPreview is what a refund would come to.
type refundPreview struct {
	OrderID  string         `json:"orderId"`
	DryRun   bool           `json:"dryRun"`
	Amount   int64          `json:"amount"`
	Currency string         `json:"currency"`
	Lines    []refunds.Line `json:"lines"`
}
