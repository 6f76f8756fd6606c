package api

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
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
		item.Flow = order.Flow.Name
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

// statusPattern is the form of the statuses of any flow.
var statusPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// maxStatuses bounds by how many statuses a list is filtered.
const maxStatuses = 50

// anyStatuses returns the statuses of ?status=a,b&status=c, each once. They may be those of any flow.
func (q *query) anyStatuses() []saga.Status {
	var statuses []saga.Status
	for _, value := range q.values["status"] {
		for name := range strings.SplitSeq(value, ",") {
			status := saga.Status(strings.TrimSpace(name))
			switch {
			case slices.Contains(statuses, status):
			case !statusPattern.MatchString(string(status)):
				q.add("status", "contains an unknown status")
				return nil
			case len(statuses) == maxStatuses:
				q.add("status", "must have at most "+strconv.Itoa(maxStatuses)+" statuses")
				return nil
			default:
				statuses = append(statuses, status)
			}
		}
	}
	return statuses
}

// listSagas answers with a page of sagas: first orders come, then those of other flows, the newest first in each.
func (s *Server) listSagas(c echo.Context) error {
	q := queryOf(c, "flow", "status", "needsAttention", "limit", "cursor")
	filter := readmodel.Filter{Limit: q.limit(cursor.DefaultLimit), Cursor: q.cursor(), AnyStatus: true, Statuses: q.anyStatuses()}
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
		filter.Calm = true
	default:
		q.add("needsAttention", "must be true or false; true cannot be combined with status")
	}
	return answerPage(s, c, q, s.listedSaga, func(ctx context.Context) ([]readmodel.Order, string, error) {
		if none {
			return nil, "", nil
		}
		return s.sagaPage(ctx, flow, filter)
	})
}

// sagaCursor begins the cursors of the second part of the list of sagas.
const sagaCursor = "saga."

// sagaPage returns a page of orders, then of other sagas. The error is Invalid for a cursor of a part that the filter leaves out.
func (s *Server) sagaPage(ctx context.Context, flow string, filter readmodel.Filter) (items []readmodel.Order, next string, err error) {
	after, second := strings.CutPrefix(filter.Cursor, sagaCursor)
	orders := filter
	orders.AnyStatus = false
	orders.Statuses = slices.DeleteFunc(slices.Clone(filter.Statuses), func(st saga.Status) bool { return !slices.Contains(order.Statuses, st) })
	hasOrders := (flow == "" || flow == order.Flow.Name) && (len(orders.Statuses) > 0 || len(filter.Statuses) == 0)
	hasOthers := flow != order.Flow.Name
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
