package api

import (
	"cmp"
	"context"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// AttentionItem is an order, or a saga of another flow, that needs attention as clients see it.
type AttentionItem struct {
	ID string `json:"id"`
	// Flow is the flow of a saga that is no order.
	Flow   string      `json:"flow,omitempty"`
	Status saga.Status `json:"status"`
	// Attention is the number of the attention: they count from 1 in each order.
	Attention int    `json:"attention"`
	Step      string `json:"step"`
	// Parcel is the ID of the parcel that it is about, or its tracking number, if it is about one of several.
	Parcel   string                  `json:"parcelId,omitempty"`
	Undo     bool                    `json:"undo"`
	Error    string                  `json:"error"`
	Attempts int                     `json:"attempts"`
	NextTry  null.Time               `json:"nextTry"`
	Since    null.Time               `json:"since"`
	Actions  []saga.ResolutionAction `json:"actions"`
}

// AttentionItemOf makes the item of an entry of the read model. What came after the end of an order is shown as an item of that order, with the
// status that it ended with: decisions about both go to the order.
func AttentionItemOf[F saga.Definer](o readmodel.Order, flows []F) AttentionItem {
	var a readmodel.Attention
	if o.Attention != nil {
		a = *o.Attention
	}
	if a.Actions == nil {
		a.Actions = []saga.ResolutionAction{}
	}
	item := AttentionItem{
		ID: o.ID, Flow: o.Flow, Status: o.Status, Attention: a.Count, Step: a.Step, Parcel: parcelName(a.Item), Undo: a.Undo, Error: a.Error, Attempts: a.Attempts,
		NextTry: null.At(a.NextTry), Since: null.At(a.Since), Actions: a.Actions,
	}
	if o.Flow == "" {
		return item
	}
	item.ID = sagaID(o.ID)
	for _, f := range flows {
		if info := f.Info(); info.Name == o.Flow && info.Workflow == lateWorkflow {
			item.Flow, item.Status = "", saga.Status(o.Reason)
		}
	}
	return item
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
		return s.cfg.Orders.NeedsAttention(ctx, after, limit)
	})
}

func (s *Server) attentionResource(o readmodel.Order) attentionResource {
	item := AttentionItemOf(o, s.cfg.Flows)
	f, known := s.flowNamed(cmp.Or(o.Flow, orderFlow))
	switch {
	case item.Flow == "":
		links := &attentionLinks{s.links(item.ID), orderPath(item.ID) + "/resolutions"}
		if o.Flow != "" && links.Saga != "" {
			links.Saga = s.sagaURL(f.WorkflowID(item.ID))
		}
		return attentionResource{item, links}
	case !known:
		return attentionResource{item, nil}
	}
	links := s.sagaLinks(f, item.ID)
	return attentionResource{item, &attentionLinks{*links, links.Self + "/resolutions"}}
}
