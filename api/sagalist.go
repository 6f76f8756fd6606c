package api

import (
	"context"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// listedSaga makes the item of an entry of a list. An entry of a flow that this binary does not have has no links: there is nothing to
// answer them.
func (s *Server) listedSaga(o readmodel.Order) sagaItem {
	item := sagaItem{
		Flow: o.Flow, ID: o.ID, Status: o.Status, Reason: null.Text(o.Reason), NeedsAttention: o.Status == saga.NeedsAttention, Version: o.Version,
		CreatedAt: null.At(o.CreatedAt), UpdatedAt: null.At(o.UpdatedAt), CorrelationID: o.CorrelationID,
	}
	if item.Flow == "" {
		item.Flow, item.CustomerID, item.Currency, item.TotalAmount = orderFlow, o.CustomerID, o.Currency, &o.TotalAmount
	} else {
		item.ID = sagaID(o.ID)
	}
	if f, ok := s.flowNamed(item.Flow); ok {
		item.Links = s.sagaLinks(f, item.ID)
	}
	return item
}

// sagaID is the ID of a saga by the name of its stream, in which the first hyphen separates what is the flow's from the ID.
func sagaID(stream string) string {
	_, escaped, _ := strings.Cut(stream, "-")
	id, _ := event.Unescape(escaped)
	return id
}

// listSagas answers with a page of sagas: first orders come, then those of other flows, the newest first in each.
func (s *Server) listSagas(c echo.Context) error {
	q := queryOf(c, append([]string{"flow", "status", "needsAttention", "counts"}, selecting...)...)
	filter, counted := q.selection(), q.counts()
	filter.AnyStatus, filter.Statuses = true, q.statuses(isStatus)
	flow := q.one("flow")
	if _, known := s.flowNamed(flow); flow != "" && !known {
		q.add("flow", "is not a flow of this service")
	}
	none := false
	switch attention := q.one("needsAttention"); {
	case attention == "":
	case attention == "true" && len(q.values["status"]) == 0:
		filter.Statuses = []saga.Status{saga.NeedsAttention}
	case attention == "false" && len(filter.Statuses) > 0:
		filter.Statuses = slices.DeleteFunc(filter.Statuses, func(st saga.Status) bool { return st == saga.NeedsAttention })
		none = len(filter.Statuses) == 0
	case attention == "false":
		filter.WithoutAttention = true
	default:
		q.add("needsAttention", "must be true or false; true cannot be combined with status")
	}
	var counts map[saga.Status]int64
	return answerPageWith(s, c, q, s.listedSaga, func(ctx context.Context) (found []readmodel.Order, next string, err error) {
		if counted {
			if counts, err = s.cfg.Orders.Counts(ctx, flow); err != nil {
				return nil, "", err
			}
		}
		if none {
			return nil, "", nil
		}
		return s.sagaPage(ctx, flow, filter)
	}, func(p page[sagaItem]) any {
		if !counted {
			return p
		}
		return countedPage[sagaItem]{p, counts}
	})
}

// countedPage is a page with how many sagas have each status, whatever else the filter selects.
type countedPage[T any] struct {
	page[T]
	Counts map[saga.Status]int64 `json:"counts"`
}

// sagaCursor begins the cursors of the second part of the list of sagas.
const sagaCursor = "saga."

// sagaPage returns a page of orders, then of other sagas. The error is Invalid for a cursor of a part that the filter leaves out.
func (s *Server) sagaPage(ctx context.Context, flow string, filter readmodel.Filter) (items []readmodel.Order, next string, err error) {
	after, second := strings.CutPrefix(filter.Cursor, sagaCursor)
	orders := filter
	orders.AnyStatus = false
	orders.Statuses = slices.DeleteFunc(slices.Clone(filter.Statuses), func(st saga.Status) bool { return !isOrderStatus(string(st)) })
	hasOrders := (flow == "" || flow == orderFlow) && (len(orders.Statuses) > 0 || len(filter.Statuses) == 0)
	// Only orders have customers and amounts.
	hasOthers := flow != orderFlow && filter.CustomerID == "" && filter.MinAmount == nil && filter.MaxAmount == nil
	if second && !hasOthers || !second && filter.Cursor != "" && !hasOrders {
		return nil, "", fault.NewInvalid("list", []fault.Field{fault.Fieldf("/cursor", "unknown or expired cursor")})
	}
	if hasOrders && !second {
		items, next, err = s.cfg.Orders.List(ctx, orders)
		if err != nil || next != "" {
			return items, next, err
		}
	}
	switch {
	case !hasOthers:
		return items, "", nil
	case len(items) == filter.Limit:
		// It leads on to one more page, which begins with the second part.
		return items, sagaCursor, nil
	case !second:
		after = ""
	}
	filter.Flow, filter.Cursor, filter.Limit = flow, after, filter.Limit-len(items)
	more, next, err := s.cfg.Orders.Sagas(ctx, filter)
	if err != nil {
		return nil, "", err
	}
	if next != "" {
		next = sagaCursor + next
	}
	return append(items, more...), next, nil
}
