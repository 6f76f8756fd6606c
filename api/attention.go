package api

import (
	"cmp"
	"context"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// attentionItem is an order that needs attention as clients see it.
type attentionItem struct {
	ID     string       `json:"id"`
	Status order.Status `json:"status"`
	// Attention is the number of the attention: they count from 1 in each order.
	Attention int                      `json:"attention"`
	Step      order.Step               `json:"step"`
	Undo      bool                     `json:"undo"`
	Error     string                   `json:"error"`
	Attempts  int                      `json:"attempts"`
	NextTry   null.Time                `json:"nextTry"`
	Since     null.Time                `json:"since"`
	Actions   []order.ResolutionAction `json:"actions"`
	Links     attentionLinks           `json:"links"`
}

type attentionLinks struct {
	orderLinks
	// Resolutions is where decisions go.
	Resolutions string `json:"resolutions"`
}

// listAttention is GET /v1/attention: a page of the orders that need attention, and of those that have ended and need it
// because of what came later.
func (s *Server) listAttention(c echo.Context) error {
	q := queryOf(c, "limit", "cursor")
	limit, after := q.limit(cursor.DefaultLimit), q.cursor()
	if err := q.err(); err != nil {
		return err
	}
	return answerPage(s, c, s.attentionItem, func(ctx context.Context) ([]readmodel.Order, string, error) {
		return s.cfg.Orders.Desk(ctx, after, limit)
	})
}

func (s *Server) attentionItem(o readmodel.Order) attentionItem {
	var a readmodel.Attention
	if o.Attention != nil {
		a = *o.Attention
	}
	item := attentionItem{
		ID: o.ID, Status: cmp.Or(o.EndedAs, o.Status), Attention: a.Count, Step: a.Step, Undo: a.Undo, Error: a.Error, Attempts: a.Attempts,
		NextTry: null.At(a.NextTry), Since: null.At(a.Since), Actions: a.Actions,
		Links: attentionLinks{orderLinks: s.links(o.ID), Resolutions: orderPath(o.ID) + "/resolutions"},
	}
	if o.EndedAs != "" && item.Links.Saga != "" {
		item.Links.Saga = s.sagaURL(workflows.LateWorkflowID(o.ID))
	}
	if item.Actions == nil {
		item.Actions = []order.ResolutionAction{}
	}
	return item
}

// resolution is a decision that was accepted, and the order after it.
type resolution struct {
	ID        string                 `json:"id"`
	Accepted  bool                   `json:"accepted"`
	Action    order.ResolutionAction `json:"action"`
	Attention int                    `json:"attention"`
	Order     orderResource          `json:"order"`
}

// resolveOrder is POST /v1/orders/{id}/resolutions: an operator's decision about what is stuck. It answers with the saga's
// verdict: the order after it, or ResolutionRefused.
func (s *Server) resolveOrder(c echo.Context) error {
	id, err := orderID(c)
	if err != nil {
		return err
	}
	key, decision, err := posted(s, c, decodeResolution)
	if err != nil {
		return err
	}
	if decision, err = s.resolve(c, id, decision, key); err != nil {
		return err
	}
	return answer(s, c, func(after order.State) resolution {
		return resolution{ID: decision.ID, Accepted: true, Action: decision.Action, Attention: decision.Attention, Order: s.resource(after)}
	}, func(ctx context.Context) (order.State, error) { return s.loadOrder(ctx, id) })
}

// resolve asks for the verdict. Errors: ResolutionRefused, NotFound, Unavailable when no worker answers.
func (s *Server) resolve(c echo.Context, id string, decision order.Resolution, key string) (order.Resolution, error) {
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	decision, verdict, err := s.cfg.Sagas.Resolve(ctx, id, decision, key)
	if err != nil {
		return decision, err
	}
	if !verdict.Accepted {
		return decision, &fault.Error{Code: fault.ResolutionRefused, Message: verdict.Detail, Err: refusedError{verdict.Status}}
	}
	return decision, nil
}
