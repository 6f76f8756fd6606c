package api

import (
	"context"
	"log/slog"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
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
	// CustomerID, Currency and TotalAmount are those of an order; other sagas do not have them, and neither has the resource of a single saga.
	CustomerID  string `json:"customerId,omitempty"`
	Currency    string `json:"currency,omitempty"`
	TotalAmount *int64 `json:"totalAmount,omitempty"`
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
		return Flow{}, fault.New(fault.NotFound, "flow %s does not exist", shortened(name))
	}
	return f, nil
}

// sagaOf returns the flow and the ID of the path. What cannot be an ID names no saga: the error is NotFound.
func (s *Server) sagaOf(c echo.Context) (f Flow, id string, err error) {
	if f, err = s.flowOf(c); err != nil {
		return f, "", err
	}
	if id = pathParameter(c, "id"); !event.ValidID(id) {
		return f, "", fault.New(fault.NotFound, "%s %s does not exist", f.Info().Name, shortened(id))
	}
	aboutSaga(c, f, id)
	return f, id, nil
}

// aboutSaga has the line of the request name the saga.
func aboutSaga(c echo.Context, f Flow, id string) { c.Set(contextSaga, sagaAttrs(f, id)) }

// sagaAttrs name a saga in logs.
func sagaAttrs(f Flow, id string) []slog.Attr {
	flow, key := f.Info().Name, "saga_id"
	if flow == orderFlow {
		key = "order_id"
	}
	return []slog.Attr{slog.String("flow", flow), slog.String(key, id)}
}

// getSaga answers with a saga, folded from its stream; with ?at= or ?version= as it was then.
func (s *Server) getSaga(c echo.Context) error {
	q := queryOf(c, "at", "version")
	then, past := q.moment()
	if err := q.err(); err != nil {
		return err
	}
	f, id, err := s.sagaOf(c)
	if err != nil {
		return err
	}
	if !past {
		return s.answerSaga(c, f, id)
	}
	return answer(s, c, s.sagaResourceOf(f), func(ctx context.Context) (saga.View, error) {
		records, err := s.readTo(ctx, f.StreamOf(id), then)
		if err != nil {
			return saga.View{}, err
		}
		return f.View(records)
	})
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

func (s *Server) cancelSaga(c echo.Context) error {
	f, id, err := s.sagaOf(c)
	if err != nil {
		return err
	}
	// Other ways to change an order need no less.
	if scope, ok := map[string]auth.Scope{orderFlow: auth.OrdersWrite, refundFlow: auth.RefundsWrite, returnFlow: auth.RefundsWrite}[f.Info().Name]; ok {
		if err := s.require(c, scope); err != nil {
			return err
		}
	}
	if err := s.cancel(c, f.Sagas, id, f.StreamOf(id), sagaRefused); err != nil {
		return err
	}
	return s.answerSaga(c, f, id)
}

// decider are the sagas that a request is about.
type decider interface {
	Cancel(ctx context.Context, id string, request saga.Cancellation) (saga.CancelAnswer, error)
	Resolve(ctx context.Context, id string, d saga.Resolution, key string) (saga.Resolution, saga.ResolveAnswer, error)
}

// cancel requests the cancellation of a saga. About names the saga in the ID of the request; refused makes the error of a refusal.
func (s *Server) cancel(c echo.Context, sagas decider, id, about string, refused func(code fault.Code, detail string, status saga.Status) error) error {
	key, reason, err := posted(s, c, decodeReason)
	if err != nil {
		return err
	}
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	result, err := sagas.Cancel(ctx, id, saga.Cancellation{ID: s.requestID(c, key, "cancellation", about), Reason: reason})
	if err == nil && !result.Accepted {
		err = refused(fault.CancellationRefused, result.Detail, result.Status)
	}
	return err
}

// resolve brings an operator's decision about a saga, and returns it as it was accepted.
func (s *Server) resolve(
	c echo.Context, sagas decider, id string, refused func(code fault.Code, detail string, status saga.Status) error,
) (saga.Resolution, error) {
	key, decision, err := posted(s, c, decodeResolution)
	if err != nil {
		return decision, err
	}
	if decision.By, err = actor(c, decision.By); err != nil {
		return decision, err
	}
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	decision, result, err := sagas.Resolve(ctx, id, decision, scopedKey(c, key))
	if err == nil && !result.Accepted {
		err = refused(fault.ResolutionRefused, result.Detail, result.Status)
	}
	return decision, err
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
	decision, err := s.resolve(c, f.Sagas, id, sagaRefused)
	if err != nil {
		return err
	}
	return answer(s, c, func(after saga.View) sagaResolution {
		return sagaResolution{ID: decision.ID, Accepted: true, Action: decision.Action, Attention: decision.Attention, Saga: s.sagaResourceOf(f)(after)}
	}, func(ctx context.Context) (saga.View, error) { return f.Sagas.View(ctx, id) })
}
