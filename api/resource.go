package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/null"
)

type orderLinks struct {
	Self   string `json:"self"`
	Events string `json:"events"`
	// Saga is the order's page in the Temporal Web UI.
	Saga string `json:"saga,omitempty"`
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
	return answerPageWith(s, c, q, view, list, func(p page[V]) any { return p })
}

// answerPageWith is answerPage for pages that say more than their items: whole makes the answer.
func answerPageWith[T, V any](
	s *Server, c echo.Context, q *query, view func(T) V, list func(ctx context.Context) ([]T, string, error), whole func(page[V]) any,
) error {
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
	return writeJSON(c, http.StatusOK, whole(page[V]{items, null.Text(next)}))
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
