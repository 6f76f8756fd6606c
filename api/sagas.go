package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
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
	// Links are null of a saga of a flow that this binary does not have.
	Links *orderLinks `json:"links"`
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
func sagaPath(flow, id string) string {
	return "/v1/sagas/" + url.PathEscape(flow) + "/" + url.PathEscape(id)
}

func (s *Server) sagaLinks(f saga.Definer, id string) *orderLinks {
	path := sagaPath(f.Info().Name, id)
	l := &orderLinks{Self: path, Events: path + "/events"}
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

// listedSaga makes the item of an entry of a list. An entry of a flow that this binary does not have has no links: there is nothing to
// answer them.
func (s *Server) listedSaga(o readmodel.Order) sagaItem {
	item := sagaItem{
		Flow: o.Flow, ID: o.ID, Status: o.Status, Reason: null.Text(o.Reason), NeedsAttention: o.Status == saga.NeedsAttention, Version: o.Version,
		CreatedAt: null.At(o.CreatedAt), UpdatedAt: null.At(o.UpdatedAt), CorrelationID: o.CorrelationID,
	}
	if item.Flow == "" {
		item.Flow = order.Flow.Name
	} else if _, escaped, ok := strings.Cut(o.ID, "-"); ok {
		item.ID, _ = event.Unescape(escaped) // the first hyphen of a stream's name separates what is the flow's from the ID
	}
	if f, ok := s.flowNamed(item.Flow); ok {
		item.Links = s.sagaLinks(f, item.ID)
	}
	return item
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
	name := pathParameter(c, "flow")
	f, ok := s.flowNamed(name)
	if !ok {
		return Flow{}, fault.New(fault.NotFound, "there is no flow %s", shortened(name))
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
	aboutSaga(c, f, id)
	return f, id, nil
}

// aboutSaga has the line of the request name the saga.
func aboutSaga(c echo.Context, f Flow, id string) { c.Set(contextSaga, sagaAttrs(f, id)) }

// sagaAttrs name a saga in logs.
func sagaAttrs(f Flow, id string) []slog.Attr {
	flow, key := f.Info().Name, "saga_id"
	if flow == order.Flow.Name {
		key = "order_id"
	}
	return []slog.Attr{slog.String("flow", flow), slog.String(key, id)}
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
				q.add("status", "has a status that does not exist")
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
		q.add("flow", "there is no such flow")
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
		q.add("needsAttention", "must be true, without a status, or false")
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
		return nil, "", fault.NewInvalid("list", []fault.Field{fault.Fieldf("/cursor", "is not a nextCursor of this list")})
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
		return timeline{sagaAttrs(f, id), f.StreamOf(id), sagaPath(f.Info().Name, id), func(ctx context.Context) error {
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
	switch {
	case info.Name == order.Flow.Name:
		return fault.New(fault.Invalid, "orders are placed with POST /v1/orders")
	case !info.Startable:
		return fault.New(fault.Invalid, "sagas of the flow %s are not started by requests", info.Name)
	}
	key, n, err := posted(s, c, decodeNewSaga)
	if err != nil {
		return err
	}
	// An ID that the caller has chosen makes the request one; else its key does.
	r := sagaclient.Request{
		ID: n.ID, Body: n.Input, At: "/input", CorrelationID: correlationOf(c.Request().Context()), Fresh: n.ID == "" && key == "", CallerID: n.ID != "",
	}
	if n.ID == "" {
		r.ID = s.requestID(c, key, "saga", info.Name)
	}
	aboutSaga(c, f, r.ID)
	v, replayed, err := s.start(c, f, r, key)
	if err != nil {
		return err
	}
	wait := preferredWait(c.Request().Header)
	if wait > 0 && !v.Ended {
		v = s.awaitSaga(c, f, v, wait)
	}
	h := c.Response().Header()
	h.Set(echo.HeaderLocation, sagaPath(info.Name, r.ID))
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

// start starts a saga.
func (s *Server) start(c echo.Context, f Flow, r sagaclient.Request, key string) (v saga.View, replayed bool, err error) {
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	v, replayed, err = f.Sagas.Start(ctx, r)
	switch fields := fault.FieldsOf(err); {
	case errors.Is(err, fault.Conflict) && key != "" && !r.CallerID:
		err = &fault.Error{Code: fault.IdempotencyConflict, Err: err, Message: "this Idempotency-Key was used for another request"}
	case errors.Is(err, fault.Invalid) && len(fields) > 0:
		err = fault.NewInvalid("saga", fields)
	}
	return v, replayed, err
}

// awaitSaga follows a saga until it has ended, the time is over, the client is gone or the server drains, and returns the saga then. The
// saga is started: what goes wrong here only makes the answer an earlier one.
func (s *Server) awaitSaga(c echo.Context, f Flow, v saga.View, wait time.Duration) saga.View {
	ctx, cancel := context.WithTimeout(c.Request().Context(), wait)
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	// What has been appended since the saga was looked at comes first.
	for r, err := range s.cfg.Log.Follow(ctx, f.StreamOf(v.ID), v.Version) {
		if err != nil {
			s.logStopped(ctx, "stopped waiting for the end of a saga", sagaAttrs(f, v.ID), err)
			break
		}
		if isTerminal(r) {
			break
		}
	}
	looking, done := s.withDependencyTimeout(c)
	defer done()
	newest, err := f.Sagas.View(looking, v.ID)
	if err != nil {
		s.logStopped(looking, "cannot read a saga that was waited for", sagaAttrs(f, v.ID), err)
		return v
	}
	return newest
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
		return sagaRefused(fault.CancellationRefused, verdict.Detail, verdict.Status)
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
		return sagaRefused(fault.ResolutionRefused, verdict.Detail, verdict.Status)
	}
	return answer(s, c, func(after saga.View) sagaResolution {
		return sagaResolution{ID: decision.ID, Accepted: true, Action: decision.Action, Attention: decision.Attention, Saga: s.sagaResourceOf(f)(after)}
	}, func(ctx context.Context) (saga.View, error) { return f.Sagas.View(ctx, id) })
}
