package api

import (
	"context"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
)

// DeadLetters shows dead letters and carries out what is decided about them. internal/deadletter has it.
type DeadLetters interface {
	List(ctx context.Context, f deadletter.Filter) (items []deadletter.Letter, next string, err error)
	Show(ctx context.Context, id string) (deadletter.Letter, error)
	DryRun(ctx context.Context, id string, r deadletter.Request) (deadletter.DryRun, error)
	Replay(ctx context.Context, id string, r deadletter.Request) (deadletter.Letter, error)
	Discard(ctx context.Context, id string, r deadletter.Request) (deadletter.Letter, error)
}

// maxShownPayload is the largest payload that an answer has; a larger one is left out.
const maxShownPayload = 8 << 20

type deadItem struct {
	deadletter.Letter
	Links deadLinks `json:"links"`
}

type deadLinks struct {
	Self    string `json:"self"`
	Replay  string `json:"replay"`
	Discard string `json:"discard"`
}

type deadResource struct {
	deadItem
	deadletter.Content
	History []timelineItem `json:"history"`
}

// dryRun is what a replay would come to.
type dryRun struct {
	ID      string    `json:"id"`
	DryRun  bool      `json:"dryRun"`
	Outcome string    `json:"outcome"`
	Would   string    `json:"would"`
	OrderID null.Text `json:"orderId"`
	// Refusal says why the letter would not be replayed.
	Refusal null.Text `json:"refusal"`
}

// listDead answers with a page of dead letters, those that failed last first.
func (s *Server) listDead(c echo.Context) error {
	q := queryOf(c, "reason", "type", "status", "failedFrom", "failedTo", "limit", "cursor")
	f := deadletter.Filter{
		Limit: q.limit(cursor.DefaultLimit), Cursor: q.cursor(), Types: words[string](q, "type"), Reasons: words[fault.Code](q, "reason"),
		Statuses: words[deadletter.Status](q, "status"),
	}
	f.From, _ = q.time("failedFrom")
	f.To, _ = q.time("failedTo")
	return answerPage(s, c, q, deadItemOf, func(ctx context.Context) ([]deadletter.Letter, string, error) {
		return s.cfg.DeadLetters.List(ctx, f)
	})
}

// words returns the values of ?name=a,b&name=c.
func words[T ~string](q *query, name string) []T {
	var words []T
	for _, value := range q.values[name] {
		for word := range strings.SplitSeq(value, ",") {
			if word = strings.TrimSpace(word); word != "" {
				words = append(words, T(word))
			}
		}
	}
	return words
}

func deadItemOf(l deadletter.Letter) deadItem {
	self := "/v1/dead-letters/" + l.ID
	return deadItem{l, deadLinks{self, self + "/replay", self + "/discard"}}
}

func deadResourceOf(l deadletter.Letter) deadResource {
	return deadResource{deadItemOf(l), l.Content(maxShownPayload), itemsOf(l.History)}
}

func (s *Server) getDead(c echo.Context) error {
	id, err := letterID(c)
	if err != nil {
		return err
	}
	return answer(s, c, deadResourceOf, func(ctx context.Context) (deadletter.Letter, error) { return s.cfg.DeadLetters.Show(ctx, id) })
}

func letterID(c echo.Context) (string, error) {
	id := c.Param("id")
	if !event.ValidToken(id) {
		return "", fault.New(fault.NotFound, "the dead letter does not exist")
	}
	return id, nil
}

// replayDead sends a letter to the inbox again, or with ?dryRun=true what would
// come of that is told.
func (s *Server) replayDead(c echo.Context) error {
	dry, err := dryRunOf(c)
	if err != nil {
		return err
	}
	id, r, err := s.letterRequest(c, "replay", decodeReplay)
	if err != nil {
		return err
	}
	if dry {
		return answer(s, c, func(run deadletter.DryRun) dryRun {
			return dryRun{id, true, run.Outcome, run.Sentence, null.Text(run.OrderID), null.Text(run.Refusal)}
		}, func(ctx context.Context) (deadletter.DryRun, error) { return s.cfg.DeadLetters.DryRun(ctx, id, r) })
	}
	return answer(s, c, deadResourceOf, func(ctx context.Context) (deadletter.Letter, error) { return s.cfg.DeadLetters.Replay(ctx, id, r) })
}

func (s *Server) discardDead(c echo.Context) error {
	if err := queryOf(c).err(); err != nil {
		return err
	}
	id, r, err := s.letterRequest(c, "discard", decodeDiscard)
	if err != nil {
		return err
	}
	if err := r.ValidateDiscard(); err != nil {
		return err
	}
	return answer(s, c, deadResourceOf, func(ctx context.Context) (deadletter.Letter, error) { return s.cfg.DeadLetters.Discard(ctx, id, r) })
}

// letterRequest is what a POST about a dead letter brings. Its body may be missing.
func (s *Server) letterRequest(
	c echo.Context, what string, decode func(body []byte) (deadletter.Request, error),
) (id string, r deadletter.Request, err error) {
	if id, err = letterID(c); err != nil {
		return id, r, err
	}
	key, r, err := posted(s, c, func(body []byte) (deadletter.Request, error) {
		if len(body) == 0 {
			return deadletter.Request{}, nil
		}
		return decode(body)
	})
	if err != nil {
		return id, r, err
	}
	r.ID = s.requestID(c, key, "dead letter "+what, id)
	r.Actor, err = actor(c, r.By)
	return id, r, err
}
