package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

type orderResource struct {
	ID            string              `json:"id"`
	Status        order.Status        `json:"status"`
	Reason        null.Text           `json:"reason"`
	Version       int64               `json:"version"`
	CustomerID    string              `json:"customerId"`
	Currency      string              `json:"currency"`
	Lines         []lineResource      `json:"lines"`
	Payment       order.PaymentMethod `json:"payment,omitzero"`
	Fulfillment   order.Fulfillment   `json:"fulfillment"`
	TotalAmount   int64               `json:"totalAmount"`
	Metadata      map[string]string   `json:"metadata,omitempty"`
	CreatedAt     null.Time           `json:"createdAt"`
	UpdatedAt     null.Time           `json:"updatedAt"`
	CorrelationID string              `json:"correlationId"`
	// Parcels are those of which the order knows; there are none in lists.
	Parcels []parcelResource `json:"parcels,omitempty"`
	Links   orderLinks       `json:"links"`
}

// parcelResource is goods of an order that are on their way together, or were.
type parcelResource struct {
	ParcelID       null.Text            `json:"parcelId"`
	TrackingNumber null.Text            `json:"trackingNumber"`
	Carrier        null.Text            `json:"carrier"`
	Lines          []order.LineQuantity `json:"lines"`
	Status         order.ParcelStatus   `json:"status"`
	DispatchedAt   null.Time            `json:"dispatchedAt"`
	DeliveredAt    null.Time            `json:"deliveredAt"`
}

func parcelsOf(state order.State) []parcelResource {
	var parcels []parcelResource
	for _, p := range state.ParcelsView() {
		parcels = append(parcels, parcelResource{
			ParcelID: null.Text(p.ParcelID), TrackingNumber: null.Text(p.TrackingNumber), Carrier: null.Text(p.Carrier),
			Lines: append([]order.LineQuantity{}, p.Lines...), Status: p.Status,
			DispatchedAt: null.At(p.DispatchedAt), DeliveredAt: null.At(p.DeliveredAt),
		})
	}
	return parcels
}

// lineResource is a line with its position, from 1.
type lineResource struct {
	Line       int    `json:"line"`
	SKU        string `json:"sku"`
	Quantity   int64  `json:"quantity"`
	UnitAmount int64  `json:"unitAmount"`
	Stocked    bool   `json:"stocked"`
}

func linesOf(o order.Order) []lineResource {
	lines := make([]lineResource, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = lineResource{i + 1, l.SKU, l.Quantity, l.UnitAmount, l.IsStocked()}
	}
	return lines
}

type orderLinks struct {
	Self   string `json:"self"`
	Events string `json:"events"`
	// Saga is the order's page in the Temporal Web UI.
	Saga string `json:"saga,omitempty"`
}

func (s *Server) resource(state order.State) orderResource {
	r := s.listedResource(readmodel.FromState(state))
	r.Parcels = parcelsOf(state)
	return r
}

// listedResource makes the resource of an order that the read model lists.
func (s *Server) listedResource(o readmodel.Order) orderResource {
	return orderResource{
		ID: o.ID, Status: o.Status, Reason: null.Text(o.Reason), Version: o.Version,
		CustomerID: o.CustomerID, Currency: o.Currency, Lines: linesOf(o.Order), Payment: o.Payment,
		Fulfillment: o.Fulfillment, TotalAmount: o.TotalAmount, Metadata: o.Metadata,
		CreatedAt: null.At(o.CreatedAt), UpdatedAt: null.At(o.UpdatedAt), CorrelationID: o.CorrelationID,
		Links: s.links(o.ID),
	}
}

func (s *Server) links(orderID string) orderLinks {
	l := orderLinks{Self: orderPath(orderID), Events: orderPath(orderID) + "/events"}
	if s.cfg.TemporalUIURL != "" {
		l.Saga = s.sagaURL(order.Flow.WorkflowID(orderID))
	}
	return l
}

// sagaURL is the address of a workflow's page in the Temporal Web UI. The UI does not find the page of a workflow whose ID has a %: its
// server decodes the path twice (2.54.1). The address of such a workflow is that of the list with this workflow alone.
func (s *Server) sagaURL(workflowID string) string {
	list, err := url.JoinPath(s.cfg.TemporalUIURL, "namespaces", url.PathEscape(s.cfg.TemporalNamespace), "workflows")
	switch {
	case err != nil:
		return ""
	case strings.Contains(workflowID, "%"):
		return list + "?query=" + url.QueryEscape(`WorkflowId="`+workflowID+`"`)
	}
	return list + "/" + workflowID
}

// orderPath is the path of an order.
func orderPath(id string) string { return "/v1/orders/" + url.PathEscape(id) }

// acceptedState is an order that was accepted and has no event yet.
func acceptedState(o order.Order, correlationID string, at time.Time) order.State {
	return order.State{Saga: saga.Saga{Status: order.StatusAccepted, CreatedAt: at, UpdatedAt: at, CorrelationID: correlationID}, Order: o}
}

// timelineItem is an event of an order as clients see it.
type timelineItem struct {
	Version       int64           `json:"version"`
	Type          string          `json:"type"`
	Key           string          `json:"key"`
	ID            string          `json:"id"`
	Source        string          `json:"source"`
	Subject       string          `json:"subject"`
	Time          null.Time       `json:"time"`
	CorrelationID string          `json:"correlationId,omitempty"`
	CausationID   string          `json:"causationId,omitempty"`
	SchemaVersion int             `json:"schemaVersion"`
	Data          json.RawMessage `json:"data"`
	Hash          string          `json:"hash"`
	PrevHash      string          `json:"prevHash"`
}

func itemOf(r event.Record) timelineItem {
	return timelineItem{
		Version: r.Version, Type: r.Type, Key: r.Key, ID: r.ID, Source: r.Source, Subject: r.Subject,
		Time: null.At(r.Time), CorrelationID: r.CorrelationID, CausationID: r.CausationID,
		SchemaVersion: r.SchemaVersion, Data: r.Data, Hash: r.Hash, PrevHash: r.PrevHash,
	}
}

func itemsOf(records []event.Record) []timelineItem {
	items := make([]timelineItem, len(records))
	for i, r := range records {
		items[i] = itemOf(r)
	}
	return items
}

// page is a page of a list. NextCursor is null after the last one.
type page[T any] struct {
	Items      []T       `json:"items"`
	NextCursor null.Text `json:"nextCursor"`
}

// answer asks a dependency, and answers with what it says, as view shows it.
func answer[T, V any](s *Server, c echo.Context, view func(T) V, ask func(ctx context.Context) (T, error)) error {
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	found, err := ask(ctx)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, view(found))
}

// answerPage asks for a page of a list if nothing is wrong with its query, and answers with its items, as view shows them, and where the next page begins.
func answerPage[T, V any](s *Server, c echo.Context, q *query, view func(T) V, list func(ctx context.Context) ([]T, string, error)) error {
	if err := q.err(); err != nil {
		return err
	}
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	found, next, err := list(ctx)
	if err != nil {
		return fromList(err)
	}
	items := make([]V, len(found))
	for i, item := range found {
		items[i] = view(item)
	}
	return writeJSON(c, http.StatusOK, page[V]{items, null.Text(next)})
}

// itself is the view of what is shown as it is.
func itself[T any](shown T) T { return shown }

// writeJSON answers with a resource, without the escapes that only HTML needs.
func writeJSON(c echo.Context, status int, resource any) error {
	return writeJSONAs(c, echo.MIMEApplicationJSON, status, resource)
}

func writeJSONAs(c echo.Context, contentType string, status int, value any) error {
	body, err := encodeJSON(value)
	if err != nil {
		return err
	}
	return c.Blob(status, contentType, body)
}

// encodeJSON returns value as one line of JSON, with its line end.
func encodeJSON(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return buffer.Bytes(), err
}
