package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// sagaItem is a saga as lists show it.
type sagaItem struct {
	Flow           string      `json:"flow"`
	ID             string      `json:"id"`
	Status         saga.Status `json:"status"`
	Reason         null.Text   `json:"reason"`
	NeedsAttention bool        `json:"needsAttention"`
	Version        int64       `json:"version"`
	CreatedAt      null.Time   `json:"createdAt"`
	UpdatedAt      null.Time   `json:"updatedAt"`
	CorrelationID  string      `json:"correlationId"`
	Links          orderLinks  `json:"links"`
}

// sagaResource is a saga.
type sagaResource struct {
	sagaItem
	// Attention is what an operator must act on; null when nothing is.
	Attention *sagaAttention `json:"attention"`
	Steps     []sagaStep     `json:"steps"`
}

type sagaAttention struct {
	Attention int                     `json:"attention"`
	Step      string                  `json:"step"`
	Undo      bool                    `json:"undo"`
	Error     string                  `json:"error"`
	Attempts  int                     `json:"attempts"`
	NextTry   null.Time               `json:"nextTry"`
	Since     null.Time               `json:"since"`
	Actions   []saga.ResolutionAction `json:"actions"`
}

type sagaStep struct {
	Name      string         `json:"name"`
	Kind      saga.Kind      `json:"kind"`
	State     saga.ViewState `json:"state"`
	Attempts  int            `json:"attempts"`
	StartedAt null.Time      `json:"startedAt"`
	EndedAt   null.Time      `json:"endedAt"`
	Error     null.Text      `json:"error"`
}

// sagaPath is the path of a saga.
func sagaPath(flow, id string) string { return "/v1/sagas/" + flow + "/" + url.PathEscape(id) }

func (s *Server) sagaLinks(f saga.Definer, id string) orderLinks {
	path := sagaPath(f.Info().Name, id)
	l := orderLinks{Self: path, Events: path + "/events"}
	if s.cfg.TemporalUIURL != "" {
		l.Saga = s.sagaURL(f.WorkflowID(id))
	}
	return l
}

// sagaResourceOf makes the resource of a saga.
func (s *Server) sagaResourceOf(f Flow) func(v saga.View) sagaResource {
	return func(v saga.View) sagaResource {
		r := sagaResource{
			sagaItem: sagaItem{
				Flow: v.Flow, ID: v.ID, Status: v.Status, Reason: null.Text(v.Reason), NeedsAttention: v.Attention != nil, Version: v.Version,
				CreatedAt: null.At(v.CreatedAt), UpdatedAt: null.At(v.UpdatedAt), CorrelationID: v.CorrelationID, Links: s.sagaLinks(f, v.ID),
			},
			Steps: make([]sagaStep, len(v.Steps)),
		}
		for i, step := range v.Steps {
			r.Steps[i] = sagaStep{
				step.Name, step.Kind, step.State, step.Attempts, null.At(step.StartedAt), null.At(step.EndedAt), null.Text(step.Error),
			}
		}
		if a := v.Attention; a != nil {
			r.Attention = &sagaAttention{
				a.Count, a.Step, a.Undo, a.Error, a.Attempts, null.At(a.NextTry), null.At(a.Since), append([]saga.ResolutionAction{}, v.Actions...),
			}
		}
		return r
	}
}

// listedSaga makes the item of an entry of a list. An entry of a flow that this process does not have is left out of its links.
func (s *Server) listedSaga(o readmodel.Order) sagaItem {
	item := sagaItem{
		Flow: o.Flow, ID: o.ID, Status: o.Status, Reason: null.Text(o.Reason), NeedsAttention: o.Status == saga.NeedsAttention, Version: o.Version,
		CreatedAt: null.At(o.CreatedAt), UpdatedAt: null.At(o.UpdatedAt), CorrelationID: o.CorrelationID,
	}
	if item.Flow == "" {
		item.Flow = order.Flow.Name
	}
	if f, ok := s.flowNamed(item.Flow); ok {
		if o.Flow != "" {
			item.ID = sagaIDOf(f, o.ID)
		}
		item.Links = s.sagaLinks(f, item.ID)
	}
	return item
}

// sagaIDOf is the ID of a saga by the name of its stream.
func sagaIDOf(f saga.Definer, stream string) string {
	id, _ := event.Unescape(strings.TrimPrefix(stream, f.StreamOf("")))
	return id
}

// flowNamed returns the flow of a name.
func (s *Server) flowNamed(name string) (Flow, bool) {
	i := slices.IndexFunc(s.cfg.Flows, func(f Flow) bool { return f.Info().Name == name })
	if i < 0 {
		return Flow{}, false
	}
	return s.cfg.Flows[i], true
}

// flowOf returns the flow of the path. The error is NotFound.
func (s *Server) flowOf(c echo.Context) (Flow, error) {
	f, ok := s.flowNamed(pathParameter(c, "flow"))
	if !ok {
		return Flow{}, fault.New(fault.NotFound, "there is no flow %s", shortened(pathParameter(c, "flow")))
	}
	return f, nil
}

// sagaOf returns the flow and the ID of the path. What cannot be an ID names no saga: the error is NotFound.
func (s *Server) sagaOf(c echo.Context) (f Flow, id string, err error) {
	if f, err = s.flowOf(c); err != nil {
		return f, "", err
	}
	if id = pathParameter(c, "id"); !event.ValidID(id) {
		return f, "", fault.New(fault.NotFound, "there is no %s %s", f.Info().Name, shortened(id))
	}
	return f, id, nil
}

// statusPattern is the form of the statuses of any flow.
var statusPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// listSagas answers with a page of sagas: first orders come, then those of other flows, the newest first in each.
func (s *Server) listSagas(c echo.Context) error {
	q := queryOf(c, "flow", "status", "needsAttention", "limit", "cursor")
	filter := readmodel.Filter{Limit: q.limit(cursor.DefaultLimit), Cursor: q.cursor(), AnyStatus: true}
	flow := q.one("flow")
	if _, known := s.flowNamed(flow); flow != "" && !known {
		q.add("flow", "there is no such flow")
	}
	for _, value := range q.values["status"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); !statusPattern.MatchString(name) {
				q.add("status", "has a status that does not exist")
				break
			}
			filter.Statuses = append(filter.Statuses, saga.Status(name))
		}
	}
	switch attention := q.one("needsAttention"); {
	case attention == "":
	case attention == "true" && len(filter.Statuses) == 0:
		filter.Statuses = []order.Status{order.StatusNeedsAttention}
	case attention == "false":
		filter.Calm = true
	default:
		q.add("needsAttention", "must be true, without a status, or false")
	}
	return answerPage(s, c, q, s.listedSaga, func(ctx context.Context) ([]readmodel.Order, string, error) {
		return s.sagaPage(ctx, flow, filter)
	})
}

// sagaCursor begins the cursors of the second part of the list of sagas.
const sagaCursor = "saga."

// sagaPage returns a page of orders, then of other sagas.
func (s *Server) sagaPage(ctx context.Context, flow string, filter readmodel.Filter) (items []readmodel.Order, next string, err error) {
	after, second := strings.CutPrefix(filter.Cursor, sagaCursor)
	if !second && (flow == "" || flow == order.Flow.Name) {
		orders := filter
		orders.AnyStatus = false
		orders.Statuses = slices.DeleteFunc(slices.Clone(filter.Statuses), func(st order.Status) bool { return !slices.Contains(order.Statuses, st) })
		if len(orders.Statuses) > 0 || len(filter.Statuses) == 0 {
			items, next, err = s.cfg.Orders.List(ctx, orders)
		}
		switch {
		case err != nil || next != "" || flow != "":
			return items, next, err
		case len(items) == filter.Limit:
			// It leads on to one more page, which begins with the second part.
			return items, sagaCursor, nil
		}
		after = ""
	}
	filter.Flow, filter.Cursor, filter.Limit = flow, after, filter.Limit-len(items)
	more, next, err := s.cfg.Orders.Sagas(ctx, filter)
	if next != "" {
		next = sagaCursor + next
	}
	return append(items, more...), next, err
}

func (s *Server) getSaga(c echo.Context) error {
	if err := queryOf(c).err(); err != nil {
		return err
	}
	f, id, err := s.sagaOf(c)
	if err != nil {
		return err
	}
	return s.answerSaga(c, f, id)
}

func (s *Server) answerSaga(c echo.Context, f Flow, id string) error {
	return answer(s, c, s.sagaResourceOf(f), func(ctx context.Context) (saga.View, error) { return f.Sagas.View(ctx, id) })
}

func (s *Server) getSagaEvents(c echo.Context) error {
	return s.answerTimeline(c, func() (timeline, error) {
		f, id, err := s.sagaOf(c)
		if err != nil {
			return timeline{}, err
		}
		return timeline{id, f.StreamOf(id), sagaPath(f.Info().Name, id), func(ctx context.Context) error {
			_, err := f.Sagas.View(ctx, id)
			return err
		}}, nil
	})
}

// newSaga is the body of a request to start a saga.
type newSaga struct {
	ID    string          `json:"id"`
	Input json.RawMessage `json:"input"`
}

// decodeNewSaga reads the body of POST /v1/sagas/{flow}. What the input must be is the flow's to say.
func decodeNewSaga(body []byte) (n newSaga, err error) {
	doc, err := jsondoc.Read(body, jsondoc.Options{})
	if err != nil {
		return n, err
	}
	var d struct {
		ID    string `json:"id"`
		Input *any   `json:"input" required:"true"`
	}
	doc.Into(&d)
	if d.Input != nil {
		if _, object := (*d.Input).(map[string]any); !object {
			doc.Complain("/input", "must be an object")
		}
	}
	doc.Require(d.ID == "" || event.ValidID(d.ID), "/id", "%s", event.IDRule)
	if err := doc.Err("saga"); err != nil {
		return n, err
	}
	// The input as it was sent: what a number is, is the flow's to say.
	err = json.Unmarshal(body, &n)
	return n, fault.Wrap(err, fault.Malformed, "read the request")
}

// startSaga is POST /v1/sagas/{flow}: it answers as POST /v1/orders does.
func (s *Server) startSaga(c echo.Context) error {
	f, err := s.flowOf(c)
	if err != nil {
		return err
	}
	info := f.Info()
	if !info.Startable {
		return fault.New(fault.Invalid, "sagas of the flow %s are not started here", info.Name)
	}
	key, n, err := posted(s, c, decodeNewSaga)
	if err != nil {
		return err
	}
	id := n.ID
	if id == "" {
		id = s.requestID(c, key, "saga", info.Name)
	}
	wait := preferredWait(c.Request().Header)
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	v, replayed, err := f.Sagas.Start(ctx, sagaclient.Request{
		ID: id, Body: n.Input, At: "/input", CorrelationID: correlationOf(c.Request().Context()), Fresh: n.ID == "" && key == "", CallerID: n.ID != "",
	})
	if errors.Is(err, fault.Conflict) && key != "" && n.ID == "" {
		return &fault.Error{Code: fault.IdempotencyConflict, Err: err, Message: "this Idempotency-Key was used for another request"}
	}
	if err != nil {
		return err
	}
	if wait > 0 && !v.Ended {
		v = s.awaitSaga(c.Request().Context(), f, v, wait)
	}
	h := c.Response().Header()
	h.Set(echo.HeaderLocation, sagaPath(info.Name, id))
	if replayed {
		h.Set(headerIdempotentReplay, "true")
	}
	if wait > 0 && v.Ended {
		h.Set(headerPreferenceApplied, "wait="+seconds(wait))
		return writeJSON(c, http.StatusCreated, s.sagaResourceOf(f)(v))
	}
	h.Set(echo.HeaderRetryAfter, "1")
	return writeJSON(c, http.StatusAccepted, s.sagaResourceOf(f)(v))
}

// awaitSaga follows a saga until it has ended, the time is over, the client is gone or the server drains, and returns the saga then.
func (s *Server) awaitSaga(ctx context.Context, f Flow, v saga.View, wait time.Duration) saga.View {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	for r, err := range s.cfg.Log.Follow(waiting, f.StreamOf(v.ID), v.Version) {
		if err != nil || isTerminal(r) {
			break
		}
	}
	if newest, err := f.Sagas.View(ctx, v.ID); err == nil {
		return newest
	}
	return v
}

func (s *Server) cancelSaga(c echo.Context) error {
	f, id, err := s.sagaOf(c)
	if err != nil {
		return err
	}
	key, reason, err := posted(s, c, decodeReason)
	if err != nil {
		return err
	}
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	request := saga.Cancellation{ID: s.requestID(c, key, "cancellation", f.StreamOf(id)), Reason: reason}
	verdict, err := f.Sagas.Cancel(ctx, id, request)
	if err != nil {
		return err
	}
	if !verdict.Accepted {
		return refused(fault.CancellationRefused, verdict.Detail, verdict.Status)
	}
	return s.answerSaga(c, f, id)
}

// sagaResolution is a decision that was accepted, and the saga after it.
type sagaResolution struct {
	ID        string                `json:"id"`
	Accepted  bool                  `json:"accepted"`
	Action    saga.ResolutionAction `json:"action"`
	Attention int                   `json:"attention"`
	Saga      sagaResource          `json:"saga"`
}

func (s *Server) resolveSaga(c echo.Context) error {
	f, id, err := s.sagaOf(c)
	if err != nil {
		return err
	}
	key, decision, err := posted(s, c, decodeResolution)
	if err != nil {
		return err
	}
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	decision, verdict, err := f.Sagas.Decide(ctx, id, decision, key)
	if err != nil {
		return err
	}
	if !verdict.Accepted {
		return refused(fault.ResolutionRefused, verdict.Detail, verdict.Status)
	}
	return answer(s, c, func(after saga.View) sagaResolution {
		return sagaResolution{ID: decision.ID, Accepted: true, Action: decision.Action, Attention: decision.Attention, Saga: s.sagaResourceOf(f)(after)}
	}, func(ctx context.Context) (saga.View, error) { return f.Sagas.View(ctx, id) })
}
