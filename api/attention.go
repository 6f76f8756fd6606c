package api

import (
	"cmp"
	"context"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// AttentionItem is an order, or a saga of another flow, that needs attention as clients see it.
type AttentionItem struct {
	ID string `json:"id"`
	// Flow is the flow of a saga that is no order.
	Flow   string       `json:"flow,omitempty"`
	Status order.Status `json:"status"`
	// Attention is the number of the attention: they count from 1 in each order.
	Attention int        `json:"attention"`
	Step      order.Step `json:"step"`
	// Parcel is the ID of the parcel that it is about, or its tracking number, if it is about one of several.
	Parcel   string                   `json:"parcelId,omitempty"`
	Undo     bool                     `json:"undo"`
	Error    string                   `json:"error"`
	Attempts int                      `json:"attempts"`
	NextTry  null.Time                `json:"nextTry"`
	Since    null.Time                `json:"since"`
	Actions  []order.ResolutionAction `json:"actions"`
}

// AttentionItemOf makes the item of an order that the read model lists.
func AttentionItemOf(o readmodel.Order) AttentionItem {
	var a readmodel.Attention
	if o.Attention != nil {
		a = *o.Attention
	}
	if a.Actions == nil {
		a.Actions = []order.ResolutionAction{}
	}
	return AttentionItem{
		ID: o.ID, Status: cmp.Or(o.EndedAs, o.Status), Attention: a.Count, Step: a.Step, Parcel: order.ParcelName(a.Item), Undo: a.Undo, Error: a.Error, Attempts: a.Attempts,
		NextTry: null.At(a.NextTry), Since: null.At(a.Since), Actions: a.Actions,
	}
}

type attentionResource struct {
	AttentionItem
	// Links are null of a saga of a flow that this binary does not have.
	Links *attentionLinks `json:"links"`
}

type attentionLinks struct {
	orderLinks
	// Resolutions is where decisions go.
	Resolutions string `json:"resolutions"`
}

// listAttention answers with a page of the orders that need attention, of those that have ended and need it
// because of what came later, and of sagas of other flows.
func (s *Server) listAttention(c echo.Context) error {
	q := queryOf(c, "limit", "cursor")
	limit, after := q.limit(cursor.DefaultLimit), q.cursor()
	return answerPage(s, c, q, s.attentionResource, func(ctx context.Context) ([]readmodel.Order, string, error) {
		return s.cfg.Orders.Desk(ctx, after, limit)
	})
}

func (s *Server) attentionResource(o readmodel.Order) attentionResource {
	item := AttentionItemOf(o)
	if o.Flow != "" {
		listed := s.listedSaga(o)
		item.ID, item.Flow = listed.ID, o.Flow
		if listed.Links == nil {
			return attentionResource{item, nil}
		}
		return attentionResource{item, &attentionLinks{*listed.Links, listed.Links.Self + "/resolutions"}}
	}
	links := &attentionLinks{orderLinks: s.links(o.ID), Resolutions: orderPath(o.ID) + "/resolutions"}
	if o.EndedAs != "" && links.Saga != "" {
		links.Saga = s.sagaURL(latepayment.WorkflowID(o.ID))
	}
	return attentionResource{item, links}
}

// resolution is a decision that was accepted, and the order after it.
type resolution struct {
	ID        string                 `json:"id"`
	Accepted  bool                   `json:"accepted"`
	Action    order.ResolutionAction `json:"action"`
	Attention int                    `json:"attention"`
	Order     orderResource          `json:"order"`
}

// resolveOrder brings an operator's decision about what is stuck. It answers with the saga's verdict: the order after it, or
// ResolutionRefused.
func (s *Server) resolveOrder(c echo.Context) error {
	id, err := orderID(c)
	if err != nil {
		return err
	}
	key, decision, err := posted(s, c, decodeResolution)
	if err != nil {
		return err
	}
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	decision, verdict, err := s.cfg.Sagas.Resolve(ctx, id, decision, key)
	if err != nil {
		return err
	}
	if !verdict.Accepted {
		return refused(fault.ResolutionRefused, verdict.Detail, verdict.Status)
	}
	return answer(s, c, func(after order.State) resolution {
		return resolution{ID: decision.ID, Accepted: true, Action: decision.Action, Attention: decision.Attention, Order: s.resource(after)}
	}, func(ctx context.Context) (order.State, error) { return s.loadOrder(ctx, id) })
}
